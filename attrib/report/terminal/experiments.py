"""Experiments on the terminal: what each finding's fix gave, the best configuration, and a table of what was tried."""

from typing import TYPE_CHECKING

from attrib.report.terminal.builds import print_claim
from attrib.report.terminal.text import print_line, text_of
from attrib.report.view.experiment_row import ExperimentRow
from attrib.report.view.experiments import PROVE_HINT, Best, Group
from attrib.report.view.view import FindingView, View
from attrib.units import format_interval
from attrib.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

_MOST_ROWS = 12
_MOST_OF_A_FINDING = 3
_LONGEST_SENTENCE = 600


def finding_lines(item: FindingView) -> list[str]:
    """What the experiments of a finding gave; of a finding that an older attrib verified, its one figure."""
    lines = []
    for row in item.experiments[:_MOST_OF_A_FINDING]:
        flags = row.result.flags
        repeat = f" (`{flags}`)" if flags and "`" not in flags else ""
        lines.append("; ".join(filter(None, (f"{row.result.title}{repeat}: {row.sentence}", _outputs(row)))))
    if (hidden := len(item.experiments) - _MOST_OF_A_FINDING) > 0:
        lines.append(f"and {counted(hidden, 'more experiment')}")
    if not item.experiments and (checked := item.finding.verified):
        gave = format_interval(checked.measured_ns, checked.low_ns, checked.high_ns, sign=False)
        lines.append(f"verified: saved {gave}, outputs {'equal' if checked.outputs_equal else 'changed'}")
    return lines


def print_experiments(console: "Console", view: View) -> None:
    """Print what was tried; where nothing was and something could be, how to prove the findings."""
    if view.provable:
        print_line(console, text_of(PROVE_HINT, "dim"))
    tried = view.experiments
    if tried is None:
        return
    console.print()
    print_line(console, text_of(f"Experiments: {tried.count}. {tried.score}".strip(), "bold"))
    if tried.best:
        print_best(console, tried.best)
    for builds in tried.builds:
        print_claim(console, builds)
    for group in tried.groups:
        print_group(console, group)
    if tried.torch:
        print_line(console, text_of(tried.torch, limit=_LONGEST_SENTENCE), indent=2)
    for row in tried.unmeasured[:_MOST_ROWS]:
        print_line(console, text_of(f"- {row.result.title}: {row.state}", "dim"), indent=2)
    if tried.idle:
        print_line(console, text_of(f"{len(tried.idle)} more would change nothing here", "dim"), indent=2)


def print_best(console: "Console", best: Best) -> None:
    """Print the best configuration found, and the command that captures it."""
    print_line(console, text_of(f"Best configuration found: {best.sentence}"), indent=2)
    if best.command:
        print_line(console, text_of(best.command, "bold"), indent=4)
    if best.note:
        print_line(console, text_of(best.note, "dim"), indent=4)
    if best.row.result.snippet:
        print_line(console, text_of("The same as a Python script is in the report.", "dim"), indent=4)


def print_group(console: "Console", group: Group) -> None:
    """Print a table of experiments that are read together."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for width in (40, 30, 30, None):
        table.add_column(overflow="fold", max_width=width)
    table.add_row(*(text_of(head, "dim") for head in ("Change", "Predicted", "Saved", "")))
    for row in group.rows[:_MOST_ROWS]:
        agreement = row.agreement if row.predicted else ""
        said = ", ".join(filter(None, (agreement, _outputs(row), row.doubt)))
        style = "bold red" if row.agreement == "missed" else ""
        figures = (row.result.title, row.predicted or "-", row.measured)
        table.add_row(*map(text_of, figures), text_of(said, style))
    print_line(console, text_of(group.title, "bold"), indent=2)
    print_line(console, table, indent=4)
    if hidden := group.rows[_MOST_ROWS:]:
        print_line(console, text_of(f"and {len(hidden)} more in the report", "dim"), indent=4)


def _outputs(row: ExperimentRow) -> str:
    return "" if row.outputs in {"", "equal"} else f"outputs {row.outputs}"
