"""One event as profilers write it, and the decoder of blocks of events."""

import json
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from attrib.traces.formats.times import UNUSABLE, nanoseconds_from_floats, nanoseconds_from_texts
from attrib.traces.io.stream import EventSpan

# Events that a trace writes in two halves: a beginning (`ph: B`) and an end (`ph: E`).
#
# Kineto writes complete events (`ph: X`). Other writers of the same format pair halves: an end closes the last open
# beginning of its thread (Trace Event Format, "Duration Events").


Int64s = npt.NDArray[np.int64]

BEGIN = "B"
END = "E"
HALVES = (BEGIN, END)


class Half(Protocol):
    """Half of an event that is written as a beginning and an end."""

    ph: str
    pid: int | float | str | None
    tid: int | float | str | None


H = TypeVar("H", bound=Half)


class Pairs(Generic[H]):
    """Pairs the halves of events of one file, which may lie in different blocks."""

    def __init__(self) -> None:
        self._open: dict[tuple[object, object], list[tuple[H, int]]] = {}
        self._ends = 0

    @property
    def unpaired(self) -> int:
        """Halves seen so far without their other half."""
        return self._ends + sum(map(len, self._open.values()))

    def add(self, halves: Iterable[H], times_ns: Sequence[int]) -> tuple[list[H], Int64s, Int64s]:
        """Add halves in file order; the events that they complete, with start and duration in nanoseconds."""
        rows, starts, durations = [], [], []
        for half, time in zip(halves, times_ns, strict=True):
            waiting = self._open.setdefault((half.pid, half.tid), [])
            if half.ph == BEGIN:
                waiting.append((half, time))
            elif waiting:
                begin, start = waiting.pop()
                rows.append(begin)
                starts.append(start)
                durations.append(time - start)
            else:
                self._ends += 1
        return rows, np.array(starts, np.int64), np.array(durations, np.int64)


Number = int | float | str | None
A = TypeVar("A")

NO_RAW = msgspec.Raw(b"")
_NAN = float("nan")
_start, _duration = attrgetter("ts"), attrgetter("dur")
_LONGEST_INTEGER = 20


class Event(msgspec.Struct, Generic[A], gc=False):
    """One event; its times are read as floating-point numbers, which is exact for most files and fastest."""

    ph: str = ""
    cat: str | None = ""
    name: str = ""
    pid: Number = None
    tid: Number = None
    ts: float = _NAN
    dur: float = _NAN
    args: A | None = None


class ExactEvent(msgspec.Struct, Generic[A], gc=False):
    """One event whose times are kept as the file spells them."""

    ph: str = ""
    cat: str | None = ""
    name: str = ""
    pid: Number = None
    tid: Number = None
    ts: msgspec.Raw = NO_RAW
    dur: msgspec.Raw = NO_RAW
    args: A | None = None


class Batch(msgspec.Struct, Generic[A], frozen=True, eq=False, kw_only=True):
    """The complete events of a block.

    Attributes:
        rows: Events of phase `X` with a usable time, then those that `B` and `E` events of the block completed.
        start_ns: Their start, in nanoseconds since the file's own zero.
        duration_ns: Their duration.
        total: Events of every phase.
        unusable: Events of phase `X` that were left out, because they have no usable time.
        negative: Events whose duration was negative, and is 0 here.
        missing: Complete events that give no duration, which is 0 here.
    """

    rows: list[Event[A]] | list[ExactEvent[A]]
    start_ns: Int64s
    duration_ns: Int64s
    total: int
    unusable: int = 0
    negative: int = 0
    missing: int = 0

    def __len__(self) -> int:
        return self.total


class Decoder(Generic[A]):
    """Decodes blocks of one file, with floating-point times until a block shows that they are not exact."""

    def __init__(
        self,
        args: type[A],
        args_from: Callable[[dict[str, Any]], A],
        *,
        split: Callable[[str], list[EventSpan]] | None = None,
        mend: Callable[[str], str] | None = None,
    ) -> None:
        quick: Any = list[Event[args]]  # type: ignore[valid-type]
        exact: Any = list[ExactEvent[args]]  # type: ignore[valid-type]
        self._quick: msgspec.json.Decoder[list[Event[A]]] = msgspec.json.Decoder(quick)
        self._exact: msgspec.json.Decoder[list[ExactEvent[A]]] = msgspec.json.Decoder(exact)
        self._args_from = args_from
        self._split = split
        self._mend = mend
        self.has_layout = split is not None
        self._floats = True
        self._pairs: Pairs[Any] = Pairs()

    def warnings(self) -> list[str]:
        """What a reader of the figures should know about the events read so far."""
        lost = self._pairs.unpaired
        return [f"{lost:,} begin or end events have no counterpart and were left out"] if lost else []

    def decode(self, block: bytes) -> Batch[A]:
        """Decode a JSON array of events."""
        if self._floats:
            batch = self._decode_quick(block)
            if batch is not None:
                return batch
        events = self._exact.decode(block)
        self._floats = False
        return self.batch(events)

    def _decode_quick(self, block: bytes) -> Batch[A] | None:
        try:
            events = self._quick.decode(block)
        except (
            msgspec.ValidationError
        ):  # perhaps only a time that is a string or null: the exact form takes it
            return None
        rows = [event for event in events if event.ph == "X"]
        start = nanoseconds_from_floats(map(_start, rows), len(rows))
        duration = nanoseconds_from_floats(map(_duration, rows), len(rows))
        halves = [event for event in events if event.ph in HALVES] if len(rows) < len(events) else []
        times = nanoseconds_from_floats(map(_start, halves), len(halves))
        if start is None or duration is None or times is None:
            return None
        return self._batch(rows, start, duration, (halves, times), total=len(events))

    def _batch(
        self, rows: list[Any], start: Int64s, duration: Int64s, halves: tuple[list[Any], Int64s], total: int
    ) -> Batch[A]:
        """The complete events of a block, of which some have no usable time, with those that its halves complete."""
        usable = (start != UNUSABLE) & (duration != UNUSABLE)
        unusable = int((~usable).sum())
        if unusable:
            rows, start, duration = [rows[i] for i in np.flatnonzero(usable)], start[usable], duration[usable]
        if halves[0]:
            more, begun, lasted = self._pairs.add(halves[0], halves[1].tolist())
            rows, start, duration = (
                rows + more, np.concatenate([start, begun]), np.concatenate([duration, lasted]),
            )  # fmt: skip
        negative = int((duration < 0).sum())
        return Batch(
            rows=rows,
            start_ns=start,
            duration_ns=np.maximum(duration, 0),
            total=total,
            unusable=unusable,
            negative=negative,
        )

    def batch(self, events: list[ExactEvent[A]]) -> Batch[A]:
        """Make a batch of rescued events."""
        rows = [event for event in events if event.ph == "X"]
        start = nanoseconds_from_texts(bytes(event.ts) for event in rows)
        duration = nanoseconds_from_texts(bytes(event.dur) or b"0" for event in rows)
        halves = [event for event in events if event.ph in HALVES]
        missing = sum(not bytes(event.dur) for event in rows)
        times = nanoseconds_from_texts(bytes(event.ts) for event in halves)
        halves = [halves[i] for i in np.flatnonzero(times != UNUSABLE)]
        found = self._batch(rows, start, duration, (halves, times[times != UNUSABLE]), total=len(events))
        return replace(found, missing=missing) if missing else found

    def rescue(self, event: bytes) -> ExactEvent[A]:
        """Read one event with odd types, control characters, lone surrogates or invalid UTF-8."""
        try:
            events = self._exact.decode(b"[" + event + b"]")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            fields = self._loads(event.decode("utf-8", "replace"))
        else:
            if len(events) != 1:
                raise ValueError("it is not one event")
            return events[0]
        args = fields.get("args")
        return ExactEvent(
            ph=text_of(fields.get("ph")),
            cat=text_of(fields.get("cat")),
            name=text_of(fields.get("name")),
            pid=number_of(fields.get("pid")),
            tid=number_of(fields.get("tid")),
            ts=_raw_time(fields.get("ts")),
            dur=_raw_time(fields.get("dur", 0)),
            args=self._args_from(args) if isinstance(args, dict) else None,
        )

    def _loads(self, text: str) -> dict[str, Any]:
        try:
            fields = _loads(text)
        except json.JSONDecodeError:
            if self._mend is None:
                raise
            fields = _loads(self._mend(text))
        if not isinstance(fields, dict):
            raise ValueError("it is not an object")  # noqa: TRY004 - the file is wrong, not an argument
        return fields

    def split(self, text: str) -> list[EventSpan]:
        """Events of a block whose JSON is broken, by the layout of the format."""
        return self._split(text) if self._split else []


def text_of(value: object) -> str:
    """A string of a rescued event, with lone surrogates replaced; empty for anything else."""
    return value.encode("utf-8", "replace").decode() if type(value) is str else ""


def number_of(value: object) -> int | str | None:
    """An integer of a rescued event, or the text that stands for one; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, _Spelled):
        return str(value)
    return value if isinstance(value, int) else text_of(value) or None


def raw_of(value: object) -> msgspec.Raw:
    """An argument of a rescued event as raw JSON."""
    return NO_RAW if value is None else msgspec.Raw(json.dumps(value).encode())


def _raw_time(value: object) -> msgspec.Raw:
    return msgspec.Raw((str(value) or '""').encode("utf-8", "replace"))


class _Spelled(str):
    """A number of a rescued event, kept as the file spells it; it must not pass for a text."""

    __slots__ = ()


def _integer(text: str) -> int | str:
    return int(text) if len(text) < _LONGEST_INTEGER else _Spelled(text)


def _loads(text: str) -> Any:
    return json.loads(text, strict=False, parse_int=_integer, parse_float=_Spelled, parse_constant=_Spelled)
