"""Two builds of ONNX Runtime on the terminal: the sentence, the steps, and the nodes that changed. Every string is text."""

from typing import TYPE_CHECKING

from attrib.report.terminal.diff import print_changes, print_details
from attrib.report.terminal.text import print_line, text_of
from attrib.report.view.builds import BuildsView

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {"slower": "bold yellow", "faster": "bold cyan", "same": "bold", "none": "bold red"}
_SENTENCE_LIMIT = 800
_MOST_DETAILS = 8
_WIDEST = 84
"""Characters of the names of nodes; the terminal may leave them less."""


def print_claim(console: "Console", view: BuildsView) -> None:
    """Print what became of a step with another build, and leave its nodes to the page."""
    print_line(console, text_of(view.sentence, _STYLES[view.tone], limit=_SENTENCE_LIMIT), indent=2)
    for text in (view.figures, *view.remarks, "The nodes of both are in report.html."):
        print_line(console, text_of(text, "dim", limit=_SENTENCE_LIMIT), indent=4)


def print_builds(console: "Console", view: BuildsView) -> None:
    """Print what became of a step with another build, and of its nodes."""
    print_line(console, text_of(view.sentence, _STYLES[view.tone], limit=_SENTENCE_LIMIT))
    for text in (view.figures, view.profile, *view.remarks):
        print_line(console, text_of(text, limit=_SENTENCE_LIMIT))
    heading = f"Nodes: before {view.names[0]}, after {view.names[1]}"
    print_changes(console, view.unit, heading, view.nodes, widest=_WIDEST)
    became = [row for row in view.nodes if " → " in row.detail]
    print_details(console, became[:_MOST_DETAILS])
    if hidden := became[_MOST_DETAILS:]:
        print_line(
            console, text_of(f"and {len(hidden)} more that became other nodes (--json has all)", "dim")
        )
