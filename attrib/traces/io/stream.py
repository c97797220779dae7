"""A trace file as blocks of whole events; the file is never held as a whole.

Both formats are one array of events, alone or as `traceEvents` of an object. A block ends where the separator
of two events was last seen. That this place really lies between two events needs no proof beforehand: an
array that is cut anywhere else (inside a string, inside an argument) is not valid JSON once a bracket closes
it, so the decoder refuses it and the exact scanner splits the block instead.
"""

import re
from collections.abc import Iterator, Sized
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from attrib.errors import AttribError
from attrib.traces.io.envelope import Envelope
from attrib.traces.io.reader_protocol import Start
from attrib.traces.io.source import TraceSource
from attrib.traces.io.window import BLOCK, LARGEST_MENDED, OR_LENIENT, RECORD_AGAIN, Scanned

MOST_MENDED = 50
"""Places of one event at which the scanner may stop for what JSON does not know: each costs another scan of the event."""

# The closing quote of a key cannot be part of a string, so the first pattern never touches one; the second is
# used where the scanner stopped.
_MEMBER_NOT_A_NUMBER = re.compile(rb'(?<=[^\\]":)\s*-?(?:nan|inf|n/a)(?=\s*[,}])', re.IGNORECASE)
_NOT_A_NUMBER = re.compile(rb"-?(?:nan|inf|n/a)(?=\s*[,\]}])", re.IGNORECASE)

# A backslash that begins no escape: of a path of Windows. JSON holds none, so that it may be replaced wherever it is.
_STRAY = re.compile(rb'(?<!\\)((?:\\\\)*)\\(?!["\\/bfnrt]|u[0-9a-fA-F]{4})')
_NEAR = 4
"""Bytes around the place at which the scanner may stop for one."""


def mended(data: bytes, stop: int, *, members: bool, paths: bool = False) -> bytes | None:
    """Replace what profilers wrote and JSON does not know, if the scanner stopped at it; None where it did not.

    `nan`, `inf` and `N/A` become empty strings, with `paths` a backslash of a path a slash: as long as they were, so that
    every place of the file stays where it is. With `members`, values of keys are replaced throughout.
    """
    if len(data) > LARGEST_MENDED:
        return None
    found = _NOT_A_NUMBER.match(data, stop)
    if found is None and not paths:
        return None
    if found is None:
        stray = _STRAY.search(data, max(stop - _NEAR, 0), stop + _NEAR)
        return _STRAY.sub(rb"\1/", data) if stray else None
    other = data[:stop] + b'""'.ljust(len(found[0])) + data[found.end() :]
    if not members:
        return other
    return _MEMBER_NOT_A_NUMBER.sub(lambda match: b'""'.rjust(len(match[0])), other)


E = TypeVar("E")
B_co = TypeVar("B_co", bound=Sized, covariant=True)
B = TypeVar("B", bound=Sized)

REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What the decoder raises for a block that it cannot take as it is."""


class EventSpan(NamedTuple):
    """Where one event lies in the block."""

    start: int
    end: int


class EventDecoder(Protocol[B_co, E]):
    """How one format's events are read.

    Attributes:
        has_layout: Events whose JSON is broken can be told by the layout of the format, and their texts be mended.
    """

    has_layout: bool

    def decode(self, block: bytes) -> B_co:
        """Decode a JSON array of events; raises one of `REFUSED` where it is not what the format says."""
        ...

    def rescue(self, event: bytes) -> E:
        """Decode one event that `decode` refuses; raises ValueError where nothing can be made of it."""
        ...

    def batch(self, events: list[E]) -> B_co:
        """Make of rescued events what `decode` returns."""
        ...

    def split(self, text: str) -> list[EventSpan]:
        """Events of a block whose JSON is broken, by the format's layout; empty where that does not help."""
        ...


_BETWEEN = re.compile(rb".[ \t\r\n]*,[ \t\r\n]*", re.DOTALL)
_FIRST_KEY = re.compile(rb'\{\s*"[^"\\]*"')


class EventStream(Envelope):
    """One file, read in order: the facts before the events, the events, the facts after them.

    It is strict; `attrib.traces.io.recovery` has the lenient one, which goes on behind a defect.
    """

    def __init__(self, source: TraceSource, wanted: frozenset[str] = frozenset()) -> None:
        self._separator = b""
        super().__init__(source, wanted)

    def start_near(self, place: int) -> Start | None:
        """Find where another reader of a plain file may begin: at the last event before the end of a block, or None."""
        half = BLOCK // 2
        from_byte = place - place % BLOCK - half
        if not self._separator or from_byte <= self.position:
            return None
        cut = self._source.peek_at(from_byte, half).rfind(self._separator)
        between = _BETWEEN.match(self._separator)
        if cut < 0 or between is None:
            return None
        return Start(
            container=self.container,
            separator=self._separator,
            members=self._members,
            after=from_byte + cut + 1,
            position=from_byte + cut + between.end(),
        )

    def is_at(self, start: Start) -> bool:
        """Whether this stream stands at the start of another reader, and would read the rest as that one does.

        What such a reader does follows from where it is, its separator, how far it has read ahead, and the bytes; those
        held here may have been mended.
        """
        window = self._window
        if self.position != start.after or (self._separator, self._members) != (
            start.separator,
            start.members,
        ):
            return False
        held = window.data[window.at :]
        ahead = start.position + _block_from(start.position)
        return self._source.offset <= ahead and held == self._source.peek_at(self.position, len(held))

    def pass_over(self, count: int, facts: dict[str, str]) -> None:
        """Count the rest of the file as read: its events and its facts are known."""
        self.count += count
        self.facts |= facts
        self._source.pass_over()

    def sample(self) -> bytes:
        """The beginning of the events, without consuming it."""
        self._window.fill(BLOCK)
        return self._window.data[self._window.at : self._window.at + BLOCK]

    def require_event(self) -> None:
        """Refuse a file that ends before its first event does.

        Raises:
            AttribError: It does.
        """
        if not self._window.peek():
            self._refuse("the file ends without its closing ]")
        found = self._value()
        if found.open:
            self._refuse(self._problem_with(found))

    def blocks(self, decoder: EventDecoder[B, E]) -> Iterator[B]:
        """Every event of the file, in order, some hundreds at a time.

        Raises:
            AttribError: The file ends too early or is not valid JSON, with the event's number and the byte.
        """
        window = self._window
        while self._in_events:
            while (following := window.peek()) != b"]":
                if not following:
                    self._report_defect("the file ends without its closing ]", "cut")
                    return
                window.fill(_block_from(self.position))
                batch = self._decode_fast(decoder)
                if batch is None:
                    batch = self._decode_exact(decoder)
                self.count += len(batch)
                yield batch
                self._pass_comma()
            window.at += 1
            self._in_events = self.container == "object" and self._walk_members()
            if self._in_events:
                self._report_defect(
                    "a second array of traceEvents begins: several traces were joined", "behind"
                )
                return
        if window.peek():
            self._report_defect(self._what_follows(), "behind")
        elif self._source.problem:
            self._report_defect(self._source.problem, "behind")

    def _pass_comma(self) -> None:
        window = self._window
        following = window.peek()
        if following == b",":  # one more before the closing bracket does no harm, and writers leave it there
            window.at += 1
        elif following and following != b"]":
            self._report_defect("expected , or ]", "between")

    def _decode_fast(self, decoder: EventDecoder[B, E]) -> B | None:
        window = self._window
        end = window.at + _block_from(self.position)
        cut = window.data.rfind(self._separator, window.at, end) if self._separator else -1
        if cut < 0:
            return None
        try:
            batch = decoder.decode(b"".join((b"[", memoryview(window.data)[window.at : cut + 1], b"]")))
        except REFUSED:
            return None
        window.at = cut + 1
        return batch

    def _decode_exact(self, decoder: EventDecoder[B, E]) -> B:
        """Split the block with the scanner, event by event, and rescue what the decoder refuses."""
        window = self._window
        spans, problem = self._spans(decoder)
        while not spans:
            if not problem.open or not self._grow():
                return self._batch_of_none(decoder, self._problem_with(problem))
            spans, problem = self._spans(decoder)
        if len(spans) > 1:
            data, start = window.data, spans[-1].start
            key = _FIRST_KEY.match(data, start)
            self._separator = data[spans[-2].end - 1 : key.end() if key else start + 1]
        end = spans[-1].end
        try:
            batch = decoder.decode(b"".join((b"[", memoryview(window.data)[window.at : end], b"]")))
        except REFUSED:
            batch, end = self._rescue_all(decoder, spans)
        window.at = end
        return batch

    def _rescue_all(self, decoder: EventDecoder[B, E], spans: list[EventSpan]) -> tuple[B, int]:
        """The events of these spans, one by one, and where the last of them ends."""
        events: list[E] = []
        for span in spans:
            event = self._rescue(decoder, span)
            if isinstance(event, ValueError):
                where = f"event {self.count + len(events):,} (byte {self.position + span.start - self._window.at:,}"
                raise AttribError(
                    f"{self.name}: {where}{self._unpacked}) cannot be read: {event}",
                    hint=f"{RECORD_AGAIN}; {OR_LENIENT}",
                ) from event
            events.append(event)
        return decoder.batch(events), spans[-1].end

    def _rescue(self, decoder: EventDecoder[B, E], span: EventSpan) -> E | ValueError:
        if span.end - span.start > LARGEST_MENDED:
            return ValueError(
                f"it takes more than {LARGEST_MENDED >> 20} MiB and is not what the format says"
            )
        try:
            return decoder.rescue(self._window.data[span.start : span.end])
        except ValueError as error:
            return error
        except RecursionError:
            return ValueError("nested too deeply")

    def _spans(self, decoder: EventDecoder[B, E]) -> tuple[list[EventSpan], Scanned]:
        """The whole events that are held from here on, and what the scanner found behind them."""
        window = self._window
        spans: list[EventSpan] = []
        start, changed, again = window.at, False, 0
        found = Scanned(-1, "expected an event", start)
        while start < len(window.data) and window.data[start : start + 1] != b"]":
            found = window.value(start)
            if found.end < 0:
                data = None
                if again < MOST_MENDED:
                    paths = not decoder.has_layout
                    data = mended(window.data, found.stop, members=not changed, paths=paths)
                if data is None:
                    return self._spans_by_layout(decoder) or spans, found
                window.data, changed, again = data, True, again + 1
                continue
            again = 0
            spans.append(EventSpan(start, found.end))
            comma = window.after_space(found.end)
            if window.data[comma : comma + 1] != b",":
                break
            start = window.after_space(comma + 1)
        return spans, found

    def _spans_by_layout(self, decoder: EventDecoder[B, E]) -> list[EventSpan]:
        """The events that are held from here on, by the format's layout."""
        at = self._window.at
        text = self._window.data[at : at + LARGEST_MENDED].decode("latin-1")
        return [EventSpan(at + start, at + end) for start, end in decoder.split(text)]

    def _batch_of_none(self, decoder: EventDecoder[B, E], reason: str) -> B:  # noqa: ARG002 - for the lenient one
        """Refuse the file, where no event can be read; a lenient stream gives a batch without events."""
        self._refuse(reason)


def _block_from(position: int) -> int:
    """Bytes from there to the end of the block.

    Blocks end at multiples of `BLOCK`, wherever they begin: two readers that began at different events of one file
    see the same blocks from then on.
    """
    half = BLOCK // 2
    return BLOCK + half - (position + half) % BLOCK
