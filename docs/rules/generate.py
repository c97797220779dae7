"""Write docs/findings.md and a page for every rule, from the rules themselves: `python docs/rules/generate.py`."""

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from attrib.cli.rulebook import SHARE_OF_NONE, RuleText, rule_texts
from attrib.verify.experiments import EXPERIMENTS
from attrib.verify.protocol import Experiment

ROOT = Path(__file__).resolve().parents[2]
RULES = Path("docs/rules")
FINDINGS = Path("docs/findings.md")
COMMAND = "python docs/rules/generate.py"
NONE = "-"

INTRODUCTION = f"""# Findings: every rule, and how it is proved

A rule fails only where the interval of its ledger rows supports it ([method.md](method.md), section 7). `attrib rules ID`
prints what is here about one rule. "Says, for example" is its title where it fails, with made-up figures. "Catalog" are the
numbers of causes known from public threads, named on each rule's page. The last two columns link tests in which the rule
fires and passes. This page is written by `{COMMAND}`.
"""

EXPERIMENTS_INTRODUCTION = """## Experiments

`attrib verify TRACE_DIR` applies a change, measures plain steps of both in turn, compares the outputs, and writes what was
predicted beside what was measured. An experiment is nothing but other flags of `attrib profile`; a family has several
variants.
"""


class Proof(NamedTuple):
    """A test that shows a rule."""

    path: str
    name: str


Proofs = Mapping[tuple[str, str], list[Proof]]
"""Tests by rule and outcome."""


def proofs(tests: Path) -> Proofs:
    """The tests that are marked `@pytest.mark.rule(ID, OUTCOME)`, read without being imported."""
    found: dict[tuple[str, str], list[Proof]] = {}
    for path in sorted(tests.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for marked in dict.fromkeys(_marks(node)):
                    found.setdefault(marked, []).append(Proof(path.relative_to(ROOT).as_posix(), node.name))
    return found


def _marks(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """What a test is marked with, in a decorator of its own or in one of its parameters."""
    for decorator in function.decorator_list:
        for node in ast.walk(decorator):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.rule":
                rule, outcome = (ast.literal_eval(argument) for argument in node.args)
                yield rule, outcome


def pages(tests: Path = ROOT / "tests") -> dict[Path, str]:
    """Every generated file by its path in the project."""
    rules = rule_texts()
    made = {RULES / f"{rule.id}.md": rule_page(rule) for rule in rules}
    return {FINDINGS: findings_page(rules, proofs(tests)), **made}


def findings_page(rules: Iterable[RuleText], shown: Proofs) -> str:
    """Every rule and every experiment in a table."""
    lines = [INTRODUCTION]
    for group, members in groupby(rules, key=lambda rule: rule.group):
        heads = (
            "rule",
            "catalog",
            "says, for example",
            "evidence needed",
            "experiments",
            "fires in",
            "passes in",
        )
        lines += [f"## {group}\n", *_table(heads, (_rule_row(rule, shown) for rule in members)), ""]
    heads = ("experiment", "what it changes", "flags", "side", "prediction", "numbers", "proves")
    lines += [EXPERIMENTS_INTRODUCTION, *_table(heads, map(_experiment_row, EXPERIMENTS))]
    return "\n".join(lines) + "\n"


def _rule_row(rule: RuleText, shown: Proofs) -> Iterator[str]:
    yield f"[{rule.id}](rules/{rule.id}.md)"
    yield ", ".join(entry.id for entry in rule.catalog) or NONE
    yield rule.finding
    yield "; ".join(need.id for need in rule.needs) or "a trace"
    yield ", ".join(f"`{one.id}`" for one in rule.experiments) or f"none: {rule.unproved}"
    for outcome in ("fires", "passes"):
        tests = shown.get((rule.id, outcome), [])
        yield "<br>".join(f"[{test.name}](../{test.path})" for test in tests[:2]) or NONE


def _experiment_row(experiment: Experiment) -> Iterator[str]:
    proved = [rule.id for rule in rule_texts() if experiment.id in {one.id for one in rule.experiments}]
    yield f"`{experiment.id}`"
    yield f"{experiment.title}: {experiment.about}"
    yield f"`{experiment.flags}`"
    yield {"torch": "PyTorch", "onnxruntime": "ONNX Runtime"}[experiment.side]
    yield experiment.basis
    yield "changed, and shown" if experiment.changes_numbers else "kept"
    yield ", ".join(f"[{rule}](rules/{rule}.md)" for rule in proved) or NONE


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    names = list(heads)
    yield f"| {' | '.join(names)} |"
    yield f"|{':--|' * len(names)}"
    for row in rows:
        yield f"| {' | '.join(_cell(text) for text in row)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def rule_page(rule: RuleText) -> str:
    """One rule."""
    source = next((ROOT / "attrib/findings/rules").glob(f"*/{rule.id.replace('-', '_')}.py")).relative_to(
        ROOT
    )
    share = f"ledger rows of the cause “{rule.cause}”" if rule.cause else SHARE_OF_NONE
    says = (
        ("where it fails, for example", rule.finding),
        ("where it passes", rule.passed),
        ("share of the difference", share),
    )
    parts = (
        f"# {rule.id}",
        rule.about,
        "\n".join(_table(("it says", ""), says)),
        _needed(rule),
        _proved(rule),
        _covered(rule),
        f"[All rules](../findings.md) · [{source}](../../{source}) · written by `{COMMAND}`",
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _needed(rule: RuleText) -> str:
    needs = [f"- {need.id}: {need.title}" for need in rule.needs]
    return "\n".join(["## Evidence it needs", "", *needs]) if needs else ""


def _proved(rule: RuleText) -> str:
    if not rule.experiments:
        return f"## No experiment proves it\n\n{rule.unproved}" if rule.unproved else ""
    rows = ((f"`{one.id}`", one.title) for one in rule.experiments)
    table = _table(("experiment", "what it changes"), rows)
    lead = f"`attrib verify TRACE_DIR --finding {rule.id}` tries these, as far as they change anything:"
    return "\n".join(["## How it is proved", "", lead, "", *table])


def _covered(rule: RuleText) -> str:
    entries = [f"- {entry.id}: {entry.title}" for entry in rule.catalog]
    return "\n".join(["## Causes it covers", "", *entries]) if entries else ""


def write(made: Mapping[Path, str], root: Path = ROOT) -> list[Path]:
    """Write the pages; those of rules that are gone are removed."""
    for stale in set((root / RULES).glob("*.md")) - {root / path for path in made}:
        stale.unlink()
    for path, text in made.items():
        (root / path).write_text(text, encoding="utf-8")
    return sorted(made)


if __name__ == "__main__":
    for written in write(pages()):
        sys.stdout.write(f"{written.as_posix()}\n")
