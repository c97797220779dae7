"""The typical profiled step of one side, segment by segment on each thread.

On a single thread the segments tile the step, and those of one owner sum to what the partition says of it.
"""

import numpy as np

from attrib.analysis.attribution.host.intervals import innermost, nesting_order
from attrib.analysis.attribution.host.steps import StepWindow
from attrib.model.events import Int64s
from attrib.model.timeline import Lane, StepLanes
from attrib.traces.recording.recording import Recording, Rows

CALLER = "host"
"""The thread that called the engine."""


def find_typical(walls: Int64s) -> int:
    """Position of the step whose wall is nearest to the median; the first of several."""
    return int(np.argmin(np.abs(walls - np.median(walls))))


def torch_lanes(
    recording: Recording, calls: Int64s, duration: Int64s, window: StepWindow, step: int
) -> StepLanes:
    """The calls of one PyTorch step, and the dispatch between them.

    Args:
        recording: The trace.
        calls: Rows of the step's calls, in order of time.
        duration: What each owns: the end of its interval.
        window: The step.
        step: Its position in the partition.
    """
    wall = window.end_ns - window.start_ns
    ends = np.minimum(recording.ends(calls), window.end_ns) - window.start_ns
    owners = np.full(2 * len(calls) + 1, len(calls), dtype=np.int64)
    edges = np.concatenate([[0], np.stack([ends - duration, ends], axis=1).ravel(), [wall]])
    owners[1::2] = np.arange(len(calls))
    # A call that owns nothing may end before the one that holds its time does.
    edges[1:-1] = np.maximum.accumulate(edges[1:-1]) if len(calls) else edges[1:-1]
    return StepLanes(step=step, wall_ns=wall, lanes=(_lane(edges, owners),))


def ort_lanes(
    recording: Recording, nodes: Rows, executors: Rows, window: StepWindow, wall_ns: int, step: int
) -> StepLanes:
    """The nodes of one ONNX Runtime step on each thread, with executor and session around those of the caller's.

    The profile does not say how the time of the API splits before and after the run: it is put behind it.

    Args:
        recording: The profile.
        nodes: Rows of the step's nodes, in the order of the partition's work.
        executors: Rows of its executors.
        window: The run.
        wall_ns: Wall time of the step.
        step: Its position in the partition.
    """
    run = window.end_ns - window.start_ns
    track = recording.track[nodes]
    executor, session, api = range(len(nodes), len(nodes) + 3)
    works, begin, end = _clip(recording, nodes, window)
    mine = track == window.track
    layers = [
        (works[mine], begin[mine], end[mine]),
        (np.full(len(executors), executor, dtype=np.int64), *_clip(recording, executors, window)[1:]),
        (np.array([session]), np.array([0]), np.array([run])),
    ]
    edges, owners = _stack(layers)
    caller = _lane(np.append(edges, max(wall_ns, run)), np.append(owners, api))
    lanes = [caller]
    for number, other in enumerate(np.unique(track[~mine]).tolist(), 2):
        its = track == other
        edges, owners = _stack([(works[its], begin[its], end[its])])
        lanes.append(_lane(edges, owners, f"thread {number}"))
    return StepLanes(step=step, wall_ns=max(wall_ns, run), lanes=tuple(lanes))


def _clip(recording: Recording, rows: Rows, window: StepWindow) -> tuple[Int64s, Int64s, Int64s]:
    """Position, start and end of events inside a step, from its start."""
    length = window.end_ns - window.start_ns
    begin = np.clip(recording.start_ns[rows] - window.start_ns, 0, length)
    end = np.clip(recording.ends(rows) - window.start_ns, 0, length)
    return np.arange(len(rows), dtype=np.int64), begin, end


Layer = tuple[Int64s, Int64s, Int64s]
"""Owners of intervals, and where these begin and end."""


def _stack(layers: list[Layer]) -> tuple[Int64s, Int64s]:
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


def _lane(edges: Int64s, owners: Int64s, name: str = CALLER) -> Lane:
    """Pieces as segments: those without length or owner left out, neighbors of one owner joined."""
    lengths = np.diff(edges)
    kept = (lengths > 0) & (owners >= 0)
    starts, lengths, owners = edges[:-1][kept], lengths[kept], owners[kept]
    pieces: list[tuple[int, int, int]] = []
    for start, length, owner in zip(starts.tolist(), lengths.tolist(), owners.tolist(), strict=True):
        if pieces and pieces[-1][2] == owner and pieces[-1][0] + pieces[-1][1] == start:
            pieces[-1] = (pieces[-1][0], pieces[-1][1] + length, owner)
        else:
            pieces.append((start, length, owner))
    columns = np.array(pieces, dtype=np.int64).reshape(-1, 3).T
    return Lane(kind="host", name=name, owner=columns[2], start_ns=columns[0], duration_ns=columns[1])
