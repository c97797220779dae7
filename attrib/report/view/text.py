"""Strings from models and traces, made fit to be shown: visible, bounded, and usable in a link."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable
from urllib.parse import quote

EXPLAIN_HINT = "`attrib explain TRACE_DIR NAME` shows what is behind a node, a call, a module or a row."

_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LAST_LATIN_1 = 0xFF
_LINE_ENDS = str.maketrans("\n\t\r", "   ")
_ANCHOR_LIMIT = 96


def make_visible(text: str, *, keep_newlines: bool = False) -> str:
    """Show what cannot be seen: control, format (bidi) and unassigned characters and lone surrogates as escapes.

    Args:
        text: Any string.
        keep_newlines: Leave line ends as they are, for text that is meant to have several lines.
    """
    if text.isprintable():
        return text
    if keep_newlines:
        return "\n".join(make_visible(line) for line in text.replace("\r\n", "\n").split("\n"))
    shown = []
    for char in text:
        if char.isprintable() or unicodedata.category(char) == "Zs":
            shown.append(char)
        else:
            code = ord(char)
            escape = f"\\x{code:02x}" if code <= _LAST_LATIN_1 else f"\\u{{{code:04x}}}"
            shown.append(_ESCAPES.get(char, escape))
    return "".join(shown)


def one_line(text: str) -> str:
    """Text that may hold several lines, such as an error of a library, on one line and visible."""
    return make_visible(text.translate(_LINE_ENDS))


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, with an ellipsis two thirds in: ends of qualified names tell more than middles."""
    if len(text) <= limit:
        return text
    tail = limit // 3
    return f"{text[: limit - tail - 1]}…{text[len(text) - tail :]}"


def anchor(text: str) -> str:
    """The text as a fragment of a link: ASCII, no blanks, bounded; different texts give different fragments."""
    safe = quote(text.encode("utf-8", "backslashreplace"), safe="/:@._-~$()*+,;=")
    if len(safe) <= _ANCHOR_LIMIT:
        return safe
    digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:12]
    return f"{safe[: _ANCHOR_LIMIT - 13].rpartition('%')[0] or safe[: _ANCHOR_LIMIT - 13]}~{digest}"


def count_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names in order of first appearance, with `×n` where one appears n times."""
    counts = Counter(names)
    return tuple(name if count == 1 else f"{name} ×{count}" for name, count in counts.items())


def code_spans(text: str) -> list[tuple[str, bool]]:
    """Split a sentence at its backticks: each part, and whether it is code. A lone backtick is just a character."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        pieces[-2:] = ["`".join(pieces[-2:])]
    return [(piece, number % 2 == 1) for number, piece in enumerate(pieces) if piece]
