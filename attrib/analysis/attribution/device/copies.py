"""Copies and memsets: from where to where, and what caused them."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from attrib.analysis.attribution.device.events import directions
from attrib.analysis.attribution.device.host import SYNC, HostStep, Waits
from attrib.analysis.attribution.device.parts import COPIES, INPUTS, OUTPUTS, Assigned
from attrib.model.device import CopyCause, CopyUse, Direction
from attrib.model.events import Int64s
from attrib.model.work import Partition
from attrib.traces.recording.intervals import NONE
from attrib.traces.recording.recording import Recording

MEMCPY_OPS = frozenset({"MemcpyToHost", "MemcpyFromHost"})
_PART_CAUSES: dict[str, CopyCause] = {INPUTS: "input", OUTPUTS: "output"}


class _Key(NamedTuple):
    """What copies are counted by: position of the owner, then names."""

    owner: int
    direction: Direction
    launch: str
    sync: str


def outside_copies(found: Assigned, own: Int64s, host: HostStep, recording: Recording) -> Int64s:
    """The part of each copy that no unit launched: an input of the session, an output, or neither.

    A session copies its inputs to the device before the first node, and its outputs to the host after the last one.
    Only a run is known to do so; what PyTorch copies outside its operators is called just that.
    """
    events, units = found.events, host.every
    parts = np.full(len(own), found.part(COPIES), dtype=np.int64)
    if not host.layers:
        return parts
    first, last = (
        (int(units.begin.min()), int(units.end.max())) if len(units.begin) else (host.end_ns, host.start_ns)
    )
    way = np.array(directions(recording, events.row[own]), dtype=object)
    launched = events.launched[own]
    parts[(way == "HtoD") & (launched < first)] = found.part(INPUTS)
    parts[(way == "DtoH") & (launched >= last)] = found.part(OUTPUTS)
    return parts


def copies_of(
    found: Assigned, partition: Partition, recording: Recording, waits: Waits
) -> tuple[CopyUse, ...]:
    """Copies by owner, direction, launching call, and the synchronizing call that followed; the longest first."""
    events = found.events
    rows = np.flatnonzero(events.is_copy & (found.step != NONE))
    members: dict[_Key, list[int]] = {}
    syncs = _following_syncs(found, rows, recording, waits)
    ways = directions(recording, events.row[rows])
    for i, way, sync in zip(rows.tolist(), ways, syncs, strict=True):
        launch = int(events.launch[i])
        name = recording.text(int(recording.name[launch])) if launch != NONE else ""
        members.setdefault(_Key(int(found.owner[i]), way, name, sync), []).append(i)
    uses = [_copy_use(found, partition, recording, key, np.array(its)) for key, its in members.items()]
    return tuple(
        sorted(uses, key=lambda use: (-int(use.ns.sum()), use.owner, use.direction, use.launch, use.sync))
    )


def _copy_use(found: Assigned, partition: Partition, recording: Recording, key: _Key, its: Int64s) -> CopyUse:
    events = found.events
    counts, sums, sizes = (np.zeros(partition.steps, dtype=np.int64) for _ in range(3))
    np.add.at(counts, found.step[its], 1)
    np.add.at(sums, found.step[its], events.end[its] - events.start[its])
    np.add.at(sizes, found.step[its], np.maximum(recording.bytes[events.row[its]], 0))
    work = partition.work[key.owner] if key.owner < found.works else None
    part = "" if work else found.parts[key.owner - found.works]
    cause: CopyCause = _PART_CAUSES.get(part, "elsewhere")
    if work:
        cause = "node" if work.op in MEMCPY_OPS else "call"
    return CopyUse(
        direction=key.direction,
        cause=cause,
        owner=work.id if work else part,
        launch=key.launch,
        sync=key.sync,
        count=counts,
        ns=sums,
        bytes=sizes,
    )


def _following_syncs(found: Assigned, rows: Int64s, recording: Recording, waits: Waits) -> Iterator[str]:
    """The synchronizing call that follows each copy on its thread, before the thread launches anything else."""
    events = found.events
    chosen = waits.spans.owner == SYNC
    begins, tracks, calls = waits.spans.begin[chosen], waits.track[chosen], waits.row[chosen]
    by_track = {int(t): np.flatnonzero(tracks == t) for t in np.unique(tracks)}
    launches = {t: np.sort(events.launched[events.known & (events.track == t)]) for t in by_track}
    for i in rows.tolist():
        track, launched = int(events.track[i]), int(events.launched[i])
        own = by_track.get(track)
        if own is None:
            yield ""
            continue
        after = int(np.searchsorted(begins[own], launched))
        following = int(np.searchsorted(launches[track], launched, side="right"))
        until = int(launches[track][following]) if following < len(launches[track]) else None
        is_next = after < len(own) and (until is None or begins[own[after]] < until)
        yield recording.text(int(recording.name[calls[own[after]]])) if is_next else ""
