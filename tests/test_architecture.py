"""The house rules that a reader may rely on, held by a machine."""

import ast
import json
import re
from collections import Counter
from pathlib import Path

import dagster as dg
import pytest
import sqlglot
from sqlglot import exp

from assets.clean.rewriting import TABLES
from docs.tables import README, histories
from pipelines.catalogue import STAGES, contracts
from pipelines.definitions import DEFAULT_CONFIG, build_definitions
from resources.contract import Contract
from resources.warehouse import read_sql, tables_read

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("pipelines", "assets", "resources")
# What each package may import of the others.
MAY_IMPORT = {"pipelines": {"pipelines", "assets", "resources"}, "assets": {"assets", "resources"}}
MAY_IMPORT["resources"] = {"resources"}
GLUE = {"assets.py", "contracts.py", "inputs.py", "rewriting.py", "__init__.py"}
IMPURE = {"dagster", "duckdb", "resources", "pipelines", "os", "time", "random"}

SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
PURE = [path for path in SOURCES if path.parent.parent.name == "assets" and path.name not in GLUE]
DEFS = build_definitions(DEFAULT_CONFIG, ROOT / ".siyu")
NODES = {node.key: node for node in DEFS.resolve_asset_graph().asset_nodes}
SQL_FILES = sorted(
    path
    for path in (ROOT / "sql").rglob("*.sql")
    if path.parent.name in STAGES and path.parent.parent.name == "sql"
)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_of(path: Path) -> set[str]:
    """Top-level packages that a module imports, for type checking alone left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    found |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in found}


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_imports_run_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    ours = imports_of(path) & set(PACKAGES)
    assert ours <= MAY_IMPORT[package]


@pytest.mark.parametrize("path", PURE, ids=relative)
def test_algorithms_are_pure(path: Path) -> None:
    allowed = {"os"} if "os.fsync" in path.read_text(encoding="utf-8") else set[str]()
    if path.parent == ROOT / "assets":
        return
    assert imports_of(path) & IMPURE <= allowed
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"datetime\.now|date\.today|os\.environ|np\.random\.(seed|rand)", text)


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_only_the_warehouse_touches_duckdb(path: Path) -> None:
    if path != ROOT / "resources" / "warehouse.py":
        assert "duckdb" not in imports_of(path)


def test_stage_is_package_group_prefix_and_schema() -> None:
    for key, node in NODES.items():
        assert key.path[0] == node.group_name
        assert (ROOT / "assets" / key.path[0] / "assets.py").exists()
    for contract in contracts():
        assert (ROOT / "assets" / contract.schema).is_dir()


def test_every_asset_says_what_it_is() -> None:
    for key, node in NODES.items():
        specs = f"{key.to_user_string()}"
        assert node.description and len(node.description) > 30, specs
        assert node.owners, specs
        assert node.kinds, specs
        assert node.pools or key.path[0] in ("push",), specs


def test_every_contract_has_an_asset_with_its_columns() -> None:
    for contract in contracts():
        node = NODES[contract.asset_key]
        schema = node.metadata["dagster/column_schema"]
        names = [column.name for column in schema.columns]
        assert names == list(contract.column_names)
        assert all(column.description for column in schema.columns)


def test_every_contract_is_held_by_blocking_checks() -> None:
    blocking = {
        (spec.asset_key, spec.name)
        for checks in DEFS.asset_checks or []
        for spec in checks.check_specs
        if spec.blocking
    }
    for contract in contracts():
        for name in contract.checks():
            assert (contract.asset_key, name) in blocking


def test_one_asset_per_sql_file() -> None:
    by_table = {f"{contract.schema}/{contract.table}.sql" for contract in contracts()}
    named = [path.relative_to(ROOT / "sql").as_posix() for path in SQL_FILES]
    assert set(named) - by_table == set()
    assert max(Counter(named).values()) == 1


def parsed(path: Path) -> exp.Expression:
    """A file's one statement; what is written for two engines is read as Spark does."""
    sql = path.read_text(encoding="utf-8")
    is_portable = path.parent.name in ("clean", "features")
    dialect, text = ("spark", sql.replace("$", ":")) if is_portable else ("duckdb", sql)
    statements = sqlglot.parse(text, read=dialect)
    assert len(statements) == 1
    assert statements[0]
    return statements[0]


def tables_by_sqlglot(path: Path) -> set[str]:
    """The tables that a SELECT reads, by another parser than the one the assets use."""
    tables = parsed(path).find_all(exp.Table)
    return {f"{table.db}.{table.name}" for table in tables if table.db}


@pytest.mark.parametrize("path", SQL_FILES, ids=relative)
def test_dependencies_are_the_tables_that_the_sql_reads(path: Path) -> None:
    sql = path.read_text(encoding="utf-8")
    key = dg.AssetKey([path.parent.name, path.stem])
    read = {dg.AssetKey(name.split(".")) for name in tables_by_sqlglot(path)} - {key}
    assert read == {dg.AssetKey(name.split(".")) for name in tables_read(sql)} - {key}
    order = [contract.asset_key for contract in TABLES]
    if key in order:
        # A table that is kept up to date reads its own and later tables' older rows too.
        read -= set(order[order.index(key) :])
    assert read <= set(NODES[key].parent_keys), "the SQL reads what the asset does not depend on"


@pytest.mark.parametrize("path", SQL_FILES, ids=relative)
def test_sql_opens_with_its_meaning_and_is_lower_case(path: Path) -> None:
    sql = path.read_text(encoding="utf-8")
    assert sql.startswith("-- ")
    assert "{" not in re.sub(r"--[^\n]*|'[^']*'", "", sql) or path.parent.name in ("raw", "push")
    code = re.sub(r"--[^\n]*|'[^']*'|\"[^\"]*\"|\bT\b", "", sql)  # T as Fader and Hardie write it
    assert code == code.lower()


def test_names_avoid_empty_words() -> None:
    empty = {"utils", "helpers", "common", "manager", "processor", "misc"}
    for path in SOURCES:
        assert not empty & set(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("contract", contracts(), ids=lambda contract: contract.name)
def test_names_carry_their_type(contract: Contract) -> None:
    suffixes = {"_at": ("timestamp",), "_date": ("date",), "_days": ("bigint", "integer", "double")}
    for column in contract.columns:
        for suffix, types in suffixes.items():
            if column.name.endswith(suffix):
                assert column.type in types, column.name
        if column.name.startswith(("is_", "has_")):
            assert column.type == "boolean", column.name
        end = re.search(r"\b(lower|upper) (?:bound|end)\b", column.meaning, re.IGNORECASE)
        if end:
            suffix = "_low" if end[1].lower() == "lower" else "_high"
            assert column.name.endswith(suffix), column.name
        assert not column.name.endswith(("_lower", "_upper", "_min", "_max", "_lo", "_hi"))
        if column.name.startswith("n_"):
            assert column.type in ("bigint", "integer"), column.name


def test_the_graph_is_what_was_agreed() -> None:
    """The lineage as agreed in tests/lineage.json: whoever changes it changes both, on purpose."""
    picture = {
        key.to_user_string(): sorted(parent.to_user_string() for parent in node.parent_keys)
        for key, node in sorted(NODES.items())
    }
    agreed = json.loads((ROOT / "tests" / "lineage.json").read_text(encoding="utf-8"))
    assert picture == agreed


def test_prelude_defines_only_what_sql_uses() -> None:
    every = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "sql").rglob("*.sql"))
    for name in re.findall(r"temp macro (\w+)\(", read_sql("prelude.sql")):
        assert len(re.findall(rf"\b{name}\(", every)) > 1, name


def test_what_is_made_of_history_says_so() -> None:
    """A table that reads one that keeps history keeps it too, or says here why it does not."""
    # Of the figures that were kept it reads those of its own run date.
    reads_its_own = {("tags/purchase_propensity", "tags/propensity_metrics")}
    tables = {each.asset_key for each in contracts()}
    kept = {each.asset_key.to_user_string() for each in contracts() if each.keeps_history}
    made_of_it = {
        (key.to_user_string(), parent.to_user_string())
        for key, node in NODES.items()
        for parent in node.parent_keys
        if parent.to_user_string() in kept and key in tables
    }
    assert {name for name, _ in made_of_it - reads_its_own} <= kept


def test_the_readme_names_what_keeps_history_and_what_does_not() -> None:
    said = README.read_text(encoding="utf-8")
    assert histories() in said, "`make tables` writes the README's tables anew"
