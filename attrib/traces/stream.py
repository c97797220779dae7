"""A trace file as blocks of whole events; the file is never held as a whole.

Both formats are one array of events, alone or as `traceEvents` of an object. A block ends where the separator
of two events was last seen. That this place really lies between two events needs no proof beforehand: an
array that is cut anywhere else (inside a string, inside an argument) is not valid JSON once a bracket closes
it, so the decoder refuses it and the exact scanner splits the block instead.
"""

import re
from collections.abc import Iterator, Sized
from typing import Literal, NamedTuple, NoReturn, Protocol, TypeVar

import msgspec

from attrib.errors import AttribError
from attrib.model.damage import Damage
from attrib.traces.nan import MOST_MENDED, without_nan
from attrib.traces.source import Source
from attrib.traces.window import BLOCK, LARGEST_MENDED, OR_LENIENT, RECORD_AGAIN, Scanned, Window

MOST_MEMBERS = 100_000
"""Members of the top-level object besides the events; traces have some twenty."""

E = TypeVar("E")
B_co = TypeVar("B_co", bound=Sized, covariant=True)
B = TypeVar("B", bound=Sized)

Place = Literal["between", "cut", "behind"]
"""A defect between two events, in place of the rest of them, or behind them all."""

REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What the decoder raises for a block that it cannot take as it is."""

_BETWEEN = re.compile(rb".[ \t\r\n]*,[ \t\r\n]*", re.DOTALL)
_FIRST_KEY = re.compile(rb'\{\s*"[^"\\]*"')


class Span(NamedTuple):
    """Where one event lies in the block."""

    start: int
    end: int


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Where in the middle of the events a reader begins, and what it has to know.

    Attributes:
        container: What holds the events.
        separator: What lies between two of them.
        members: Members of the top-level object up to the events.
        after: Where the event before it ends.
        position: Where the first event begins.
    """

    container: Literal["object", "array"]
    separator: bytes
    members: int
    after: int
    position: int


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

    It is strict: every defect is an AttribError with the event's number and the byte. `attrib.traces.salvage` has the
    lenient one, which goes on behind a defect.

    Attributes:
        container: Whether the file is an object that holds the events or the array itself.
        facts: Raw JSON of the wanted top-level members met so far.
        count: Events met so far, of every phase.
        damage: What could not be read, once `blocks` is through; None from a strict stream.
    """

    def __init__(self, source: Source, wanted: frozenset[str] = frozenset()) -> None:
        self.damage: Damage | None = None
        self.facts: dict[str, str] = {}
        self.count = 0
        self._source = source
        self._window = Window(source)
        self._wanted = wanted
        self._members = 0
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
        return self._window.position

    @property
    def source(self) -> Source:
        """The file."""
        return self._source

    def start_near(self, place: int) -> Start | None:
        """Where another reader of a plain file may begin: with the last event before the end of a block."""
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
        """Whether the event before it has just been read, and the rest is read as by a reader that begins there.

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
        """Take the rest of the file for read: its events and its facts are known."""
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
            self._refuse(self._why(found))

    def blocks(self, decoder: EventDecoder[B, E]) -> Iterator[B]:
        """Every event of the file, in order, some hundreds at a time.

        Raises:
            AttribError: The file ends too early or is not valid JSON, with the event's number and the byte.
        """
        window = self._window
        while self._in_events:
            while (following := window.peek()) != b"]":
                if not following:
                    self._defect("the file ends without its closing ]", "cut")
                    return
                window.fill(_block_from(self.position))
                batch = self._fast(decoder)
                if batch is None:
                    batch = self._exact(decoder)
                self.count += len(batch)
                yield batch
                self._pass_comma()
            window.at += 1
            self._in_events = self.container == "object" and self._walk_members()
            if self._in_events:
                self._defect("a second array of traceEvents begins: several traces were joined", "behind")
                return
        if window.peek():
            self._defect(self._what_follows(), "behind")
        elif self._source.problem:
            self._defect(self._source.problem, "behind")

    def _open(self) -> Literal["object", "array"]:
        window = self._window
        window.fill(BLOCK)
        if window.data.startswith(b"\xef\xbb\xbf"):
            window.at += 3
        first = window.peek()
        if first not in (b"{", b"["):
            problem = self._source.problem or (
                "not a trace: JSON begins with { or [, this file does not"
                f" ({f'0x{first.hex()}' if first else 'nothing'} at byte {self.position:,})"
            )
            hint = "attrib reads Kineto traces and ONNX Runtime profiles, plain, gzip or zstd"
            raise AttribError(f"{self.name}: {problem}", hint=hint)
        window.at += 1
        return "object" if first == b"{" else "array"

    def _walk_members(self) -> bool:
        """Walk the members of the top-level object up to the events; False at the object's end."""
        window = self._window
        if window.peek() == b",":
            window.at += 1
        while (following := window.peek()) != b"}":
            if not following:
                return self._lost_members("the file ends without its closing }")
            found = self._member()
            if found is None:
                return True
            if found:
                return self._lost_members(found)
        window.at += 1
        return False

    def _member(self) -> str | None:
        """Pass one member; None where the events begin instead of its value, else what is wrong with it."""
        window = self._window
        self._members += 1
        if self._members > MOST_MEMBERS:
            return f"more than {MOST_MEMBERS:,} members beside the events"
        key = self._value()
        if key.end < 0:
            return self._why(key)
        name = window.data[window.at : key.end]
        window.at = key.end
        if window.peek() != b":":
            return "expected a colon"
        window.at += 1
        if name == b'"traceEvents"' and window.peek() == b"[":
            window.at += 1
            return None
        window.peek()
        return self._fact(name[1:-1].decode("latin-1"))

    def _fact(self, name: str) -> str:
        """Pass one value, and keep it if it is wanted; what is wrong with it, if anything is."""
        window = self._window
        found = self._value()
        if found.end < 0:
            return self._why(found)
        if name in self._wanted:
            self.facts[name] = window.data[window.at : found.end].decode("latin-1")
        window.at = found.end
        following = window.peek()
        if following == b",":
            window.at += 1
        elif not following:
            return "the file ends without its closing }"
        return "" if following in b",}" else "expected , or }"

    def _value(self) -> Scanned:
        """The JSON value here, whatever its size; at the end of what is held only if the file ends there too."""
        window = self._window
        while True:
            found = window.value(window.at)
            unfinished = found.open if found.end < 0 else found.end == len(window.data)
            if not unfinished or not self._grow():
                return found

    def _grow(self) -> bool:
        """Hold four times as much of the file, because what is held ends in the middle of a value."""
        window = self._window
        if window.ended or window.held >= window.reach:
            return False
        window.fill(min(max(4 * window.held, BLOCK), window.reach + 1))
        return True

    def _why(self, found: Scanned) -> str:
        """What is wrong with the value here."""
        window = self._window
        if not found.open:
            return f"{found.problem} at byte {self.position + found.stop - window.at:,}"
        if not window.ended:
            return f"it takes more than {window.reach >> 10:,} KiB"
        end = self._source.offset
        if self._source.problem:
            return f"{self._source.problem} after {end:,} unpacked bytes"
        return f"the file ends at byte {end:,} inside it"

    def _pass_comma(self) -> None:
        window = self._window
        following = window.peek()
        if following == b",":  # one more before the closing bracket does no harm, and writers leave it there
            window.at += 1
        elif following and following != b"]":
            self._defect("expected , or ]", "between")

    def _fast(self, decoder: EventDecoder[B, E]) -> B | None:
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

    def _exact(self, decoder: EventDecoder[B, E]) -> B:
        """Split the block with the scanner, event by event, and rescue what the decoder refuses."""
        window = self._window
        spans, problem = self._spans(decoder)
        while not spans:
            if not problem.open or not self._grow():
                return self._without(decoder, self._why(problem))
            spans, problem = self._spans(decoder)
        self._learn_separator(spans)
        end = spans[-1].end
        try:
            batch = decoder.decode(b"".join((b"[", memoryview(window.data)[window.at : end], b"]")))
        except REFUSED:
            batch, end = self._rescued(decoder, spans)
        window.at = end
        return batch

    def _rescued(self, decoder: EventDecoder[B, E], spans: list[Span]) -> tuple[B, int]:
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

    def _rescue(self, decoder: EventDecoder[B, E], span: Span) -> E | ValueError:
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

    def _spans(self, decoder: EventDecoder[B, E]) -> tuple[list[Span], Scanned]:
        """Whole events from here on, as far as they are held, and why it does not go on."""
        window = self._window
        spans: list[Span] = []
        start, mended, again = window.at, False, 0
        found = Scanned(-1, "expected an event", start)
        while start < len(window.data) and window.data[start : start + 1] != b"]":
            found = window.value(start)
            if found.end < 0:
                data = (
                    without_nan(window.data, found.stop, members=not mended) if again < MOST_MENDED else None
                )
                if data is None:
                    return self._laid_out(decoder) or spans, found
                window.data, mended, again = data, True, again + 1
                continue
            again = 0
            spans.append(Span(start, found.end))
            comma = window.after_space(found.end)
            if window.data[comma : comma + 1] != b",":
                break
            start = window.after_space(comma + 1)
        return spans, found

    def _laid_out(self, decoder: EventDecoder[B, E]) -> list[Span]:
        """Events by the format's layout."""
        at = self._window.at
        text = self._window.data[at : at + LARGEST_MENDED].decode("latin-1")
        return [Span(at + start, at + end) for start, end in decoder.split(text)]

    def _learn_separator(self, spans: list[Span]) -> None:
        if len(spans) > 1:
            data, start = self._window.data, spans[-1].start
            key = _FIRST_KEY.match(data, start)
            self._separator = data[spans[-2].end - 1 : key.end() if key else start + 1]

    def _what_follows(self) -> str:
        another = self._window.peek() in (b"[", b"{")
        more = ": another trace begins, several files were joined" if another else ""
        return f"something follows the end of the trace{more}"

    @property
    def _unpacked(self) -> str:
        return " after unpacking" if self._source.packing else ""

    def _lost_members(self, reason: str) -> bool:
        """What to do where the members cannot be read on: whether the events begin nevertheless."""
        self._refuse(reason)

    def _without(self, decoder: EventDecoder[B, E], reason: str) -> B:  # noqa: ARG002 - for the lenient one
        """What to do where no event can be read: perhaps a batch of none."""
        self._refuse(reason)

    def _defect(self, reason: str, place: Place) -> None:  # noqa: ARG002 - for the lenient one
        """What to do about a defect here, which is no event."""
        self._refuse(reason)

    def _refuse(self, reason: str) -> NoReturn:
        where = f"event {self.count:,}, byte {self.position:,}{self._unpacked}"
        problem = self._source.problem
        if problem and self._window.ended and problem not in reason:
            reason = f"{reason} ({problem})"
        raise AttribError(
            f"{self.name}: cut short or not valid JSON at {where}: {reason}",
            hint=f"{RECORD_AGAIN}; {OR_LENIENT}",
        )


def _block_from(position: int) -> int:
    """Bytes from there to the end of the block.

    Blocks end at multiples of `BLOCK`, wherever they begin: two readers that began at different events of one file
    see the same blocks from then on.
    """
    half = BLOCK // 2
    return BLOCK + half - (position + half) % BLOCK
