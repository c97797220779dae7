"""Reads some steps of a large file: what lies outside their windows is looked through, but never becomes columns.

The file is walked once with a decoder of four fields a event, which notes where each block lies, between which times its
events start, and which steps there are. Then only the blocks that may hold something of the wanted steps are decoded as
usual, and `attrib.traces.recording.selection` takes from their recording what belongs to the steps. The result is
the one that it takes from that of the whole file; where the notes cannot promise that, the whole file is read.
"""

import stat
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from attrib.traces.formats.detection import open_trace
from attrib.traces.formats.event import HALVES, Batch, Decoder, ExactEvent
from attrib.traces.formats.table_builder import TableBuilder
from attrib.traces.formats.trace_format import FormatDecoder, StepScan, TraceFormat
from attrib.traces.io.source import Progress
from attrib.traces.io.stream import REFUSED, EventStream
from attrib.traces.recording.activity_types import kind_of
from attrib.traces.recording.recording import Recording
from attrib.traces.recording.selection import (
    Steps,
    find_overlapping_windows,
    find_same_steps,
    find_steps,
    select_events,
)

_MARGIN_US = 2.0
"""More than a float64 is off by at any time since the epoch."""

EARLY_FROM = 1 << 25
"""Bytes from which a file is looked through first: a smaller one is read in a tenth of a second."""

_LOOKS = 32
"""Blocks after which it shows whether looking through the file saves anything."""

_JSON_BEGINS = frozenset({b"{", b"[", b" ", b"\n", b"\r", b"\t", b"\xef"})
_ESCAPE = b"\\u"  # a name may be written with it
_cat, _ts, _dur = attrgetter("cat"), attrgetter("ts"), attrgetter("dur")


class _Glimpse(msgspec.Struct, gc=False):
    ph: str = ""
    cat: str | None = ""
    ts: float = float("nan")
    dur: float = 0.0


class _NoArgs(msgspec.Struct, gc=False):
    pass


class _Part(NamedTuple):
    """A block of the file: where it lies, and between which times (in microseconds) its events start."""

    position: int
    length: int
    low: float
    high: float


class _Changed(Exception):  # noqa: N818 - it is not shown: the file is read as a whole then
    """The file is not what it was, or a block of it had to be mended."""


def read_steps(
    path: Path | BinaryIO,
    steps: Steps,
    *,
    expected: str | None = None,
    lenient: bool = False,
    progress: Progress | None = None,
    early_from: int = EARLY_FROM,
) -> Recording:
    """Read what belongs to some steps of a trace.

    Args:
        path: The file, or an open one: standard input.
        steps: The numbers of the wanted steps.
        expected: Name of the format that it must have; any if left out.
        lenient: Recover every whole event of a damaged file.
        progress: Told how much of the file has been read.
        early_from: Bytes from which a file is looked through first.

    Raises:
        AttribError: The file cannot be read, or holds none of the steps.
    """
    if isinstance(path, Path) and not lenient and _is_plain(path, early_from):
        with open_trace(path, expected, progress=progress) as (stream, form):
            if form.scan and (form.scan.arrays or stream.container == "object"):
                found = _read_early(path, stream, form, form.scan, steps)
                if found is not None:
                    return found
    with open_trace(path, expected, lenient=lenient, progress=progress) as (stream, form):
        name = stream.name
        return form.read(stream, choose=lambda whole: select_events(whole, find_steps(whole, steps, name)))


def _is_plain(path: Path, size: int) -> bool:
    """Whether it is a regular file of that size, at whose own positions events lie."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size < size:
            return False
        with path.open("rb") as file:
            return file.read(1) in _JSON_BEGINS
    except OSError:  # the reader says what is wrong
        return False


def _read_early(
    path: Path, stream: EventStream, form: TraceFormat, scan: StepScan, steps: Steps
) -> Recording | None:
    """The steps' part of a plain file; None where only the whole file tells."""
    scout = _Scout(stream, form, scan)
    for _ in stream.blocks(scout):
        if scout.whole or not scout.pays:
            return None
    marks = scout.build_steps()
    chosen = find_steps(marks, steps, stream.name)
    windows = (find_overlapping_windows(marks, chosen) - marks.base_ns) / 1000 + (-_MARGIN_US, _MARGIN_US)
    decoder = form.decoder(stream)
    try:
        return form.read(
            stream,
            decoder=decoder,
            batches=_batches(path, scout.parts, windows, decoder),
            choose=lambda part: select_events(part, find_same_steps(part, marks, chosen)),
        )
    except _Changed:
        return None


def _batches(
    path: Path,
    parts: list[_Part | list[ExactEvent[Any]]],
    windows: npt.NDArray[np.float64],
    decoder: FormatDecoder,
) -> Iterator[Batch[Any]]:
    """The events of the blocks that may hold something of the windows."""
    with path.open("rb") as file:
        for part in parts:
            if not isinstance(part, _Part):
                yield decoder.batch(part)
            elif ((windows[:, 1] >= part.low) & (windows[:, 0] <= part.high)).any():
                file.seek(part.position)
                try:
                    yield decoder.decode(b"".join((b"[", file.read(part.length), b"]")))
                except REFUSED as error:
                    raise _Changed from error


class _Scout:
    """Looks through the blocks of a file, as a decoder of its stream.

    Attributes:
        parts: What was seen, in file order: blocks, or the events of one that had to be rescued.
        whole: Whether only the whole file tells what belongs to a step.
    """

    def __init__(self, stream: EventStream, form: TraceFormat, scan: StepScan) -> None:
        self.parts: list[_Part | list[ExactEvent[Any]]] = []
        self.whole = False
        self._stream = stream
        self._needed = 0
        self._form = form
        self._scan = scan
        self._glimpses = msgspec.json.Decoder(list[_Glimpse])
        real = form.decoder(stream)
        self.rescue, self.split, self.has_layout = real.rescue, real.split, real.has_layout
        self._events = Decoder(_NoArgs, lambda _: _NoArgs())
        self._marks = TableBuilder()

    @property
    def pays(self) -> bool:
        """Whether looking through saves decoding: in a device's trace almost every block has calls of its runtime."""
        return self._needed < max(_LOOKS, len(self.parts) // 2)

    def build_steps(self) -> Recording:
        """Make a recording of the steps that were seen."""
        form, base_ns = self._form, self._form.base_ns(self._stream.facts)
        return self._marks.build(form.recording, form.name, form.tensors, base_ns=base_ns)

    def decode(self, block: bytes) -> list[_Glimpse] | Batch[Any]:
        """Look through a block; raises what the usual decoder raises where it is not JSON."""
        seen: list[_Glimpse] | Batch[Any]
        glimpses: list[_Glimpse] = []
        try:
            seen = glimpses = self._glimpses.decode(block)
        except msgspec.ValidationError:  # perhaps only a time that is a string
            seen = self._events.decode(block)
        if self._scan.step.encode() in block or _ESCAPE in block:
            self._add(self._events.decode(block))
        low, high = (-np.inf, np.inf) if not glimpses else self._times(glimpses, block)
        self._needed += low < high == np.inf
        self.parts.append(_Part(self._stream.position, len(block) - 2, low, high))
        return seen

    def batch(self, events: list[ExactEvent[Any]]) -> Batch[Any]:
        """Keep the events of a block that had to be rescued."""
        found = self._events.batch(events)
        self.whole |= any(event.ph in HALVES for event in events)
        self._add(found)
        self.parts.append(events)
        return found

    def _times(self, glimpses: list[_Glimpse], block: bytes) -> tuple[float, float]:
        """First and last start of the events in microseconds; infinitely far apart where they are needed in any case."""
        rows = [event for event in glimpses if event.ph == "X"]
        if len(rows) < len(glimpses):
            self.whole |= any(event.ph in HALVES for event in glimpses)
        kinds = {kind_of(category or "") for category in set(map(_cat, rows))}
        self.whole |= not kinds.isdisjoint(self._scan.bound)
        start = np.fromiter(map(_ts, rows), np.float64, len(rows))
        lasted = np.fromiter(map(_dur, rows), np.float64, len(rows))
        needed = self._scan.needed and self._scan.needed in block
        if needed or not kinds.isdisjoint(self._scan.kept) or not (start + lasted >= start).all():
            return -np.inf, np.inf
        return (float(start.min()), float(start.max())) if rows else (np.inf, -np.inf)

    def _add(self, batch: Batch[Any]) -> None:
        """Keep the steps among some events."""
        rows: list[Any] = list(batch.rows)
        own = [place for place, event in enumerate(rows) if self._scan.step in event.name]
        if own:
            self._marks.add(
                Batch(
                    rows=[rows[place] for place in own],
                    start_ns=batch.start_ns[own],
                    duration_ns=batch.duration_ns[own],
                    total=len(own),
                )
            )
