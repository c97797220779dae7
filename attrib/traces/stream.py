"""A trace file as blocks of whole events; the file is never held as a whole.

Both formats are one array of events, alone or as `traceEvents` of an object. A block ends where the separator
of two events was last seen. That this place really lies between two events needs no proof beforehand: an
array that is cut anywhere else (inside a string, inside an argument) is not valid JSON once a bracket closes
it, so the decoder refuses it and the exact scanner splits the block instead.
"""

import json
import re
from collections.abc import Iterator, Sized
from typing import Literal, NamedTuple, Protocol, TypeVar

import msgspec

from attrib.errors import AttribError
from attrib.model.events import Damage
from attrib.traces.source import Source

BLOCK = 1 << 18
"""Bytes decoded at a time: larger blocks leave the processor's cache and were measured to be slower."""

LARGEST_VALUE = 1 << 26
"""One event, or one fact beside the events, may take this many bytes."""

MOST_MENDED = 50
"""Places of one block at which the scanner may stop for `nan`: each costs another scan of the event."""

E = TypeVar("E")
B_co = TypeVar("B_co", bound=Sized, covariant=True)
B = TypeVar("B", bound=Sized)

REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What the decoder raises for a block that it cannot take as it is."""

RECORD_AGAIN = "record the trace again (the recording process may have been killed), or get an intact copy"

_SPACE = re.compile(r"[ \t\r\n]*")
_FIRST_KEY = re.compile(rb'\{\s*"[^"\\]*"')
# `inf` and `nan` where JSON wants a number: older Kineto wrote them for occupancy figures. The closing quote
# of a key cannot be part of a string, so the first pattern never touches one; the second is used where the
# scanner stopped.
_MEMBER_NOT_A_NUMBER = re.compile(r'(?<=[^\\]":)\s*-?(?:nan|inf)(?=\s*[,}])', re.IGNORECASE)
_NOT_A_NUMBER = re.compile(r"-?(?:nan|inf)(?=\s*[,\]}])", re.IGNORECASE)
_scan = json.JSONDecoder(strict=False, parse_int=str, parse_float=str, parse_constant=str).raw_decode


class Span(NamedTuple):
    """Where one event lies in the block."""

    start: int
    end: int


class EventDecoder(Protocol[B_co, E]):
    """How one format's events are read."""

    def decode(self, block: bytes) -> B_co:
        """Decode a JSON array of events; raises one of `REFUSED` where it is not what the format says."""
        ...

    def rescue(self, event: bytes) -> E:
        """Decode one event that is not; raises ValueError where nothing can be made of it."""
        ...

    def batch(self, events: list[E]) -> B_co:
        """What `decode` returns, of rescued events."""
        ...

    def split(self, text: str) -> list[Span]:
        """Events of a block whose JSON is broken, by the format's layout; empty where that does not help."""
        ...


class EventStream:
    """Walks one file: first the facts before the events, then the events, then the facts after them.

    Attributes:
        container: Whether the file is an object that holds the events or the array itself.
        facts: Raw JSON of the wanted top-level members met so far.
        count: Events met so far, of every phase.
        damage: What could not be read, once `blocks` is through; strict streams raise instead.
    """

    def __init__(
        self, source: Source, wanted: frozenset[str] = frozenset(), *, lenient: bool = False
    ) -> None:
        self.damage: Damage | None = None
        self._lenient = lenient
        self.facts: dict[str, str] = {}
        self.count = 0
        self._source = source
        self._wanted = wanted
        self._data = b""
        self._ended = False
        self._separator = b""
        self.container: Literal["object", "array"] = self._open()
        self._in_events = self.container == "array" or self._walk_members()
        if not self._in_events:
            raise AttribError(
                f"{self.name}: a JSON object without traceEvents is not a trace",
                hint="give the file that torch.profiler or ONNX Runtime's profiling wrote",
            )

    @property
    def name(self) -> str:
        """The file, for messages."""
        return self._source.name

    @property
    def position(self) -> int:
        """Bytes consumed so far, after unpacking."""
        return self._source.offset - len(self._data)

    def sample(self) -> bytes:
        """The beginning of the events, without consuming it."""
        self._fill(BLOCK)
        return self._data[:BLOCK]

    def blocks(self, decoder: EventDecoder[B, E]) -> Iterator[B]:
        """Every event of the file, in order, some hundreds at a time.

        Raises:
            AttribError: The file ends too early or is not valid JSON, with the event's number and the byte.
        """
        try:
            yield from self._blocks(decoder)
        except AttribError as error:
            if not self._lenient:
                raise
            self.damage = Damage(
                file=self.name,
                reason=str(error),
                offset=self.position,
                event=self.count,
                recovered=self.count,
                lost=1,
                lost_bytes=len(self._data),
                cut=True,
            )

    def _blocks(self, decoder: EventDecoder[B, E]) -> Iterator[B]:
        while self._in_events:
            while (following := self._peek()) != "]":
                if not following:
                    raise self._malformed("the file ends without its closing ]")
                batch = self._fast(decoder)
                if batch is None:
                    batch = self._exact(decoder)
                self.count += len(batch)
                yield batch
                self._pass_comma("]")
            self._take(1)
            self._in_events = self.container == "object" and self._walk_members()
        if self._peek():
            raise self._malformed("something follows the end of the trace")

    def _open(self) -> Literal["object", "array"]:
        self._fill(BLOCK)
        if self._data.startswith(b"\xef\xbb\xbf"):
            self._take(3)
        first = self._peek()
        if first not in ("{", "["):
            raise AttribError(
                f"{self.name}: not a trace: JSON begins with {{ or [, this file does not"
                f" ({f'0x{self._data[:1].hex()}' if first else 'nothing'} at byte {self.position:,})",
                hint="attrib reads Kineto traces and ONNX Runtime profiles, plain or gzip",
            )
        self._take(1)
        return "object" if first == "{" else "array"

    def _walk_members(self) -> bool:
        """Walk the members of the top-level object up to the events; False at the object's end."""
        if self._peek() == ",":
            self._take(1)
        while (following := self._peek()) != "}":
            if not following:
                raise self._malformed("the file ends without its closing }")
            key = self._value()
            if self._peek() != ":":
                raise self._malformed("expected a colon")
            self._take(1)
            if key == '"traceEvents"' and self._peek() == "[":
                self._take(1)
                return True
            self._keep(key, self._value())
            self._pass_comma("}")
        self._take(1)
        return False

    def _keep(self, key: str, value: str) -> None:
        if key[1:-1] in self._wanted:
            self.facts[key[1:-1]] = value

    def _value(self) -> str:
        """Consume one JSON value, whatever its size, and return its text (one character a byte)."""
        self._peek()
        while True:
            text = self._data.decode("latin-1")
            problem: Exception | None = None
            try:
                end = _scan(text)[1]
            except (ValueError, RecursionError) as error:
                problem = error
            if problem is None and (end < len(text) or self._ended):
                self._take(end)
                return text[:end]
            self._grow(problem)

    def _grow(self, problem: Exception | None) -> None:
        """Hold four times as much of the file, because what is held ends in the middle of a value."""
        if self._ended or len(self._data) >= LARGEST_VALUE:
            reason = problem.msg.lower() if isinstance(problem, json.JSONDecodeError) else "no end in sight"
            raise self._malformed(reason, problem.pos if isinstance(problem, json.JSONDecodeError) else 0)
        self._fill(max(4 * len(self._data), BLOCK))

    def _fill(self, size: int) -> None:
        while len(self._data) < size and not self._ended:
            more = self._source.read(size - len(self._data))
            self._ended = not more
            self._data += more

    def _take(self, size: int) -> None:
        self._data = self._data[size:]

    def _peek(self) -> str:
        """The next character that is not white space, reading on as needed; empty at the end of the file."""
        self._data = self._data.lstrip(b" \t\r\n")
        while len(self._data) < BLOCK and not self._ended:
            self._fill(BLOCK)
            self._data = self._data.lstrip(b" \t\r\n")
        return self._data[:1].decode("latin-1")

    def _pass_comma(self, closing: str) -> None:
        following = self._peek()
        if following == ",":
            self._take(1)
        elif not following:
            raise self._malformed(f"the file ends without its closing {closing}")
        elif following != closing:
            raise self._malformed(f"expected , or {closing}")

    def _fast(self, decoder: EventDecoder[B, E]) -> B | None:
        cut = self._data.rfind(self._separator) if self._separator else -1
        if cut < 0:
            return None
        try:
            batch = decoder.decode(b"[" + self._data[: cut + 1] + b"]")
        except REFUSED:
            return None
        self._take(cut + 1)
        return batch

    def _exact(self, decoder: EventDecoder[B, E]) -> B:
        """Split the block with the scanner, event by event, and rescue what the decoder refuses."""
        spans, problem = self._spans(decoder)
        while not spans:
            self._grow(problem)
            spans, problem = self._spans(decoder)
        self._learn_separator(spans)
        end = spans[-1].end
        try:
            batch = decoder.decode(b"[" + self._data[:end] + b"]")
        except REFUSED:
            batch = decoder.batch([self._rescue(decoder, number, span) for number, span in enumerate(spans)])
        self._take(end)
        return batch

    def _rescue(self, decoder: EventDecoder[B, E], number: int, span: Span) -> E:
        try:
            return decoder.rescue(self._data[span.start : span.end])
        except (ValueError, RecursionError) as error:
            raise AttribError(
                f"{self.name}: event {self.count + number:,} (byte {self.position + span.start:,})"
                f" cannot be read: {error}",
                hint=RECORD_AGAIN,
            ) from error

    def _spans(self, decoder: EventDecoder[B, E]) -> tuple[list[Span], Exception | None]:
        text = self._data.decode("latin-1")
        spans: list[Span] = []
        start = mended = 0
        while start < len(text) and text[start] != "]":
            try:
                end = _scan(text, start)[1]
            except (ValueError, RecursionError) as error:
                without = _without_nan(text, error) if mended < MOST_MENDED else None
                if without is None:
                    return decoder.split(text) or spans, error
                self._data, text, mended = without.encode("latin-1"), without, mended + 1
                continue
            spans.append(Span(start, end))
            comma = _end_of_space(text, end)
            if text[comma : comma + 1] != ",":
                break
            start = _end_of_space(text, comma + 1)
        return spans, None

    def _learn_separator(self, spans: list[Span]) -> None:
        if len(spans) > 1:
            start = spans[-1].start
            key = _FIRST_KEY.match(self._data, start)
            self._separator = self._data[spans[-2].end - 1 : key.end() if key else start + 1]

    def _malformed(self, reason: str, ahead: int = 0) -> AttribError:
        where = f"event {self.count:,}, byte {self.position + ahead:,}"
        return AttribError(
            f"{self.name}: cut short or not valid JSON at {where}: {reason}", hint=RECORD_AGAIN
        )


def _end_of_space(text: str, start: int) -> int:
    match = _SPACE.match(text, start)
    return match.end() if match else start


def _without_nan(text: str, error: Exception) -> str | None:
    """The text with `nan` and `inf` replaced by empty strings as long, if the scanner stopped at one."""
    if not isinstance(error, json.JSONDecodeError):
        return None
    stop = _NOT_A_NUMBER.match(text, error.pos)
    if stop is None:
        return None
    mended = text[: stop.start()] + '""'.ljust(len(stop[0])) + text[stop.end() :]
    return _MEMBER_NOT_A_NUMBER.sub(lambda match: '""'.rjust(len(match[0])), mended)
