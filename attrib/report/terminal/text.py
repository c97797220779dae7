"""Untrusted text on a terminal: lines in which nothing is markup or a control sequence."""

from typing import TYPE_CHECKING

from attrib.report.view.text import code_spans, make_visible, shorten

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

_LINE_LIMIT = 240


def text_of(text: str, style: str = "", *, limit: int = _LINE_LIMIT) -> "Text":
    """Untrusted text as a line; what stands between backticks is bold."""
    from rich.text import Text

    parts = code_spans(shorten(make_visible(text), limit))
    return Text.assemble(*((f"`{part}`", "bold") if code else part for part, code in parts), style=style)


def print_line(console: "Console", shown: "RenderableType", *, indent: int = 0) -> None:
    """Print a line, or a table, that wraps where the terminal ends, below its own first word."""
    from rich.padding import Padding

    console.print(Padding(shown, (0, 0, 0, indent), expand=False) if indent else shown, highlight=False)
