"""The bytes of a trace file that are held in memory, and where the JSON values in them end."""

import json
import re
from typing import NamedTuple

import msgspec

from attrib.errors import AttribError
from attrib.traces.io.source import TraceSource

BLOCK = 1 << 18
"""Bytes decoded at a time: larger blocks leave the processor's cache and were measured to be slower."""

LARGEST_VALUE = 1 << 26
"""One event, or one fact beside the events, may take this many bytes."""

LARGEST_MENDED = 1 << 22
"""One that is not strict JSON may take these: Python's scanner, which forgives more, needs twenty times as many."""

MOST_SPACE = 1 << 26
"""White space between two values that a file may hold."""

SPACE = b" \t\r\n"
RECORD_AGAIN = "record the trace again (the recording process may have been killed), or get an intact copy"
OR_LENIENT = "`attrib report` and `attrib inspect` read what is whole with --lenient"

_SPACE = re.compile(rb"[ \t\r\n]*")
_PLACE = re.compile(r"\(byte (\d+)\)$")
_BEHIND = "trailing characters"
_PREFIX = "JSON is malformed: "
_FORGIVEN = re.compile(
    "invalid|escape"
)  # what Python's scanner may take: control characters, lone surrogates, NaN
_UNTERMINATED = "Unterminated string"
_LITERAL = 16
"""The scanner may stop this far before the end only because a literal, a number or an escape goes on there."""

_FORGIVING = (1 << 12, 1 << 16, 1 << 19, LARGEST_MENDED)
"""Bytes looked at one after the other: an event is small, and each look costs a copy."""

_skip = msgspec.json.Decoder(msgspec.Raw).decode
_scan = json.JSONDecoder(strict=False, parse_int=str, parse_float=str, parse_constant=str).raw_decode


class Scanned(NamedTuple):
    """One JSON value in the window, or why there is none.

    Attributes:
        end: Where it ends; -1 where it cannot be read.
        problem: Why.
        stop: Where the scanner stopped.
        open: Whether it is no more than unfinished: more of the file may complete it.
    """

    end: int
    problem: str = ""
    stop: int = 0
    open: bool = False


class Window:
    """The bytes at hand, of which those before `at` are used up.

    Attributes:
        data: Bytes of the file, one piece.
        at: The next of them.
        ended: Whether the file holds no more.
        reach: Bytes that one value may take.
    """

    def __init__(self, source: TraceSource) -> None:
        self.data = b""
        self.at = 0
        self.ended = False
        self.reach = LARGEST_VALUE
        self.source = source

    @property
    def position(self) -> int:
        """Bytes of the file used up, after unpacking."""
        return self.source.offset - len(self.data) + self.at

    @property
    def held(self) -> int:
        """Bytes at hand."""
        return len(self.data) - self.at

    def fill(self, size: int) -> None:
        """Hold at least so many bytes, if the file has them."""
        missing = size - self.held
        if missing > 0 and not self.ended:
            more = self.source.read(missing)
            self.ended = len(more) < missing
            self.data, self.at = self.data[self.at :] + more, 0

    def peek(self) -> bytes:
        """The next byte that is not white space, reading on as needed; empty at the end of the file."""
        passed = 0
        while True:
            at = self.after_space(self.at)
            passed += at - self.at
            self.at = at
            if at < len(self.data) or self.ended:
                return self.data[at : at + 1]
            if passed > MOST_SPACE:
                problem = f"more than {MOST_SPACE >> 20} MiB of white space before byte {self.position:,}"
                raise AttribError(f"{self.source.name}: {problem}: not a trace", hint=RECORD_AGAIN)
            self.fill(BLOCK)

    def after_space(self, start: int) -> int:
        """The first place from `start` on that is not white space."""
        match = _SPACE.match(self.data, start)
        return match.end() if match else start

    def value(self, start: int) -> Scanned:
        """Find the end of the JSON value that begins at `start`, without building anything of it."""
        try:
            _skip(memoryview(self.data)[start : start + self.reach])
        except RecursionError:
            return Scanned(-1, "nested too deeply", start)
        except msgspec.DecodeError as error:
            place = _PLACE.search(str(error))
            if place is not None and _BEHIND in str(error):
                end = start + int(place[1]) - 1
                return Scanned(start + len(self.data[start:end].rstrip(SPACE)))
            if place is None and not self.ended:
                return Scanned(-1, "no end in sight", start, open=True)
            if place is not None and not _FORGIVEN.search(str(error)):
                problem = str(error)[: place.start()].removeprefix(_PREFIX).strip()
                return Scanned(-1, problem, start + int(place[1]))
            return self._value_by_python(start)
        return Scanned(start + len(self.data[start : start + self.reach].rstrip(SPACE)))

    def _value_by_python(self, start: int) -> Scanned:
        """The value by Python's scanner, which takes control characters in strings and lone surrogates."""
        for size in _FORGIVING:
            text = self.data[start : start + min(size, self.reach)].decode("latin-1")
            try:
                found = Scanned(start + _scan(text)[1])
            except RecursionError:
                return Scanned(-1, "nested too deeply", start)
            except json.JSONDecodeError as error:
                near_the_end = error.pos + _LITERAL > len(text) or error.msg.startswith(_UNTERMINATED)
                found = Scanned(-1, error.msg.lower(), start + error.pos, open=near_the_end)
            if start + size >= len(self.data) or not (found.open or found.end == start + size):
                return found
        return Scanned(-1, f"not strict JSON, and more than {LARGEST_MENDED >> 10:,} KiB", start)
