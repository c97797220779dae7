"""The typical step on a device, segment by segment: what the host did, and what ran on each stream."""

from collections.abc import Sequence

import numpy as np

from attrib.analysis.attribution.device.host import HostStep
from attrib.analysis.attribution.device.parts import Assigned
from attrib.analysis.attribution.host.lanes import CALLER, find_typical
from attrib.model.events import ABSENT, Int64s
from attrib.model.timeline import NO_OWNER, Lane, StepLanes
from attrib.traces.recording.recording import Recording


def device_lanes(
    found: Assigned, steps: Sequence[HostStep], recording: Recording, parts: Sequence[str]
) -> StepLanes:
    """The lanes of the step whose wall is nearest to the median.

    Args:
        found: The device's work with its owners.
        steps: The steps on the host.
        recording: The device's trace.
        parts: The parts of the partition, in its order: those of a device only where they hold time.
    """
    shown = find_typical(np.array([step.end_ns - step.start_ns for step in steps]))
    step = steps[shown]
    places = [found.works + parts.index(part) if part in parts else NO_OWNER for part in found.parts]
    owners = np.concatenate([np.arange(found.works), np.array(places, dtype=np.int64), [NO_OWNER]])
    own = np.flatnonzero(found.step == shown)
    tracks = recording.track[found.events.row[own]]
    streams = (
        _stream_lane(found, own[tracks == track], step, recording, owners) for track in np.unique(tracks)
    )
    lanes = (_host_lane(step, owners), *(lane for lane in streams if len(lane.owner)))
    return StepLanes(step=shown, wall_ns=step.end_ns - step.start_ns, lanes=lanes)


def _host_lane(step: HostStep, owners: Int64s) -> Lane:
    edges = np.unique(
        np.clip([*step.edges().tolist(), step.start_ns, step.end_ns], step.start_ns, step.end_ns)
    )
    owner = owners[step.owner(edges[:-1])]
    new = np.flatnonzero(np.diff(owner, prepend=-2))
    bounds = np.append(edges[new], step.end_ns)
    return Lane(
        kind="host",
        name=CALLER,
        owner=owner[new],
        start_ns=bounds[:-1] - step.start_ns,
        duration_ns=np.diff(bounds),
    )


def _stream_lane(found: Assigned, own: Int64s, step: HostStep, recording: Recording, owners: Int64s) -> Lane:
    """One queue; where two of its events overlap (one kernel may start before the last has ended), the later one is cut."""
    events = found.events
    own = own[np.lexsort((events.end[own], events.start[own]))]
    start, end = (np.clip(side[own], step.start_ns, step.end_ns) for side in (events.start, events.end))
    before = np.maximum.accumulate(np.concatenate([[step.start_ns], end]))[:-1]
    start = np.maximum(start, before)
    left = end > start
    own, start, end = own[left], start[left], end[left]
    stream = int(recording.stream[events.row[own[0]]]) if len(own) else ABSENT
    return Lane(
        kind="device",
        name=f"stream {stream}" if stream != ABSENT else "device",
        owner=owners[found.owner[own]],
        start_ns=start - step.start_ns,
        duration_ns=end - start,
        labels=tuple(recording.text(int(code)) for code in recording.name[events.row[own]]),
    )
