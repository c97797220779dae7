"""What a trace says of the device: its work by kind, direction and stream, and what the host asked of it."""

import msgspec
import numpy as np

from attrib.model.events import ABSENT
from attrib.traces.inspection.aggregates import (
    by_provider,
    by_time,
    largest_uses,
    microseconds,
    sum_us,
    transfer_use,
    use_of,
    use_or_none,
)
from attrib.traces.inspection.inspection import GpuUse, MovedUse, NamedUse, RuntimeUse, StepUse
from attrib.traces.recording.device_names import CopyDirection, direction_of
from attrib.traces.recording.intervals import NONE, union_ns
from attrib.traces.recording.ort_recording import NO_THREAD
from attrib.traces.recording.recording import Recording, Rows, distinct


def gpu_use(recording: Recording) -> GpuUse | None:
    """The device's work in figures; None where the trace holds none."""
    work, launches = recording.device_work(), recording.launches()
    if not work.size:
        return None
    fills = recording.fills()
    found = GpuUse(
        events=work.size,
        sum_us=sum_us(recording, work),
        busy_us=busy_us(recording, work),
        kernels=use_or_none(recording, recording.kernels()),
        copies=copies_by_direction(recording),
        fills=transfer_use(recording, fills) if fills.size else None,
        streams=_streams(recording, work),
    )
    known = launches != NONE
    if recording.records_nodes:
        of_nodes = by_provider(recording, work[known], launches[known])
        return msgspec.structs.replace(
            found,
            by_provider={name: use_of(recording, rows) for name, rows in of_nodes},
            without_node=int((~known).sum()),
        )
    if not known.any():
        return found
    return msgspec.structs.replace(
        found,
        graph_events=int(np.isin(launches, recording.calls_to("graph_launch")).sum()),
        without_launch=int((~known).sum()),
    )


def busy_us(recording: Recording, rows: Rows) -> int | float:
    """Time in which at least one of the rows was at work."""
    return microseconds(union_ns(recording.start_ns[rows], recording.duration_ns[rows]))


def copies_by_direction(recording: Recording) -> dict[CopyDirection, MovedUse]:
    """The device's copies by where they went, those directions that the trace holds."""
    rows = recording.copies()
    names = recording.name[rows]
    by_direction: dict[CopyDirection, list[int]] = {}
    for code in distinct(names):
        by_direction.setdefault(direction_of(recording.text(code)), []).append(code)
    return {
        direction: transfer_use(recording, rows[np.isin(names, by_direction[direction])])
        for direction in sorted(by_direction)
    }


def runtime_use(recording: Recording) -> RuntimeUse | None:
    """What the host asked of the device's runtime; None where no call was recorded."""
    calls, graphs = recording.runtime_calls(), recording.calls_to("graph_launch")
    if not calls.size:
        return None
    launching = np.sort(np.concatenate([recording.calls_to("launch"), graphs]))
    waits = np.concatenate([recording.calls_to("sync"), recording.waits()])
    return RuntimeUse(
        calls=use_of(recording, calls),
        launches=recording.outermost(launching).size,
        graph_launches=recording.outermost(graphs).size,
        without_work=fruitless_launches(recording, launching).size,
        synchronizations=by_time(recording, waits, recording.name),
    )


def fruitless_launches(recording: Recording, launching: Rows) -> Rows:
    """Outermost launching calls of which the trace holds no work, neither theirs nor that of a call inside them.

    A runtime call may be recorded with the driver call that it makes; the work then names only one of them.
    """
    known = np.unique(recording.correlation[recording.device_work()])
    correlation = recording.correlation[launching]
    bore = launching[(correlation > 0) & np.isin(correlation, known)]
    top = recording.outermost(launching)
    top = top[np.lexsort((recording.start_ns[top], recording.track[top]))]
    found = np.zeros(top.size, dtype=bool)
    for track in distinct(recording.track[bore]):
        own = np.flatnonzero(recording.track[top] == track)
        inside = bore[recording.track[bore] == track]
        starts = recording.start_ns[top[own]]
        found[own[np.searchsorted(starts, recording.start_ns[inside], side="right") - 1]] = True
    return np.sort(top[~found])


def step_uses(recording: Recording) -> tuple[StepUse, ...]:
    """Each step of a Kineto trace with the work launched in it, not with what ran in it."""
    work, steps, kernels = recording.device_work(), recording.steps(), recording.kernels()
    own_step = recording.step_of_device_work()
    order = np.argsort(own_step, kind="stable")
    edges = np.searchsorted(own_step[order], np.arange(steps.size + 1))
    placed = bool((recording.launches() != NONE).any())
    uses = []
    for position, row in enumerate(steps.tolist()):
        name, wall_us = recording.text(recording.name[row]), microseconds(recording.duration_ns[row])
        if not placed:
            uses.append(StepUse(name=name, wall_us=wall_us, gpu_events=None, gpu_sum_us=None))
            continue
        own = work[order[edges[position] : edges[position + 1]]]
        use = StepUse(
            name=name,
            wall_us=wall_us,
            gpu_events=own.size,
            gpu_sum_us=sum_us(recording, own),
            gpu_busy_us=busy_us(recording, own),
            kernels=int(np.isin(own, kernels).sum()) if kernels.size else None,
        )
        uses.append(use)
    return tuple(uses)


def _streams(recording: Recording, work: Rows) -> tuple[NamedUse, ...]:
    """Streams by time. A profiler without a track for each stream (ORT's) names it in an argument only."""
    pairs = np.stack([recording.track[work].astype(np.int64), recording.stream[work]])
    keys, group = np.unique(pairs, axis=1, return_inverse=True)
    found: dict[str, list[Rows]] = {}
    for position, (track, stream) in enumerate(keys.T.tolist()):
        name = recording.text(track)
        if stream != ABSENT and name == NO_THREAD:
            name = f"stream {stream}"
        found.setdefault(name, []).append(work[group.reshape(-1) == position])
    return largest_uses(
        (-int(recording.duration_ns[rows].sum()), name, "", rows.size)
        for name, rows in ((name, np.concatenate(parts)) for name, parts in found.items())
    )
