"""One step on the host, on the clock of the device's trace: which call, node or framework part was active when."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

from attrib.analysis.attribution.device.events import allocating_rows, waiting_rows
from attrib.analysis.attribution.host.intervals import innermost, nesting_order
from attrib.model.device import SPENT
from attrib.model.events import Int64s
from attrib.traces.recording.recording import Recording

ANY = -1
"""Stands for the thread of every call, where the numbers of the threads cannot be compared."""

KERNEL, COPY, SYNC, ALLOCATION, HOST, IDLE = range(len(SPENT))
"""Positions in `SPENT`."""

_NOTHING = np.zeros(0, dtype=np.int64)


class Spans(msgspec.Struct, frozen=True, eq=False):
    """Intervals with an owner each, kept in nesting order."""

    begin: Int64s
    end: Int64s
    owner: Int64s

    def at(self, instants: Int64s) -> Int64s:
        """Owner of the innermost interval that holds each instant; -1 for none."""
        held = innermost(self.begin, self.end, instants)
        return np.where(held >= 0, self.owner[held], -1) if len(self.begin) else held

    def edges(self) -> Int64s:
        """Where any of them begins or ends."""
        return np.concatenate([self.begin, self.end])


def spans_from(begin: Int64s, end: Int64s, owner: Int64s) -> Spans:
    """Intervals in any order; an owner is a position of a unit of work or of a part."""
    order = nesting_order(begin, end)
    return Spans(begin[order], end[order], owner[order])


NO_SPANS = Spans(_NOTHING, _NOTHING, _NOTHING)


@dataclass(frozen=True, slots=True, eq=False)
class HostStep:
    """One step on the host.

    Attributes:
        start_ns: Begin of its window.
        end_ns: End of its window.
        units: Calls or nodes by thread; the key is `ANY` where threads cannot be compared.
        layers: What holds the time outside units, the innermost first; owners are parts.
        rest: The part that holds what is left.
        track: The thread that the step ran on; `ANY` where it cannot be told.
        slack_ns: How far behind its unit a launch may lie: the clock of the units may be coarser than that of the launches.
    """

    start_ns: int
    end_ns: int
    units: dict[int, Spans]
    layers: tuple[Spans, ...]
    rest: int
    track: int
    slack_ns: int = 0
    every: Spans = field(init=False)

    def __post_init__(self) -> None:
        columns = [(s.begin, s.end, s.owner) for s in self.units.values()]
        joined = (np.concatenate(column) for column in zip(*columns, strict=True)) if columns else None
        object.__setattr__(self, "every", spans_from(*joined) if joined else NO_SPANS)

    def launcher(self, times: Int64s, tracks: Int64s) -> Int64s:
        """The unit in which each launch lies, on its own thread; -1 for none."""
        found = np.full(len(times), -1, dtype=np.int64)
        for track, own in self.units.items():
            here = np.flatnonzero((tracks == track) | (track == ANY))
            held = own.at(times[here])
            if self.slack_ns:
                held = np.where(held < 0, own.at(times[here] - self.slack_ns), held)
            found[here] = held
        return found

    def owner(self, instants: Int64s) -> Int64s:
        """Who holds each instant on the host: a unit on any thread, else a part."""
        found = self.every.at(instants)
        for layer in self.layers:
            free = np.flatnonzero(found < 0)
            found[free] = layer.at(instants[free])
        return np.where(found < 0, self.rest, found)

    def edges(self) -> Int64s:
        """Where the answer of `owner` may change."""
        return np.concatenate([self.every.edges(), *(layer.edges() for layer in self.layers)])


class Waits(msgspec.Struct, frozen=True, eq=False):
    """Runtime calls in which the host waits for the device or asks for memory; kept in nesting order, with their thread."""

    spans: Spans
    track: Int64s
    row: Int64s

    def within(self, step: HostStep) -> Spans:
        """The waits of the step's thread that reach into its window; the owner is the kind of waiting."""
        its = (self.spans.begin < step.end_ns) & (self.spans.end > step.start_ns)
        its &= (self.track == step.track) | (step.track == ANY)
        return Spans(self.spans.begin[its], self.spans.end[its], self.spans.owner[its])


def waits_of(recording: Recording) -> Waits:
    """The waiting calls of a Kineto trace."""
    waiting, allocating = waiting_rows(recording), allocating_rows(recording)
    rows = np.concatenate([waiting, allocating])
    kinds = np.repeat([SYNC, ALLOCATION], [len(waiting), len(allocating)])
    begin, end = recording.start_ns[rows], recording.ends(rows)
    order = nesting_order(begin, end)
    return Waits(
        Spans(begin[order], end[order], kinds[order]),
        recording.track[rows[order]].astype(np.int64),
        rows[order].astype(np.int64),
    )


def share_threads(ours: npt.NDArray[np.integer], theirs: npt.NDArray[np.integer]) -> bool:
    """Whether two sets of thread codes name the same threads: they share one."""
    return bool(np.isin(ours, theirs).any())


def codes_in(recording: Recording, texts: Sequence[str]) -> Int64s:
    """Codes that the threads of another recording have in this one; one that no row has, where it does not know them."""
    known = {text: code for code, text in enumerate(recording.strings)}
    return np.array([known.get(text, -2) for text in texts], dtype=np.int64)
