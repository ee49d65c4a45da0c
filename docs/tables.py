"""Writes into the README which tables keep history and which do not: `make tables`."""

from pathlib import Path

from pipelines.catalogue import STAGES, contracts

README = Path(__file__).resolve().parent.parent / "README.md"
_FIRST = "| stage | a function of the files, the shop's folder and as_of alone |"
_NEXT_SECTION = "\n## Adding a table"


def histories() -> str:
    """Two Markdown tables of the contracts: of the files alone by stage, and what keeps history."""
    alone = {
        stage: [
            f"`{each.table}`"
            for each in contracts()
            if each.schema == stage and not each.keeps_history
        ]
        for stage in STAGES
    }
    kept = [
        f"| `{each.name}` | {each.keeps_history} |" for each in contracts() if each.keeps_history
    ]
    return "\n".join(
        [
            _FIRST,
            "|---|---|",
            *(f"| {stage} | {', '.join(tables)} |" for stage, tables in alone.items() if tables),
            "",
            "| keeps history | what, and why |",
            "|---|---|",
            *kept,
            "",
        ]
    )


def main() -> None:
    """Replaces the two tables in the README."""
    text = README.read_text(encoding="utf-8")
    start = text.index(_FIRST)
    end = text.index(_NEXT_SECTION, start)
    README.write_text(text[:start] + histories() + text[end:], encoding="utf-8")


if __name__ == "__main__":
    main()
