"""sql/clean and sql/features read events, so a distributed engine must run them as they are.

Refused is what Spark lacks, and what it has under the same name with another meaning.
"""

from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.tokens import TokenType

SQL = Path(__file__).resolve().parent.parent.parent / "sql"
FILES = sorted([*(SQL / "clean").glob("*.sql"), *(SQL / "features").glob("*.sql")])
FILES.append(SQL / "clean" / "touched" / "messages.sql")

FUNCTIONS = frozenset(
    """
    count sum avg min max stddev_samp stddev_pop var_samp var_pop corr max_by min_by median
    percentile_cont count_if bool_or bool_and collect_set
    row_number rank dense_rank ntile percent_rank cume_dist lag lead first_value last_value
    coalesce nullif greatest least abs floor ceil round exp ln log10 log2 sqrt power sign
    chr lower upper trim ltrim rtrim length replace substr left right lpad concat_ws md5
    regexp_extract regexp_like contains
    cast try_cast extract date_trunc datediff unix_timestamp make_date last_day
    year month day hour minute second from_utc_timestamp to_utc_timestamp
    get_json_object json_array_length json_object_keys array_contains array_join sort_array explode
    sequence conv try_divide
    """.split()
)
# Words before a bracket that are no functions.
SYNTAX = frozenset(
    """
    in over filter as on and or not values exists interval partition by then else when select from
    where using with union all group having order rows range between within distinct case lateral
    is decimal numeric varchar join any some
    """.split()
)


def offences(sql: str) -> set[str]:
    """What of a statement another engine would refuse or read otherwise."""
    found = set[str]()
    tokens = sqlglot.tokenize(sql, read="duckdb")
    for before, token, after in zip([None, *tokens], tokens, tokens[1:], strict=False):
        word = token.text.lower()
        is_call = after.token_type == TokenType.L_PAREN and word.isidentifier()
        is_alias = before is not None and before.text.lower() == "as"
        if is_call and not is_alias and word not in SYNTAX | FUNCTIONS:
            found.add(f"function {word}")
        if token.text in ("//", "->", "->>", "[", "{", "::"):
            found.add(f"operator {token.text}")
        if token.token_type == TokenType.STRING and "\\" in token.text:
            found.add("backslash in a literal")
    try:
        tree = sqlglot.parse_one(sql.replace("$", ":"), read="spark")
    except sqlglot.errors.ParseError:
        return found | {"does not parse as Spark"}
    for kind, name in (
        (exp.Qualify, "QUALIFY"),
        (exp.Pivot, "PIVOT"),
        (exp.Lambda, "lambda"),
        (exp.Columns, "COLUMNS"),
        (exp.TableSample, "SAMPLE"),
        (exp.IntDiv, "integer division"),
    ):
        if tree.find(kind):
            found.add(name)
    for star in tree.find_all(exp.Star):
        if isinstance(star.parent, exp.Select):
            found.add("SELECT *")
    for distinct in tree.find_all(exp.Distinct):
        if distinct.args.get("on"):
            found.add("DISTINCT ON")
    for group in tree.find_all(exp.Group):
        if group.args.get("all"):
            found.add("GROUP BY ALL")
    for join in tree.find_all(exp.Join):
        if (join.args.get("method") or "").upper() in ("ASOF", "POSITIONAL"):
            found.add("ASOF join")
        if join.kind in ("SEMI", "ANTI"):
            found.add("SEMI or ANTI join")
    for aggregate in tree.find_all(exp.AggFunc):
        if isinstance(aggregate.this, exp.Order):
            found.add("ORDER BY inside an aggregate")
    for window in tree.find_all(exp.Window):
        is_named = window.args.get("alias")
        if isinstance(window.this, exp.RowNumber) and not window.args.get("order") and not is_named:
            found.add("row_number without ORDER BY")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_event_sized_sql_is_portable(path: Path) -> None:
    assert offences(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    "sql",
    [
        "select * from t",
        "select a from t qualify row_number() over (order by a) = 1",
        "select distinct on (a) a, b from t",
        "select date_diff('minute', a, b) from t",
        "select list(a order by b) from t",
        "select a::int from t",
        "select a // 2 from t",
        "select j ->> '$.a' from t",
        "select a, count(*) from t group by all",
        "select l[1] from t",
        "select any_value(a) from t",
        "select a from t semi join u using (a)",
        "select a from t asof join u on t.a >= u.a",
        "select hash(a) from t",
        r"select regexp_extract(a, '\d+', 0) from t",
    ],
)
def test_what_is_not_portable_is_refused(sql: str) -> None:
    assert offences(sql)
