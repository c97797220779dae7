"""A partition whose steps are split by what the device did, in place of what the host did.

Every kernel, copy and memset belongs to the step in which its runtime call lies, and in it to the call or node that holds
the runtime call, on the call's own thread. What no unit of work launched goes to a part with a name of its own.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from attrib.analysis.attribution.device.copies import copies_of, outside_copies
from attrib.analysis.attribution.device.events import DeviceEvents, device_events
from attrib.analysis.attribution.device.host import COPY, KERNEL, HostStep, Waits, waits_of
from attrib.analysis.attribution.device.lanes import device_lanes
from attrib.analysis.attribution.device.parts import (
    ALLOCATING,
    DEVICE_PARTS,
    GRAPH_REPLAY,
    OTHER_STEP,
    OUTSIDE,
    SYNCHRONIZING,
    UNLAUNCHED,
    Assigned,
)
from attrib.analysis.attribution.device.sweep import Owners, StepWork, sweep
from attrib.model.device import SPENT, DeviceSplit, DeviceUse
from attrib.model.events import Int64s
from attrib.model.execution_providers import CPU_PROVIDER, asynchronous_of
from attrib.model.work import Partition
from attrib.traces.recording.intervals import NONE, union_ns
from attrib.traces.recording.recording import Recording
from attrib.units import format_percent

OUTSIDE_SHARE = 0.1
"""Of the device's time: when more of it belongs to no operator, the report says so."""

CLIPPED_SHARE = 0.01
"""Of the device's time: when more of it lies behind the end of its step, the report says so."""

_BEHIND = (
    "{} of the device's time lies behind the end of the step that launched it: the steps do not wait for the device,"
    " and their walls do not hold all of its work"
)
_REPLAYED = (
    "{:,} kernels and copies ran in replays of a graph: which operator each belongs to is not recorded"
)
_OUTSIDE = "{} of the device's time was launched in no operator: by code that calls kernels itself, or the clocks differ"
_UNLAUNCHED = "{:,} kernels and copies have no launching call in the trace: they belong to no operator"


def split_by_device(
    partition: Partition, steps: Sequence[HostStep], recording: Recording, zero: int = 0
) -> Partition:
    """Split the steps of a partition again, by the device's work in `recording`.

    Args:
        partition: The steps as the host saw them.
        steps: The same steps on the clock of the device's trace, with the same walls.
        recording: The trace with the device's work.
        zero: What to add to its times.
    """
    found = assign(device_events(recording, zero), steps, recording, partition)
    waits, owners = waits_of(recording), _owners(found, partition)
    by_start = np.argsort(found.events.start, kind="stable")
    reach = np.maximum.accumulate(found.events.end[by_start]) if len(by_start) else by_start
    swept = []
    for i, step in enumerate(steps):
        first = np.searchsorted(reach, step.start_ns, side="right")
        last = np.searchsorted(found.events.start[by_start], step.end_ns, side="left")
        work = _step_work(found, i, by_start[first:last])
        swept.append(sweep(step, work, waits.within(step), owners))
    spent = np.stack([split for split, _ in swept], axis=2)
    busy = np.array([ns for _, ns in swept], dtype=np.int64)
    parts_ns = spent[:, found.works :].sum(axis=0)
    kept = [i for i, name in enumerate(found.parts) if name not in DEVICE_PARTS or parts_ns[i].any()]
    more = np.zeros(len(kept) - len(partition.parts), dtype=np.int64)
    return msgspec.structs.replace(
        partition,
        parts=tuple(found.parts[i] for i in kept),
        work_ns=spent[:, : found.works].sum(axis=0),
        parts_ns=parts_ns[kept],
        inside=np.concatenate([partition.inside, more]),
        outside=np.concatenate([partition.outside, more]),
        scopes=np.concatenate([partition.scopes, more]),
        warnings=(*partition.warnings, *_warnings(found, steps)),
        device=device_use(found, partition.walls_ns),
        split=_split(found, partition, recording, spent[:, : found.works], busy, waits),
        python=None,
        lanes=device_lanes(found, steps, recording, [found.parts[i] for i in kept]),
    )


def assign(
    events: DeviceEvents, steps: Sequence[HostStep], recording: Recording, partition: Partition
) -> Assigned:
    """Give each event of the device its step and its owner; every event gets at most one of each."""
    starts, ends = (
        np.array([getattr(step, name) for step in steps], dtype=np.int64) for name in ("start_ns", "end_ns")
    )
    order = np.argsort(starts, kind="stable")
    position = np.searchsorted(starts[order], events.launched, side="right") - 1
    step = np.where(position >= 0, order[np.maximum(position, 0)], NONE)
    step = np.where((step != NONE) & (events.launched < ends[step]), step, NONE)
    parts = (*partition.parts, *DEVICE_PARTS)
    found = Assigned(events, step, np.full(len(events), NONE, dtype=np.int64), len(partition.work), parts)
    for i, host in enumerate(steps):
        own = np.flatnonzero(step == i)
        known, is_copy = events.known[own], events.is_copy[own]
        unit = np.where(known, host.launcher(events.launched[own], events.track[own]), -1)
        # What no unit launched goes to a part that says as much of it as is known.
        outside = np.where(is_copy, outside_copies(found, own, host, recording), found.part(OUTSIDE))
        outside = np.where(events.in_graph[own], found.part(GRAPH_REPLAY), outside)
        outside = np.where(known, outside, found.part(UNLAUNCHED))
        found.owner[own] = np.where(unit >= 0, unit, outside)
    return found


def _owners(found: Assigned, partition: Partition) -> Owners:
    owning = np.unique(found.owner).tolist()
    launching = {partition.work[i].provider for i in owning if 0 <= i < found.works} - {CPU_PROVIDER}
    elsewhere = launching | asynchronous_of({work.provider for work in partition.work})
    return Owners(
        total=found.works + len(found.parts),
        works=found.works,
        other_step=found.part(OTHER_STEP),
        syncs=found.part(SYNCHRONIZING),
        allocations=found.part(ALLOCATING),
        # The processor computes a unit whose provider launches nothing, and is none that would.
        on_host=np.array(
            [bool(w.provider) and w.provider not in elsewhere for w in partition.work], dtype=bool
        ),
    )


def _step_work(found: Assigned, i: int, near: Int64s) -> StepWork:
    """The device's work of one step, and what else is near it: `near` are all events that can overlap the step."""
    events = found.events
    own, others = near[found.step[near] == i], near[found.step[near] != i]
    return StepWork(
        start=events.start[own],
        end=events.end[own],
        owner=found.owner[own],
        kind=np.where(events.is_copy[own], COPY, KERNEL),
        launched=events.launched[own],
        foreign_start=events.start[others],
        foreign_end=events.end[others],
    )


def device_use(found: Assigned, walls: Int64s) -> DeviceUse:
    """The device's work by the step that launched it: raw sums, nothing clipped."""
    events, duration = found.events, found.events.end - found.events.start
    own = [found.step == position for position in range(len(walls))]
    return DeviceUse(
        busy_ns=np.array([union_ns(events.start[o], duration[o]) for o in own], dtype=np.int64),
        kernels_ns=np.array([duration[o & ~events.is_copy].sum() for o in own], dtype=np.int64),
        copies_ns=np.array([duration[o & events.is_copy].sum() for o in own], dtype=np.int64),
        kernels=np.array([(o & ~events.is_copy).sum() for o in own], dtype=np.int64),
        walls_ns=walls,
    )


def _split(
    found: Assigned, partition: Partition, recording: Recording, spent: Int64s, busy: Int64s, waits: Waits
) -> DeviceSplit:
    events = found.events
    mine = np.flatnonzero((found.owner >= 0) & (found.owner < found.works) & ~events.is_copy)
    place = found.owner[mine], found.step[mine]
    shape = len(partition.work), partition.steps
    sums, counts = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    np.add.at(sums, place, events.end[mine] - events.start[mine])
    np.add.at(counts, place, 1)
    # Distinct kernels of each unit in the first step, in order of launch.
    first = mine[found.step[mine] == 0]
    order = np.lexsort((found.events.start[first], found.events.launched[first]))
    names: list[dict[str, None]] = [{} for _ in range(found.works)]
    for i in first[order].tolist():
        names[int(found.owner[i])].setdefault(recording.text(int(recording.name[found.events.row[i]])))
    return DeviceSplit(
        work_ns=dict(zip(SPENT, spent, strict=True)),
        busy_ns=busy,
        idle_ns=partition.walls_ns - busy,
        kernels_ns=sums,
        kernels=counts,
        names=tuple(tuple(its) for its in names),
        copies=copies_of(found, partition, recording, waits),
    )


def _warnings(found: Assigned, steps: Sequence[HostStep]) -> tuple[str, ...]:
    """What cannot be told of the device's work."""
    events, inside = found.events, found.step != NONE
    duration = np.where(inside, events.end - events.start, 0)
    total = int(duration.sum())
    ends = np.array([step.end_ns for step in steps], dtype=np.int64)
    late = int(np.minimum(np.maximum(events.end - ends[found.step], 0), duration)[inside].sum())
    replayed = int((found.owner == found.part(GRAPH_REPLAY)).sum())
    unlaunched = int((found.owner == found.part(UNLAUNCHED)).sum())
    share = late / max(total, 1)
    outside = int(duration[found.owner == found.part(OUTSIDE)].sum()) / max(total, 1)
    said = {
        _BEHIND.format(format_percent(share)): share > CLIPPED_SHARE,
        _OUTSIDE.format(format_percent(outside)): outside > OUTSIDE_SHARE,
        _REPLAYED.format(replayed): replayed > 0,
        _UNLAUNCHED.format(unlaunched): unlaunched > 0,
    }
    return tuple(text for text, is_so in said.items() if is_so)
