"""The summary on the terminal: verdict, causes, top findings. Every string is text, never rich markup."""

from typing import TYPE_CHECKING

from attrib.model.document import Document
from attrib.report.terminal import sections
from attrib.report.terminal.experiments import print_experiments
from attrib.report.terminal.text import print_line, text_of
from attrib.report.view.text import EXPLAIN_HINT
from attrib.report.view.view import view_of

if TYPE_CHECKING:
    from rich.console import Console


def print_summary(document: Document, console: "Console") -> None:
    """Print the verdict, what bears on it, where the difference comes from, and what to do about it."""
    view = view_of(document)
    sections.print_alerts(console, view, "error")
    sections.print_verdict(console, view)
    sections.print_alerts(console, view, "warning")
    sections.print_gaps(console, view)
    if view.waterfall:
        console.print()
        sections.print_causes(console, view.waterfall)
        legend = f"− saves, + costs time in {view.names['onnxruntime']}"
        print_line(console, text_of(f"{legend}; matched: {view.matched}", "dim"))
        if view.roofline and view.roofline.line:
            print_line(console, text_of(view.roofline.line, "dim"))
        if view.unmatched:
            unmatched = view.unmatched.sentence(view.names, view.unit)
            print_line(console, text_of(f"not matched: {unmatched}", "dim"))
    else:
        for breakdown in view.breakdowns:
            console.print()
            sections.print_breakdown(console, breakdown)
    sections.print_findings(console, view)
    print_experiments(console, view)
    sections.print_alerts(console, view, "note")
    if view.operators.rows:
        print_line(console, text_of(EXPLAIN_HINT, "dim"))
