"""A structural scan of a trace in blocks that end between two events: the floor under every reader.

The parser is called with a JSON array of whole events; nothing is decoded or kept. Blocks are as large as attrib's.
"""

import json
import re
from collections.abc import Callable, Sized
from pathlib import Path

BLOCK = 1 << 18

Parse = Callable[[bytes], Sized]

_FIRST = re.compile(r'"traceEvents"\s*:\s*\[\s*(?=\{)|\A\s*\[\s*(?=\{)')
_GAP = re.compile(r"\s*,\s*")
_KEY = re.compile(r'\{\s*"[^"\\]*"')


def scan(path: Path, parse: Parse) -> int:
    """Entries of the array of events, in all blocks.

    Raises:
        ValueError: A block could not be cut between two events.
    """
    entries = 0
    with path.open("rb") as file:
        held, separator = _begin(file.read(BLOCK))
        while True:
            more = file.read(BLOCK)
            held += more
            if not more:
                return entries + _last(held, parse)
            count, held = _whole(held, separator, parse)
            entries += count


def _begin(head: bytes) -> tuple[bytes, bytes]:
    """The file's beginning from its first event on, and what lies between two events."""
    text = head.decode("latin-1")
    opening = _FIRST.search(text)
    if opening is None:
        raise ValueError("no events in the first block")
    end = json.JSONDecoder(strict=False).raw_decode(text, opening.end())[1]
    gap = _GAP.match(text, end)
    key = _KEY.match(text, gap.end()) if gap else None
    if key is None:
        raise ValueError("one event only")
    return head[opening.end() :], head[end - 1 : key.end()]


def _whole(held: bytes, separator: bytes, parse: Parse) -> tuple[int, bytes]:
    """Parse the events that are held whole; how many, and the rest. A cut inside a string is refused, and moved."""
    cut = held.rfind(separator)
    while cut >= 0:
        try:
            return len(parse(b"[" + held[: cut + 1] + b"]")), held[cut + 1 :].lstrip(b", \t\r\n")
        except ValueError:
            cut = held.rfind(separator, 0, cut)
    return 0, held


def _last(held: bytes, parse: Parse) -> int:
    """The file's end: the events before the bracket that closes the array, wherever that is."""
    cut = held.rfind(b"]")
    while cut >= 0:
        try:
            return len(parse(b"[" + held[: cut + 1]))
        except ValueError:
            cut = held.rfind(b"]", 0, cut)
    raise ValueError("the array of events does not end")
