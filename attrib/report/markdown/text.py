"""Untrusted text in Markdown: prose without markup, code spans, and fenced blocks that nothing in them can end."""

import html
import re

from attrib.report.view.text import code_spans, shorten, visible

_TEXT_LIMIT = 300
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~^$-])")
_BREAK = r"\1<!-- -->"
_LINKING = re.compile(r"(@|#(?=\w)|:(?=//)|www(?=\.))", re.IGNORECASE)
"""After what GitHub would begin a mention, a reference or a link: an empty comment there keeps it text."""


def escaped(text: str, limit: int = _TEXT_LIMIT) -> str:
    """Untrusted prose: but for code spans, no markup, no HTML, no mention and no link comes out of it."""
    parts = code_spans(shorten(visible(text), limit))
    return "".join(code(part, limit) if is_code else _inert(part) for part, is_code in parts)


def _inert(text: str) -> str:
    return _LINKING.sub(_BREAK, _SPECIAL.sub(r"\\\1", html.escape(text, quote=False)))


def code(text: str, limit: int = 120) -> str:
    """Untrusted text as a code span, longer fences around backticks; a bar would end a table cell."""
    shown = shorten(visible(text), limit)
    if not shown:
        return ""
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    pad = " " if "`" in shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}".replace("|", "\\|")


def fenced(text: str) -> str:
    """Untrusted lines as a block of code, its fence longer than any inside."""
    shown = shorten(visible(text, keep_newlines=True), 2000)
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    return f"{fence}\n{shown}\n{fence}"


def summary(text: str, limit: int = 160) -> str:
    """Untrusted text inside an element of our own, such as `<summary>`."""
    return _LINKING.sub(_BREAK, html.escape(shorten(visible(text), limit), quote=False))
