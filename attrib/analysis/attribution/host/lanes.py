"""The typical profiled step of one side, segment by segment on each thread.

On a single thread the segments tile the step, and those of one owner sum to what the partition says of it.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from attrib.analysis.attribution.host.intervals import innermost, nesting_order
from attrib.analysis.attribution.host.steps import StepWindow
from attrib.model.events import EventTable, Int64s
from attrib.model.timeline import Lane, StepLanes

CALLER = "host"
"""The thread that called the engine."""

Rows = npt.NDArray[np.intp]


def typical(walls: Int64s) -> int:
    """Position of the step whose wall is nearest to the median; the first of several."""
    return int(np.argmin(np.abs(walls - np.median(walls))))


def torch_lanes(
    table: EventTable, calls: Int64s, duration: Int64s, window: StepWindow, step: int
) -> StepLanes:
    """The calls of one PyTorch step, and the dispatch between them.

    Args:
        table: The trace.
        calls: Rows of the step's calls, in order of time.
        duration: What each owns: the end of its interval.
        window: The step.
        step: Its position in the partition.
    """
    wall = window.end_ns - window.start_ns
    ends = np.minimum(table.start_ns[calls] + table.duration_ns[calls], window.end_ns) - window.start_ns
    owners = np.full(2 * len(calls) + 1, len(calls), dtype=np.int64)
    edges = np.concatenate([[0], np.stack([ends - duration, ends], axis=1).ravel(), [wall]])
    owners[1::2] = np.arange(len(calls))
    # A call that owns nothing may end before the one that holds its time does.
    edges[1:-1] = np.maximum.accumulate(edges[1:-1]) if len(calls) else edges[1:-1]
    return StepLanes(step=step, wall_ns=wall, lanes=(_between(edges, owners),))


def ort_lanes(
    table: EventTable, nodes: Rows, executors: Rows, window: StepWindow, wall_ns: int, step: int
) -> StepLanes:
    """The nodes of one ONNX Runtime step on each thread, with executor and session around those of the caller's.

    The profile does not say how the time of the API splits before and after the run: it is put behind it.

    Args:
        table: The profile.
        nodes: Rows of the step's nodes, in the order of the partition's work.
        executors: Rows of its executors.
        window: The run.
        wall_ns: Wall time of the step.
        step: Its position in the partition.
    """
    run = window.end_ns - window.start_ns
    track = table.track[nodes]
    executor, session, api = range(len(nodes), len(nodes) + 3)
    works, begin, end = _clipped(table, nodes, window)
    mine = track == window.track
    layers = [
        (works[mine], begin[mine], end[mine]),
        (np.full(len(executors), executor, dtype=np.int64), *_clipped(table, executors, window)[1:]),
        (np.array([session]), np.array([0]), np.array([run])),
    ]
    edges, owners = _stacked(layers)
    caller = _between(np.append(edges, max(wall_ns, run)), np.append(owners, api))
    others = (
        _thread(works[track == other], begin[track == other], end[track == other], f"thread {number}")
        for number, other in enumerate(np.unique(track[~mine]).tolist(), 2)
    )
    return StepLanes(step=step, wall_ns=max(wall_ns, run), lanes=(caller, *others))


def _clipped(table: EventTable, rows: Rows, window: StepWindow) -> tuple[Int64s, Int64s, Int64s]:
    """Position, start and end of events inside a step, from its start."""
    length = window.end_ns - window.start_ns
    begin = np.clip(table.start_ns[rows] - window.start_ns, 0, length)
    end = np.clip(table.start_ns[rows] + table.duration_ns[rows] - window.start_ns, 0, length)
    return np.arange(len(rows), dtype=np.int64), begin, end


Layer = tuple[Int64s, Int64s, Int64s]
"""Owners of intervals, and where these begin and end."""


def _stacked(layers: list[Layer]) -> tuple[Int64s, Int64s]:
    """Edges of the pieces that the intervals cut, and the innermost owner of each, by the first layer that has one.

    The last layer is an interval around all others.
    """
    edges = np.unique(np.concatenate([side for _, begin, end in layers for side in (begin, end)]))
    owners = np.full(max(len(edges) - 1, 0), -1, dtype=np.int64)
    for owner, begin, end in layers:
        order = nesting_order(begin, end)
        free = np.flatnonzero(owners < 0)
        found = innermost(begin[order], end[order], edges[:-1][free])
        owners[free[found >= 0]] = owner[order][found[found >= 0]]
    return edges, owners


def _thread(works: Int64s, begin: Int64s, end: Int64s, name: str) -> Lane:
    """What one thread of a pool did: between its nodes nothing holds it."""
    edges, owners = _stacked([(works, begin, end)])
    return _between(edges, owners, name)


def _between(edges: Int64s, owners: Int64s, name: str = CALLER) -> Lane:
    """Pieces as segments: those without length or owner left out, neighbors of one owner joined."""
    lengths = np.diff(edges)
    kept = (lengths > 0) & (owners >= 0)
    starts, lengths, owners = edges[:-1][kept], lengths[kept], owners[kept]
    pieces = list(_joined(starts.tolist(), lengths.tolist(), owners.tolist()))
    columns = np.array(pieces, dtype=np.int64).reshape(-1, 3).T
    return Lane(kind="host", name=name, owner=columns[2], start_ns=columns[0], duration_ns=columns[1])


def _joined(starts: list[int], lengths: list[int], owners: list[int]) -> Iterator[tuple[int, int, int]]:
    last: tuple[int, int, int] | None = None
    for start, length, owner in zip(starts, lengths, owners, strict=True):
        if last and last[2] == owner and last[0] + last[1] == start:
            last = (last[0], last[1] + length, owner)
            continue
        if last:
            yield last
        last = (start, length, owner)
    if last:
        yield last
