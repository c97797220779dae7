"""`attrib rules [ID]`: list the rules, or explain one."""

import difflib

import click

from attrib.errors import UsageError

NAME_GAP = 2
WIDEST = 100
INDENT = "  "


@click.command("rules")
@click.argument("rule_id", metavar="[ID]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(rule_id: str | None, *, as_json: bool) -> None:
    """List the rules that look for causes, or explain the one named ID."""
    rows = described()
    if rule_id is not None:
        rows = [row for row in rows if row["id"] == rule_id]
        if not rows:
            raise unknown(rule_id)
    if as_json:
        import json

        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif rule_id is None:
        click.echo(listing(rows), nl=False)
    else:
        click.echo(explanation(rows[0]), nl=False)


def described() -> list[dict[str, str]]:
    """Every rule as plain strings."""
    from attrib.findings import RULES
    from attrib.findings.runner import NEEDS
    from attrib.model.document import CAUSES

    return [
        {
            "id": rule.id,
            "finding": rule.failed.replace("{}", rule.example),
            "passed": rule.passed,
            "about": rule.about,
            "cause": CAUSES[rule.cause].title if rule.cause else "",
            "needs": ", ".join(NEEDS[need].what for need in rule.needs),
        }
        for rule in RULES
    ]


def listing(rows: list[dict[str, str]]) -> str:
    """One line a rule, in the width of the terminal."""
    formatter = click.HelpFormatter(max_width=WIDEST)
    formatter.write_dl([(row["id"], row["finding"]) for row in rows], col_spacing=NAME_GAP)
    formatter.write_paragraph()
    formatter.write_text("`attrib rules ID` explains one.")
    return formatter.getvalue()


def explanation(row: dict[str, str]) -> str:
    """What one rule looks for, what it says, and what it needs."""
    formatter = click.HelpFormatter(max_width=WIDEST)
    formatter.write_heading(row["id"])
    with formatter.indentation():
        formatter.write_text(row["about"])
        formatter.write_paragraph()
        facts = [("finding", row["finding"]), ("passed", row["passed"]), ("needs", row["needs"])]
        facts.append(
            (
                "share",
                f"ledger rows of the cause {row['cause'].lower()}"
                if row["cause"]
                else "none: it is about the measurement",
            )
        )
        formatter.write_dl(facts, col_spacing=NAME_GAP)
    return formatter.getvalue()


def unknown(rule_id: str) -> UsageError:
    """The error for an id that no rule has, with the nearest one."""
    known = [row["id"] for row in described()]
    near = difflib.get_close_matches(rule_id, known, n=1)
    return UsageError(
        f"no rule is named {rule_id}", hint=f"attrib rules {near[0]}" if near else "attrib rules"
    )
