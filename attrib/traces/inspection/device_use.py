"""What a trace says of the device: its work by kind, direction and stream, and what the host asked of it."""

import numpy as np

from attrib.model.events import ABSENT, EventTable
from attrib.traces.inspection.aggregates import by_time, microseconds, moved, ranked, some, summed, use_of
from attrib.traces.inspection.inspection import GpuUse, MovedUse, NamedUse, RuntimeUse, StepUse
from attrib.traces.recording.activity_types import NO_THREAD, Rows, distinct, rows_of
from attrib.traces.recording.device_names import CallKind, Direction, call_kind_of, direction_of
from attrib.traces.recording.runs import NONE, outermost, step_of, union_ns


def gpu_use(table: EventTable, work: Rows, launches: Rows) -> GpuUse | None:
    """The device's work in figures; None where the trace holds none.

    Args:
        table: A trace.
        work: Rows of the device's work.
        launches: For each of them, the row of the call that launched it, or `NONE`.
    """
    if not work.size:
        return None
    known = (launches != NONE).any()
    graphs = _calls(table, "graph_launch")
    fills = rows_of(table, {"memset"})
    return GpuUse(
        events=work.size,
        sum_us=summed(table, work),
        busy_us=busy_us(table, work),
        kernels=some(table, rows_of(table, {"kernel"})),
        copies=copies_by_direction(table),
        fills=moved(table, fills) if fills.size else None,
        streams=_streams(table, work),
        graph_events=int(np.isin(launches, graphs).sum()) if known else None,
        without_launch=int((launches == NONE).sum()) if known else None,
    )


def busy_us(table: EventTable, rows: Rows) -> int | float:
    """Time in which at least one of the rows was at work."""
    return microseconds(union_ns(table.start_ns[rows], table.duration_ns[rows]))


def copies_by_direction(table: EventTable) -> dict[Direction, MovedUse]:
    """The device's copies by where they went, those directions that the trace holds."""
    rows = rows_of(table, {"memcpy"})
    by_direction: dict[Direction, list[int]] = {}
    for code in distinct(table.name[rows]):
        by_direction.setdefault(direction_of(table.text(code)), []).append(code)
    return {
        direction: moved(table, rows[np.isin(table.name[rows], by_direction[direction])])
        for direction in sorted(by_direction)
    }


def runtime_use(table: EventTable, work: Rows) -> RuntimeUse | None:
    """What the host asked of the device's runtime; None where no call was recorded."""
    calls = rows_of(table, {"runtime"})
    if not calls.size:
        return None
    graphs = outermost(table, _calls(table, "graph_launch"))
    launching = np.sort(np.concatenate([_calls(table, "launch"), _calls(table, "graph_launch")]))
    waits = np.concatenate([_calls(table, "sync"), rows_of(table, {"sync"})])
    return RuntimeUse(
        calls=use_of(table, calls),
        launches=outermost(table, launching).size,
        graph_launches=graphs.size,
        without_work=fruitless(table, launching, work).size,
        synchronizations=by_time(table, waits, table.name),
    )


def fruitless(table: EventTable, launching: Rows, work: Rows) -> Rows:
    """Outermost launching calls of which the trace holds no work, neither theirs nor that of a call inside them.

    A runtime call may be recorded with the driver call that it makes; the work then names only one of them.
    """
    known = np.unique(table.correlation[work])
    bore = launching[(table.correlation[launching] > 0) & np.isin(table.correlation[launching], known)]
    top = outermost(table, launching)
    top = top[np.lexsort((table.start_ns[top], table.track[top]))]
    found = np.zeros(top.size, dtype=bool)
    for track in distinct(table.track[bore]):
        own = np.flatnonzero(table.track[top] == track)
        inside = bore[table.track[bore] == track]
        found[own[np.searchsorted(table.start_ns[top[own]], table.start_ns[inside], side="right") - 1]] = True
    return np.sort(top[~found])


def step_uses(table: EventTable, steps: Rows, work: Rows, launches: Rows) -> tuple[StepUse, ...]:
    """Each step with the work launched in it, not with what ran in it."""
    placed = bool((launches != NONE).any())
    own_step = step_of(table, steps, np.maximum(launches, 0)) if placed else launches
    own_step = np.where(launches == NONE, NONE, own_step)
    order = np.argsort(own_step, kind="stable")
    edges = np.searchsorted(own_step[order], np.arange(steps.size + 1))
    kernels = rows_of(table, {"kernel"})
    return tuple(
        _step_use(
            table, int(row), work[order[edges[position] : edges[position + 1]]] if placed else None, kernels
        )
        for position, row in enumerate(steps)
    )


def _step_use(table: EventTable, row: int, own: Rows | None, kernels: Rows) -> StepUse:
    return StepUse(
        name=table.text(int(table.name[row])),
        wall_us=microseconds(table.duration_ns[row]),
        gpu_events=None if own is None else own.size,
        gpu_sum_us=None if own is None else summed(table, own),
        gpu_busy_us=None if own is None else busy_us(table, own),
        kernels=None if own is None or not kernels.size else int(np.isin(own, kernels).sum()),
    )


def _calls(table: EventTable, kind: CallKind) -> Rows:
    calls = rows_of(table, {"runtime"})
    names = [code for code in distinct(table.name[calls]) if call_kind_of(table.text(code)) == kind]
    return calls[np.isin(table.name[calls], names)]


def _streams(table: EventTable, work: Rows) -> tuple[NamedUse, ...]:
    """Streams by time. A profiler without a track for each stream (ORT's) names it in an argument only."""
    pairs = np.stack([table.track[work].astype(np.int64), table.stream[work]])
    keys, group = np.unique(pairs, axis=1, return_inverse=True)
    found: dict[str, list[Rows]] = {}
    for position, (track, stream) in enumerate(keys.T.tolist()):
        name = table.text(track)
        if stream != ABSENT and name == NO_THREAD:
            name = f"stream {stream}"
        found.setdefault(name, []).append(work[group.reshape(-1) == position])
    return ranked(
        (-int(table.duration_ns[rows].sum()), name, "", rows.size)
        for name, rows in ((name, np.concatenate(parts)) for name, parts in found.items())
    )
