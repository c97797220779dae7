"""The parts of the summary on a terminal, from the verdict to the findings."""

from typing import TYPE_CHECKING

from attrib.report.terminal.experiments import finding_lines
from attrib.report.terminal.text import print_line, text_of
from attrib.report.view.breakdown import Breakdown
from attrib.report.view.verdict import Level
from attrib.report.view.view import View
from attrib.report.view.waterfall import Bar, Waterfall
from attrib.units import format_ns, format_percent
from attrib.wording import counted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_TOP_FINDINGS = 5
_TOP_OPERATORS = 8
_MOST_ALERT_LINES = 8
_BAR_CELLS = 9
_SENTENCE_LIMIT = 800
_FIX_LIMIT = 4000
"""A command that is cut cannot be run."""
_STYLES = {"slower": "bold yellow", "faster": "bold cyan", "same": "bold", "none": "bold"}
_ALERT_MARKS = {"error": ("!!", "bold red"), "warning": ("!", "bold yellow"), "note": ("-", "dim")}
_TONE_MARKS = {"slower": "▲", "faster": "▼", "same": "●"}
_TONE_MARKS_ASCII = {"slower": "+", "faster": "-", "same": "*"}


def print_verdict(console: "Console", view: View) -> None:
    """Print the sentence, its figures, why, and what was run."""
    from rich.text import Text

    verdict = view.verdict
    lines = [
        text_of(verdict.sentence, _STYLES[verdict.tone], limit=_SENTENCE_LIMIT),
        text_of(verdict.figures),
        text_of(verdict.why, limit=_SENTENCE_LIMIT),
        text_of(verdict.remark, "dim", limit=_SENTENCE_LIMIT),
        text_of(" · ".join((view.title, *view.subtitle)), "dim"),
    ]
    print_line(console, Text("\n").join(line for line in lines if line))


def print_alerts(console: "Console", view: View, level: Level) -> None:
    """Print the alerts of one level: what was seen, how it bends the result, and how to fix it."""
    for alert in (alert for alert in view.alerts if alert.level == level):
        mark, style = _ALERT_MARKS[level]
        print_line(console, text_of(f"{mark} {alert.title}", style))
        for line in alert.lines[:_MOST_ALERT_LINES]:
            print_line(console, text_of(line.text, limit=_SENTENCE_LIMIT), indent=2)
            for text in filter(None, (line.effect, line.fix and f"to fix it: {line.fix}")):
                print_line(console, text_of(text, "dim", limit=_FIX_LIMIT), indent=4)
        if len(alert.lines) > _MOST_ALERT_LINES:
            print_line(console, text_of(f"  and {len(alert.lines) - _MOST_ALERT_LINES} more", "dim"))


def print_gaps(console: "Console", view: View) -> None:
    """Print what was not recorded, what that costs, and how to record it."""
    if view.gaps:
        print_line(console, text_of("- Evidence that was not recorded", "bold"))
    for gap in view.gaps:
        print_line(console, text_of(f"{gap.what}: {gap.cost}"), indent=2)
        print_line(console, text_of(f"  to record it: {gap.how}", "dim"), indent=2)


def print_causes(console: "Console", waterfall: Waterfall) -> None:
    """Print one line per bar: name, value, interval, and a bar that grows left (saves) or right (costs).

    All figures are in the unit of the step, so that they can be compared by length.
    """
    from rich.table import Table

    table = Table.grid(padding=(0, 2), expand=False)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=28)
    for _ in range(2):
        table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_row(text_of(f"{waterfall.unit.symbol} a step", "dim"), "", text_of("95 % interval", "dim"), "")
    largest = max((abs(bar.value_ns) for bar in waterfall.bars if bar.kind != "total"), default=0)
    for bar in waterfall.bars:
        total = bar.kind == "total"
        style = "bold" if total else "dim" if bar.hollow else ""
        drawn = "" if total else cause_bar(bar, largest, waterfall, ascii_only=console.options.ascii_only)
        label = text_of(bar.label if total else f"  {bar.label}", style)
        table.add_row(label, text_of(waterfall.value(bar), style), text_of(waterfall.ends(bar), "dim"), drawn)
    console.print(table)


def cause_bar(bar: Bar, largest: int, waterfall: Waterfall, *, ascii_only: bool) -> "Text":
    """`█████│` saves, `│█████` costs; a thin mark where the interval holds 0, or where no cause is reliable."""
    from rich.text import Text

    cells = max(round(_BAR_CELLS * abs(bar.value_ns) / largest), 1) if bar.value_ns and largest else 0
    full, thin, axis = ("#", ".", "|") if ascii_only else ("█", "░", "│")
    noise = bar.low_ns <= 0 <= bar.high_ns
    drawn = (thin if bar.hollow or noise else full) * cells
    saves = bar.value_ns < 0
    left = drawn.rjust(_BAR_CELLS) if saves else " " * _BAR_CELLS
    right = drawn if not saves else ""
    style = "dim" if bar.hollow or bar.kind == "remainder" else "cyan" if saves else "yellow"
    word = "  noise" if noise else "  unsure" if not waterfall.reliable and bar.hollow else ""
    return Text.assemble((left, style), (axis, "dim"), (right, style), (word, "dim"))


def print_breakdown(console: "Console", side: Breakdown) -> None:
    """Print where the profiled step of one side goes, by op type."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=44)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_row(text_of(f"{side.name}: profiled step {format_ns(side.step_ns)}", "bold"), "", "")
    for op in side.ops[:_TOP_OPERATORS]:
        table.add_row(text_of(f"  {op.op}"), text_of(format_ns(op.ns)), text_of(format_percent(op.share)))
    console.print(table)


def print_findings(console: "Console", view: View) -> None:
    """Print the findings that matter most; without any, that there is none."""
    if not view.findings and view.has_delta:
        console.print()
        print_line(console, text_of("No finding: no rule found a cost or a saving larger than the noise."))
    if view.findings:
        console.print()
    marks = _TONE_MARKS_ASCII if console.options.ascii_only else _TONE_MARKS
    for item in view.findings[:_TOP_FINDINGS]:
        print_line(console, text_of(f"{marks[item.tone]} {item.finding.title}", _STYLES[item.tone]))
        if item.gain:
            print_line(console, text_of(item.gain.text), indent=2)
        for number, line in enumerate(item.finding.fix.splitlines()):
            told = f"fix: {line}" if number == 0 else f"     {line}"
            print_line(console, text_of(told, limit=_FIX_LIMIT), indent=2)
        for line in finding_lines(item):
            print_line(console, text_of(line), indent=2)
    if (hidden := len(view.findings) - _TOP_FINDINGS) > 0:
        print_line(console, text_of(f"and {counted(hidden, 'more finding')} in the report", "dim"))
