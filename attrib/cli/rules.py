"""`attrib rules [ID]`: list the rules, or explain one."""

import difflib
from collections.abc import Iterable
from itertools import groupby

import click

from attrib.cli.command import Command
from attrib.cli.rulebook import SHARE_OF_NONE, RuleText, rule_texts
from attrib.errors import UsageError

NAME_GAP = 2
WIDEST = 100


@click.command("rules", cls=Command)
@click.argument("rule_id", metavar="[ID]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(rule_id: str | None, *, as_json: bool) -> None:
    """List the rules that look for causes, or explain the one named ID."""
    rules = rule_texts()
    if rule_id is not None:
        chosen = tuple(rule for rule in rules if rule.id == rule_id)
        if not chosen:
            raise unknown(rule_id, [rule.id for rule in rules])
        rules = chosen
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(rules), indent=2))
    else:
        click.echo(listing(rules) if rule_id is None else explanation(rules[0]), nl=False)


def listing(rules: Iterable[RuleText]) -> str:
    """One line a rule under the heading of its group, in the width of the terminal."""
    formatter = click.HelpFormatter(max_width=WIDEST)
    formatter.write_text("Each rule, and what it says where it fails. The figures are made up.")
    for group, members in groupby(rules, key=lambda rule: rule.group):
        with formatter.section(group):
            formatter.write_dl([(rule.id, example(rule)) for rule in members], col_spacing=NAME_GAP)
    formatter.write_paragraph()
    formatter.write_text("`attrib rules ID` explains one.")
    return formatter.getvalue()


def explanation(rule: RuleText) -> str:
    """What one rule looks for, what it says, what it needs, and how it can be proved."""
    facts = [
        ("finding", example(rule)),
        ("passed", rule.passed),
        ("needs", ", ".join(need.id for need in rule.needs) or "nothing but a trace"),
        ("share", f"ledger rows of the cause {rule.cause.lower()}" if rule.cause else SHARE_OF_NONE),
    ]
    if rule.catalog:
        facts.append(("catalog", "; ".join(f"{entry.id} {entry.title}".strip() for entry in rule.catalog)))
    if not rule.experiments and rule.unproved:
        facts.append(("no experiment", rule.unproved))
    formatter = click.HelpFormatter(max_width=WIDEST)
    formatter.write_heading(rule.id)
    with formatter.indentation():
        formatter.write_text(rule.about)
        formatter.write_paragraph()
        formatter.write_dl(facts, col_spacing=NAME_GAP)
        if rule.experiments:
            formatter.write_paragraph()
            formatter.write_text("`attrib verify TRACE_DIR` can try these, and measures what each gives:")
            with formatter.indentation():
                formatter.write_dl([(e.id, e.title) for e in rule.experiments], col_spacing=NAME_GAP)
    return formatter.getvalue()


def example(rule: RuleText) -> str:
    """The title of a finding, marked as an example, so that it does not read as a result."""
    return f"for example: {rule.finding}"


def unknown(rule_id: str, known: list[str]) -> UsageError:
    """The error for an id that no rule has, with the nearest one."""
    near = difflib.get_close_matches(rule_id, known, n=1)
    return UsageError(
        f"no rule is named {rule_id}", hint=f"attrib rules {near[0]}" if near else "attrib rules"
    )
