"""A table of changes in Markdown: of two captures, or of two builds of ONNX Runtime."""

from collections.abc import Sequence

from attrib.report.markdown.text import escape, table_row
from attrib.report.view.diff import ChangeRow
from attrib.units import Unit

MARKS = {"slower": "▲", "faster": "▼", "same": "", "none": ""}
"""Before what became slower or faster for certain."""


def changes_table(title: str, unit: Unit, rows: Sequence[ChangeRow], *, details: bool = False) -> str:
    """A table of changes, with what each became below its name where `details` are wanted; empty without rows."""
    if not rows:
        return ""
    head = table_row(title, "Before", "After", f"Change, {unit.symbol}")
    lines = [head, "|:--|--:|--:|--:|"]
    for row in rows:
        label = " ".join(filter(None, (MARKS[row.tone], escape(row.label))))
        detail = f"<br>{escape(row.detail)}" if details and row.detail else ""
        lines.append(table_row(f"{label}{detail}", row.before, row.after, row.change))
    return "\n".join(lines)
