"""A diff on the terminal: the sentence, what is not the same, and what that changed. Every string is text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrib.report.terminal.text import print_line, text_of
from attrib.report.view.diff import ChangeRow, DiffView
from attrib.units import Unit

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {"slower": "bold yellow", "faster": "bold cyan", "same": "bold", "none": "bold red"}
_ROW_STYLES = {"slower": "yellow", "faster": "cyan", "same": "dim", "none": "dim"}
_SENTENCE_LIMIT = 800
_MOST_ROWS = 12
_MOST_FINDINGS = 10


def print_diff(view: DiffView, console: "Console") -> None:
    """Print a diff.

    Args:
        view: What to show.
        console: Where.
    """
    first, second = view.names
    print_line(console, text_of(view.sentence, _STYLES[view.tone], limit=_SENTENCE_LIMIT))
    for text in (view.figures, *view.remarks):
        if text:
            print_line(console, text_of(text, limit=_SENTENCE_LIMIT))
    print_line(console, text_of(f"{view.title} · before: {first} · after: {second}", "dim"))
    for title, conditions in view.conditions:
        print_line(console, text_of(title, "bold"))
        for one in conditions:
            text = f"{one.what}: {one.before or 'none'} → {one.after or 'none'}"
            print_line(console, text_of(text), indent=2)
    if view.more_conditions:
        print_line(console, text_of(f"and {view.more_conditions} more", "dim"), indent=2)
    for title, rows in (("Difference between the engines, by cause", view.causes), ("By work", view.work)):
        print_changes(console, view.unit, title, rows)
        told = (row for row in rows[:_MOST_ROWS] if row.tone in ("slower", "faster"))
        print_details(console, [row for row in told if " → " in row.detail])
    if view.findings:
        console.print()
    for line in view.findings[:_MOST_FINDINGS]:
        text = f"{line.kind}: {line.title}" + (f" ({line.figures})" if line.figures else "")
        print_line(console, text_of(text))
    if len(view.findings) > _MOST_FINDINGS:
        print_line(console, text_of(f"and {len(view.findings) - _MOST_FINDINGS} more findings", "dim"))


def print_changes(
    console: "Console", unit: Unit, title: str, rows: Sequence[ChangeRow], *, widest: int = 44
) -> None:
    """Print a table of changes, one line a row."""
    from rich.table import Table

    if not rows:
        return
    console.print()
    table = Table.grid(padding=(0, 2), expand=False)
    table.add_column(overflow="fold", max_width=widest)
    for _ in range(3):
        table.add_column(justify="right", no_wrap=True)
    heads = ("before", "after", f"change, {unit.symbol}")
    table.add_row(text_of(title, "bold"), *(text_of(head, "dim") for head in heads))
    for row in rows:
        style = _ROW_STYLES[row.tone]
        figures = (text_of(text, style) for text in (row.before, row.after, row.change))
        table.add_row(text_of(f"  {row.label}", "" if style == "dim" else style), *figures)
    console.print(table)


def print_details(console: "Console", rows: Sequence[ChangeRow]) -> None:
    """Print what rows of a table became."""
    for row in rows:
        print_line(console, text_of(f"{row.label}: {row.detail}", "dim", limit=_SENTENCE_LIMIT), indent=2)
