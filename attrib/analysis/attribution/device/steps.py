"""The profiled steps of either engine as the host ran them, on the clock of the device's trace."""

from collections.abc import Sequence

import numpy as np

from attrib.analysis.attribution.device.host import ANY, HostStep, Spans, codes_in, share_threads, spans_from
from attrib.analysis.attribution.host.ort_partition import OrtSteps
from attrib.analysis.attribution.host.steps import StepWindow
from attrib.analysis.attribution.host.torch_partition import TorchSteps
from attrib.model.events import Int64s
from attrib.traces.recording.clocks import RESIDUAL_LIMIT_NS, join_clocks
from attrib.traces.recording.recording import Recording, Rows
from attrib.units import format_ns

ORT_TICK_NS = 2_000
"""ONNX Runtime cuts a node's start and duration to whole microseconds: a node may end up to two later than it says."""


def torch_hosts(recording: Recording, found: TorchSteps) -> list[HostStep]:
    """The steps of a PyTorch trace: calls, and the dispatch between them."""
    launching = recording.track[recording.runtime_calls()]
    same = share_threads(recording.track[recording.calls()], launching)
    return [
        HostStep(
            start_ns=window.start_ns,
            end_ns=window.end_ns,
            units=_units(
                recording,
                calls,
                recording.track[calls].astype(np.int64) if same else np.full(len(calls), ANY),
                0,
            ),
            layers=(),
            rest=len(calls),
            track=window.track if same else ANY,
        )
        for calls, window in zip(found.calls, found.windows, strict=True)
    ]


def ort_hosts(
    recording: Recording, found: OrtSteps, device: Recording, zero: int
) -> tuple[list[HostStep], tuple[str, ...]]:
    """The steps of an ONNX Runtime profile, and what is to be said of the clocks.

    Args:
        recording: The profile.
        found: Its steps.
        device: The trace that holds the device's work.
        zero: What to add to the profile's times to get those of the other trace.
    """
    codes = codes_in(device, recording.strings)
    launching = device.track[device.runtime_calls()]
    nodes = np.concatenate((*found.nodes, np.zeros(0, dtype=np.intp)))
    callers = [window.track for window in found.windows]
    same = share_threads(codes[[*np.unique(recording.track[nodes]).tolist(), *callers]], launching)
    shifts, warnings = clock_shifts(recording, found.windows, zero, device)
    walls = found.partition.walls_ns.tolist()
    steps = [
        _ort_host(
            recording, position, found, walls[position], zero + shifts[position], codes if same else None
        )
        for position in range(len(found.windows))
    ]
    return steps, warnings


def _ort_host(
    recording: Recording, position: int, found: OrtSteps, wall: int, zero: int, codes: Int64s | None
) -> HostStep:
    """One run, inside its call: the call begins where the caller says, as far as it then holds the run."""
    window, nodes, executors = found.windows[position], found.nodes[position], found.executors[position]
    works, begin, end = len(nodes), window.start_ns + zero, window.end_ns + zero
    called = begin if window.call_ns < 0 else window.call_ns
    start = int(np.clip(called, end - wall, begin))
    tracks = np.full(len(nodes), ANY) if codes is None else codes[recording.track[nodes]]
    run = Spans(np.array([begin]), np.array([end]), np.array([works + 1]))
    return HostStep(
        start_ns=start,
        end_ns=start + wall,
        units=_units(recording, nodes, tracks, zero),
        layers=(_spans(recording, executors, np.full(len(executors), works), zero), run),
        rest=works + 2,
        track=ANY if codes is None else int(codes[window.track]),
        slack_ns=ORT_TICK_NS,
    )


def _units(recording: Recording, rows: Rows | Int64s, tracks: Int64s, zero: int) -> dict[int, Spans]:
    """When each unit of work ran, by thread; its owner is its position."""
    return {
        int(track): _spans(recording, rows[tracks == track], np.flatnonzero(tracks == track), zero)
        for track in np.unique(tracks)
    }


def _spans(recording: Recording, rows: Rows | Int64s, owner: Int64s, zero: int) -> Spans:
    begin = recording.start_ns[rows] + zero
    return spans_from(begin, begin + np.maximum(recording.duration_ns[rows], 0), owner.astype(np.int64))


def clock_shifts(
    recording: Recording, windows: Sequence[StepWindow], zero: int, device: Recording
) -> tuple[list[int], tuple[str, ...]]:
    """For each run the smallest shift that puts it inside the range that was recorded around it; a warning if one is large.

    Both traces count from the epoch, but Kineto converts its clock anew for every block, so that the two may drift apart.
    """
    join = join_clocks(recording, zero, device)
    low, high = -join.before_ns, join.after_ns
    # The smallest shift that leaves nothing before and nothing after; the middle where none does.
    smallest = np.where(low <= high, np.maximum(low, np.minimum(0, high)), (low + high) // 2)
    shift = dict(zip(join.runs.tolist(), smallest.tolist(), strict=True))
    shifts = [shift.get(window.row, 0) for window in windows]
    worst = max(map(abs, shifts), default=0)
    if worst <= RESIDUAL_LIMIT_NS:
        return shifts, ()
    warning = (
        f"the clocks of ONNX Runtime's profile and of the device's trace were {format_ns(worst)} apart:"
        " its nodes were moved by that before kernels were given to them"
    )
    return shifts, (warning,)
