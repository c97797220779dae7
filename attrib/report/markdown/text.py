"""Untrusted text in Markdown: prose without markup, code spans, and fenced blocks that nothing in them can end."""

import html
import re

from attrib.report.view.text import code_spans, make_visible, shorten

_TEXT_LIMIT = 300
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~^$-])")
_BREAK = r"\1<!-- -->"
_LINKING = re.compile(r"(@|#(?=\w)|:(?=//)|www(?=\.))", re.IGNORECASE)
"""After what GitHub would begin a mention, a reference or a link: an empty comment there keeps it text."""


def escape(text: str, limit: int = _TEXT_LIMIT) -> str:
    """Untrusted prose: but for code spans, no markup, no HTML, no mention and no link comes out of it."""
    parts = []
    for part, is_code in code_spans(shorten(make_visible(text), limit)):
        inert = _SPECIAL.sub(r"\\\1", html.escape(part, quote=False))
        parts.append(code(part, limit) if is_code else _LINKING.sub(_BREAK, inert))
    return "".join(parts)


def code(text: str, limit: int = 120) -> str:
    """Untrusted text as a code span, longer fences around backticks; a bar would end a table cell."""
    shown = shorten(make_visible(text), limit)
    if not shown:
        return ""
    fence = _fence(shown, 1)
    pad = " " if "`" in shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}".replace("|", "\\|")


def fence_code(text: str) -> str:
    """Untrusted lines as a block of code, its fence longer than any inside."""
    shown = shorten(make_visible(text, keep_newlines=True), 2000)
    fence = _fence(shown, 3)
    return f"{fence}\n{shown}\n{fence}"


def _fence(text: str, shortest: int) -> str:
    """Backticks that nothing in the text can end: one more than the longest run in it."""
    return "`" * max(shortest, max((len(run) for run in re.findall("`+", text)), default=0) + 1)


def summary(text: str, limit: int = 160) -> str:
    """Untrusted text inside an element of our own, such as `<summary>`."""
    return _LINKING.sub(_BREAK, html.escape(shorten(make_visible(text), limit), quote=False))


def fold(title: str, *parts: str) -> str:
    """A section that opens when its title is clicked; the title and the parts are Markdown of our own."""
    whole = (f"<details><summary>{title}</summary>", *parts, "</details>")
    return "\n\n".join(part for part in whole if part)


def table_row(*cells: str) -> str:
    """Cells, already escaped, as one row of a table."""
    return "".join(f"| {cell} " if cell else "| " for cell in cells) + "|"
