"""Experiments on the terminal: what each finding's fix gave, the best configuration, and a table of what was tried."""

from typing import TYPE_CHECKING

from attrib.report.terminal.text import print_line, text_of
from attrib.report.view.experiment_row import Tried
from attrib.report.view.experiments import PROVE_HINT, Best, Experiments
from attrib.report.view.text import plural
from attrib.report.view.view import FindingView, View
from attrib.units import format_interval

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_TRIED_ROWS = 12
_A_FINDING = 3


def finding_lines(item: FindingView) -> list[str]:
    """What the experiments of a finding gave; of a finding that an older attrib verified, its one figure."""
    if item.tried:
        lines = [_line(tried) for tried in item.tried[:_A_FINDING]]
        hidden = len(item.tried) - _A_FINDING
        return lines + ([f"and {plural(hidden, 'more experiment')}"] if hidden > 0 else [])
    if item.finding.verified is None:
        return []
    checked = item.finding.verified
    gave = format_interval(checked.measured_ns, checked.low_ns, checked.high_ns, sign=False)
    return [f"verified: saved {gave}, outputs {'equal' if checked.outputs_equal else 'changed'}"]


def _line(tried: Tried) -> str:
    flags = tried.result.flags
    repeat = f" (`{flags}`)" if flags and "`" not in flags else ""
    return "; ".join(filter(None, (f"{tried.result.title}{repeat}: {tried.sentence}", _apart(tried))))


def print_experiments(console: "Console", view: View) -> None:
    """Print what was tried; where nothing was and something could be, how to prove the findings."""
    from rich.padding import Padding

    if view.provable:
        print_line(console, text_of(PROVE_HINT, "dim"))
    if view.experiments is None:
        return
    console.print()
    tried = view.experiments
    print_line(console, text_of(f"Experiments: {tried.count}. {tried.score}".strip(), "bold"))
    if tried.best:
        _best(console, tried.best)
    for group in tried.groups:
        print_line(console, text_of(group.title, "bold"), indent=2)
        console.print(Padding(_table(group.tried[:_TRIED_ROWS]), (0, 0, 0, 4), expand=False))
        if hidden := group.tried[_TRIED_ROWS:]:
            print_line(console, text_of(f"and {len(hidden)} more in the report", "dim"), indent=4)
    if tried.torch:
        print_line(console, text_of(tried.torch), indent=2)
    _unmeasured(console, tried)


def _best(console: "Console", best: Best) -> None:
    print_line(console, text_of(f"Best configuration found: {best.sentence}"), indent=2)
    if best.command:
        print_line(console, text_of(best.command, "bold"), indent=4)
    if best.note:
        print_line(console, text_of(best.note, "dim"), indent=4)
    if best.tried.result.snippet:
        print_line(console, text_of("The same as a Python script is in the report.", "dim"), indent=4)


def _table(tried: tuple[Tried, ...]) -> "Table":
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for width in (40, 30, 30, None):
        table.add_column(overflow="fold", max_width=width)
    table.add_row(*(text_of(head, "dim") for head in ("Change", "Predicted", "Saved", "")))
    for item in tried:
        verdict = item.verdict if item.predicted else ""
        said = ", ".join(filter(None, (verdict, _apart(item), "" if item.result.significant else "noise")))
        style = "bold red" if item.verdict == "missed" else ""
        row = (item.result.title, item.predicted or "-", item.measured)
        table.add_row(*map(text_of, row), text_of(said, style))
    return table


def _apart(item: Tried) -> str:
    return "" if item.outputs in {"", "equal"} else f"outputs {item.outputs}"


def _unmeasured(console: "Console", tried: Experiments) -> None:
    for item in tried.unmeasured[:_TRIED_ROWS]:
        print_line(console, text_of(f"- {item.result.title}: {item.state}", "dim"), indent=2)
    if tried.idle:
        print_line(console, text_of(f"{len(tried.idle)} more would change nothing here", "dim"), indent=2)
