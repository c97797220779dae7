"""The partition of one side of a trace directory: find its profiled steps, then split them."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from attrib.analysis.attribution.device.partition import split_by_device
from attrib.analysis.attribution.device.steps import ort_hosts, torch_hosts
from attrib.analysis.attribution.device.unseen import warn_unseen
from attrib.analysis.attribution.host.foreign_steps import foreign_steps, unmarked_steps
from attrib.analysis.attribution.host.ort_partition import ort_steps
from attrib.analysis.attribution.host.steps import StepWindow
from attrib.analysis.attribution.host.torch_partition import torch_steps
from attrib.analysis.lineage.reader import graph_from_bytes
from attrib.errors import AttribError
from attrib.model.latency import LatencyTable
from attrib.model.manifest import OPTIMIZED, PROFILE_ZERO, Role, Side
from attrib.model.work import Engine, Partition
from attrib.traces.directory.manifest_file import INTACT_COPY
from attrib.traces.directory.trace_directory import TraceDirectory
from attrib.traces.formats.times import LIMIT_NS
from attrib.traces.recording.recording import Recording, Rows

CLOCK_SLACK_NS = 50_000
"""How far the clocks of the profiler and of the caller may be apart."""


class TimedStep(NamedTuple):
    """A profiled step as the caller recorded it, nanoseconds since the epoch."""

    start_ns: int
    wall_ns: int
    block: int


def partition_of(directory: TraceDirectory, role: Role, latency: LatencyTable | None) -> Partition | None:
    """Split the profiled steps of one side.

    Returns:
        None where the directory has no trace of that side, or no step in it.
    """
    recording = directory.events(role)
    if recording is None:
        return None
    side = directory.manifest.sides.get(role) if directory.manifest else None
    engine: Engine = side.engine if side else role
    rows = recording.steps()
    timed = _timed_steps(latency, role) if latency is not None else []
    zero = _profile_zero(side) if side and engine == "onnxruntime" else 0
    steps = step_windows(recording, rows, timed, zero)
    if not steps and engine == "torch" and not timed:  # of a trace that annotates none
        foreign = foreign_steps(recording)
        steps = step_windows(recording, foreign, ()) if foreign.size else unmarked_steps(recording)
    if not steps:
        return None
    if engine == "torch":
        found = torch_steps(recording, steps, directory.compiled(role))
        if not recording.device_work().size:
            return warn_unseen(found.partition, recording, None)
        return split_by_device(found.partition, torch_hosts(recording, found), recording)
    earlier = tuple(recording.duration_ns[rows[recording.start_ns[rows] < steps[0].start_ns]].tolist())
    needs_nodes = bool(recording.runs().nodes.size) or not _has_no_nodes(directory)
    partition = _ort_partition(recording, steps, directory.device_events(role), zero, needs_nodes=needs_nodes)
    return msgspec.structs.replace(partition, earlier_ns=earlier)


def partition_of_profile(
    recording: Recording, latency: LatencyTable, role: Role, zero: int
) -> Partition | None:
    """Split the profiled steps of a profile of ONNX Runtime that lies in no trace directory.

    Args:
        recording: The profile.
        latency: The steps as the caller timed them.
        role: The side that they have there.
        zero: Epoch time of the profile's own zero.

    Returns:
        None where it holds none of the steps.
    """
    steps = step_windows(recording, recording.steps(), _timed_steps(latency, role), zero)
    if not steps:
        return None
    return _ort_partition(recording, steps, None, zero, needs_nodes=bool(recording.runs().nodes.size))


def _timed_steps(latency: LatencyTable, role: Role) -> list[TimedStep]:
    profiled = latency.select(role, "profiled")
    columns = (column[profiled].tolist() for column in (latency.start_ns, latency.wall_ns, latency.block))
    return [TimedStep(*step) for step in zip(*columns, strict=True)]


def _has_no_nodes(directory: TraceDirectory) -> bool:
    """Whether the graph that ran was captured and holds no node: one that reads no input may be folded whole."""
    data = directory.graphs().get(OPTIMIZED)
    return data is not None and not graph_from_bytes(data, OPTIMIZED).nodes


def _profile_zero(side: Side) -> int:
    """Epoch time of the profile's own zero; 0 where the capture did not note it.

    Raises:
        AttribError: What it noted is no time.
    """
    text = side.settings.get(PROFILE_ZERO, "0")
    is_time = text.isascii() and text.isdigit() and len(text) <= len(str(LIMIT_NS)) and int(text) < LIMIT_NS
    if not is_time:
        raise AttribError(
            f"manifest.json: {PROFILE_ZERO} is no time in nanoseconds: {text[:40]!r}", hint=INTACT_COPY
        )
    return int(text)


def _ort_partition(
    recording: Recording,
    steps: Sequence[StepWindow],
    device: Recording | None,
    zero: int,
    *,
    needs_nodes: bool,
) -> Partition:
    """ONNX Runtime's steps: by the device's work where either trace holds any, the one around the runs first."""
    own = device is None or not device.device_work().size
    source = recording if device is None or own else device
    seen = bool(source.device_work().size)
    found = ort_steps(recording, steps, needs_nodes=needs_nodes and not seen)
    if not seen:
        return warn_unseen(found.partition, recording, device)
    hosts, warnings = ort_hosts(recording, found, source, 0 if own else zero)
    partition = split_by_device(found.partition, hosts, source)
    return msgspec.structs.replace(partition, warnings=(*partition.warnings, *warnings))


def step_windows(
    recording: Recording, rows: Rows, timed: Sequence[TimedStep], zero: int = 0
) -> list[StepWindow]:
    """Steps of a trace as windows, with the block and the wall time that the caller recorded for each.

    A session that is profiled from its creation holds more runs than the recorded steps (its warm-up): a run belongs to
    the recorded step in which it starts. In a trace without recorded steps the first one is left out where there are
    more: it is the cold one.

    Args:
        recording: The trace.
        rows: Rows of the events that stand for a step, in order of time.
        timed: Recorded steps in order of time.
        zero: Epoch time of the trace's own zero, where the recording does not know it.
    """
    if not timed:
        rows = _working(recording, rows)
        rows = rows[1:] if len(rows) > 1 else rows
        return [_window(recording, row, block, -1) for block, row in enumerate(rows.tolist())]
    begins = np.array([step.start_ns for step in timed]) - CLOCK_SLACK_NS
    starts = recording.start_ns[rows] + zero
    first = np.minimum(np.searchsorted(starts, begins), max(len(rows) - 1, 0))
    return [
        _window(recording, int(rows[i]), step.block, step.wall_ns, step.start_ns)
        for i, step in zip(first.tolist(), timed, strict=True)
        if len(rows) and -CLOCK_SLACK_NS <= starts[i] - step.start_ns <= step.wall_ns
    ]


def _working(recording: Recording, rows: Rows) -> Rows:
    """Keep the steps that hold operators; all where none does."""
    begins = np.sort(recording.start_ns[recording.ops()])
    first, last = (np.searchsorted(begins, t) for t in (recording.start_ns[rows], recording.ends(rows)))
    return rows[last > first] if (last > first).any() else rows


def _window(recording: Recording, row: int, block: int, wall_ns: int, call_ns: int = -1) -> StepWindow:
    start = int(recording.start_ns[row])
    end = start + int(recording.duration_ns[row])
    return StepWindow(row, start, end, int(recording.track[row]), block, wall_ns, call_ns)
