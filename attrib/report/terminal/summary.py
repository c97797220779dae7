"""The summary on the terminal: verdict, causes, top findings. Every string is text, never rich markup."""

from typing import TYPE_CHECKING

from attrib.model.document import Document
from attrib.report.terminal.experiments import finding_lines, print_experiments
from attrib.report.terminal.text import print_line, text_of
from attrib.report.view.breakdown import Breakdown
from attrib.report.view.text import EXPLAIN_HINT, plural
from attrib.report.view.verdict import Alert
from attrib.report.view.view import FindingView, View, view_of
from attrib.report.view.waterfall import Bar
from attrib.units import format_interval, format_ns, format_percent

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_TOP_FINDINGS = 5
_TOP_OPERATORS = 8
_BAR_CELLS = 12
_STYLES = {"slower": "bold yellow", "faster": "bold cyan", "same": "bold", "none": "bold"}
_MARKS = {"error": ("!!", "bold red"), "warning": ("!", "bold yellow"), "note": ("-", "dim")}


def print_summary(document: Document, console: "Console") -> None:
    """Print the verdict, what bears on it, where the difference comes from, and what to do about it."""
    view = view_of(document)
    _alerts(console, view, "error")
    print_line(console, _verdict(view))
    _alerts(console, view, "warning")
    _gaps(console, view)
    if view.waterfall:
        console.print()
        console.print(_causes(view, view.waterfall.bars, console))
        print_line(console, text_of(_coverage(document), "dim"))
        if view.roofline and view.roofline.line:
            print_line(console, text_of(view.roofline.line, "dim"))
        if view.unmatched:
            print_line(
                console, text_of(f"not matched: {view.unmatched.sentence(view.names, view.unit)}", "dim")
            )
    else:
        for breakdown in view.breakdowns:
            console.print()
            console.print(_breakdown(breakdown))
    _findings(console, view)
    print_experiments(console, view)
    _alerts(console, view, "note")
    if view.operators.rows:
        print_line(console, text_of(EXPLAIN_HINT, "dim"))


def _verdict(view: View) -> "Text":
    from rich.text import Text

    verdict = view.verdict
    line = Text.assemble(
        text_of(verdict.lead, _STYLES[verdict.tone]),
        ": " if verdict.figures else "",
        text_of(verdict.figures),
    )
    if verdict.note:
        line.append("\n").append_text(text_of(verdict.note))
    subject = " · ".join((view.title, *view.subtitle))
    return line.append("\n").append_text(text_of(subject, "dim"))


def _alerts(console: "Console", view: View, level: str) -> None:
    for alert in (a for a in view.alerts if a.level == level):
        _alert(console, alert)


def _alert(console: "Console", alert: Alert) -> None:
    from rich.padding import Padding

    mark, style = _MARKS[alert.level]
    print_line(console, text_of(f"{mark} {alert.title}", style))
    for line in alert.lines[:8]:
        fix = f"to fix it: {line.fix}" if line.fix else ""
        for number, text in enumerate(filter(None, (line.text, line.effect, fix))):
            indent = 4 if number else 2
            shown = text_of(text, "dim" if number else "")
            console.print(Padding(shown, (0, 0, 0, indent), expand=False), highlight=False)
    if len(alert.lines) > 8:  # noqa: PLR2004
        print_line(console, text_of(f"  and {len(alert.lines) - 8} more", "dim"))


def _gaps(console: "Console", view: View) -> None:
    """What was not recorded, what that costs, and how to record it."""
    from rich.padding import Padding

    if view.gaps:
        print_line(console, text_of("- Evidence that was not recorded", "bold"))
    for gap in view.gaps:
        for line, style in ((f"{gap.what}: {gap.cost}", ""), (f"  to record it: {gap.how}", "dim")):
            console.print(Padding(text_of(line, style), (0, 0, 0, 2), expand=False), highlight=False)


def _causes(view: View, bars: tuple[Bar, ...], console: "Console") -> "Table":
    """One line a cause: name, delta with interval, and a bar that grows left (saves) or right (costs)."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2), expand=False)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=28)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    largest = max((abs(bar.value_ns) for bar in bars if bar.kind != "total"), default=0)
    plain = console.options.ascii_only
    for bar in bars:
        if bar.kind == "total":
            table.add_row(text_of(bar.label, "bold"), text_of(view.unit.text(bar.value_ns), "bold"), "")
        else:
            table.add_row(
                text_of(f"  {bar.label}"), text_of(_interval(view, bar)), _bar(bar, largest, ascii_only=plain)
            )
    return table


def _interval(view: View, bar: Bar) -> str:
    """All rows in the unit of the step, so that they can be compared by length."""
    return format_interval(bar.value_ns, bar.low_ns, bar.high_ns, scale=view.unit)


def _bar(bar: Bar, largest: int, *, ascii_only: bool) -> "Text":
    """`█████│` saves, `│█████` costs; a thin mark where the interval holds 0."""
    from rich.text import Text

    cells = max(round(_BAR_CELLS * abs(bar.value_ns) / largest), 1) if bar.value_ns and largest else 0
    full, thin, axis = ("#", ".", "|") if ascii_only else ("█", "░", "│")
    drawn = (thin if bar.noise else full) * cells
    saves = bar.value_ns < 0
    left = drawn.rjust(_BAR_CELLS) if saves else " " * _BAR_CELLS
    right = drawn if not saves else ""
    style = "dim" if bar.kind == "remainder" else "cyan" if saves else "yellow"
    word = "  noise" if bar.noise else ""
    return Text.assemble((left, style), (axis, "dim"), (right, style), (word, "dim"))


def _coverage(document: Document) -> str:
    cover = document.coverage
    return (
        f"− saves, + costs time in ONNX Runtime; matched: {format_percent(cover.ort_node_time_mapped)} of node time, "
        f"{format_percent(cover.torch_call_time_mapped)} of call time"
    )


def _breakdown(side: Breakdown) -> "Table":
    from rich.table import Table

    title = text_of(f"{side.name}: profiled step {format_ns(side.step_ns)}", "bold")
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=44)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_row(title, "", "")
    for op in side.ops[:_TOP_OPERATORS]:
        table.add_row(text_of(f"  {op.op}"), text_of(format_ns(op.ns)), text_of(format_percent(op.share)))
    return table


def _findings(console: "Console", view: View) -> None:
    if not view.findings:
        if view.has_delta:
            console.print()
            print_line(
                console, text_of("No finding: no rule found a cost or a saving larger than the noise.")
            )
        return
    console.print()
    for item in view.findings[:_TOP_FINDINGS]:
        _finding(console, item)
    hidden = len(view.findings) - _TOP_FINDINGS
    if hidden > 0:
        print_line(console, text_of(f"and {plural(hidden, 'more finding')} in the report", "dim"))


def _finding(console: "Console", item: FindingView) -> None:
    from rich.padding import Padding

    finding = item.finding
    mark = {"slower": "▲", "faster": "▼", "same": "●"}[item.tone]
    if console.options.ascii_only:
        mark = {"slower": "+", "faster": "-", "same": "*"}[item.tone]
    print_line(console, text_of(f"{mark} {finding.title}", _STYLES[item.tone]))
    for line in _finding_lines(item):
        console.print(Padding(text_of(line), (0, 0, 0, 2), expand=False), highlight=False)


def _finding_lines(item: FindingView) -> list[str]:
    finding = item.finding
    lines = [item.gain.text] if item.gain else []
    lines += [
        f"fix: {line}" if number == 0 else f"     {line}"
        for number, line in enumerate(finding.fix.splitlines())
    ]
    lines += finding_lines(item)
    return lines
