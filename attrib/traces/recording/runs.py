"""Which run or step an event belongs to: by time and thread, not by file order or by counting executors.

ORT writes a run after its nodes, its `ts` is not monotone, one run may hold several
`SequentialExecutor::Execute` (an `If` node's branch) and several threads may run one session at the same
time. Kineto's steps are annotations.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attrib.model.events import EventTable
from attrib.traces.recording.activity_types import GPU_WORK, rows_of

Rows = npt.NDArray[np.intp]
Int64s = npt.NDArray[np.int64]

NONE = -1
"""Stands for "belongs to none" in an array of positions or rows."""

RUN = "model_run"
EXECUTORS = frozenset({"SequentialExecutor::Execute", "ParallelExecutor::Execute"})
FENCES = ("_fence_before", "_fence_after")
"""Suffixes of the events that ORT up to 1.20 wrote around each node."""

JITTER_NS = 10
"""How far a child may reach beyond its parent and still be one: Kineto rounds starts and durations apart."""

NODE_SUFFIX = "_kernel_time"
STEP = re.compile(r"(?:ProfilerStep#|attrib\.step#)\d+")
_OWN_STEP = "attrib.step#"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Runs:
    """The runs of an ORT profile and what belongs to each.

    Attributes:
        rows: Row of each run's `model_run` event, in order of time. nodes: Rows of the node events (no
        fences), in file order. run_of_node: For each of `nodes`, the position of its run in `rows`; `NONE`
        outside every run, or where runs on
            several threads overlap and the node's own thread does not tell.
        executors: Rows of the executor events, in file order.
        run_of_executor: The same for `executors`.
    """

    rows: Rows
    nodes: Rows
    run_of_node: Rows
    executors: Rows
    run_of_executor: Rows


def runs_of(table: EventTable) -> Runs:
    """The runs of an ORT profile."""
    rows = run_rows(table)
    nodes = node_rows(table)
    executors = _named(table, EXECUTORS.__contains__, rows_of(table, {"session"}))
    return Runs(
        rows=rows,
        nodes=nodes,
        run_of_node=containing(table, rows, nodes),
        executors=executors,
        run_of_executor=containing(table, rows, executors),
    )


def run_rows(table: EventTable) -> Rows:
    """Rows of the runs of an ORT profile, in order of time."""
    return _by_start(table, _named(table, lambda name: name == RUN, rows_of(table, {"session"})))


def node_rows(table: EventTable) -> Rows:
    """Rows of the events that are executed nodes, without the fences around them, in file order."""
    return _named(table, lambda name: not name.endswith(FENCES), rows_of(table, {"node"}))


def node_name(event_name: str) -> str:
    """The node's own name from the name of its event."""
    return event_name.removesuffix(NODE_SUFFIX)


def step_rows(table: EventTable) -> Rows:
    """Rows of the step annotations of a Kineto trace, in order of time.

    attrib's own steps (`attrib.step#N`) win over the profiler's (`ProfilerStep#N`), which may enclose them.
    The same names in the category `gpu_user_annotation` are ranges of device work, not steps.
    """
    steps = _named(table, lambda name: STEP.fullmatch(name) is not None, rows_of(table, {"annotation"}))
    own = _named(table, lambda name: name.startswith(_OWN_STEP), steps)
    return _by_start(table, own if own.size else steps)


def step_of(table: EventTable, steps: Rows, rows: Rows) -> Rows:
    """For each row, the position in `steps` of the step in which it starts, whatever its thread; else `NONE`.

    Args:
        table: A Kineto trace.
        steps: Rows of steps in order of time, which do not overlap.
        rows: Rows on the host, e.g. calls or runtime calls.
    """
    return _last_containing(table.start_ns[steps], _ends(table, steps), table.start_ns[rows])


def gpu_rows(table: EventTable) -> Rows:
    """Rows of the device's work: kernels, copies and memsets, in file order."""
    return rows_of(table, GPU_WORK)


def launches_of(table: EventTable, rows: Rows) -> Rows:
    """For each row of device work, the row of the runtime call that launched it, or `NONE`.

    One call may launch many kernels (a graph); of several calls with one correlation the first in time
    counts.
    """
    calls = rows_of(table, {"runtime"})
    calls = calls[table.correlation[calls] > 0]
    calls = calls[np.lexsort((table.start_ns[calls], table.correlation[calls]))]
    if not calls.size:
        return np.full(rows.size, NONE, np.intp)
    wanted = table.correlation[rows]
    first = np.minimum(np.searchsorted(table.correlation[calls], wanted), calls.size - 1)
    return np.where((table.correlation[calls][first] == wanted) & (wanted > 0), calls[first], NONE)


def step_of_gpu_work(table: EventTable, steps: Rows, rows: Rows) -> Rows:
    """For each row of device work, the position of the step in which its launching call lies, or `NONE`.

    Not by the kernel's own time: a kernel that runs in this window may have been launched by the step before.
    """
    launches = launches_of(table, rows)
    found = step_of(table, steps, np.maximum(launches, 0)) if len(table) else launches
    return np.where(launches == NONE, NONE, found)


def outermost(table: EventTable, rows: Rows) -> Rows:
    """Those of the rows that lie in no other of them on the same thread, in file order."""
    keep = []
    for track in np.unique(table.track[rows]):
        own = rows[table.track[rows] == track]
        own = own[np.lexsort((-table.duration_ns[own], table.start_ns[own]))]
        keep.append(own[is_outermost(table.start_ns[own], _ends(table, own))])
    return np.sort(np.concatenate(keep)) if keep else rows


def is_outermost(starts: Int64s, ends: Int64s) -> npt.NDArray[np.bool_]:
    """Which intervals lie in no other one; they come sorted by start, the longer first."""
    if not starts.size:
        return np.zeros(0, dtype=bool)
    before = np.concatenate([[np.iinfo(np.int64).min], np.maximum.accumulate(ends)[:-1]])
    return np.asarray((starts >= before) | (ends > before + JITTER_NS))


def union_ns(start: Int64s, duration: Int64s) -> int:
    """Length of the union of intervals: an instant counts once, however many streams are busy."""
    if not start.size:
        return 0
    order = np.argsort(start, kind="stable")
    begins = start[order]
    ends = np.maximum.accumulate(begins + duration[order])
    covered_from = np.maximum(begins[1:], ends[:-1])
    return int(ends[0] - begins[0] + np.maximum(ends[1:] - covered_from, 0).sum())


def containing(table: EventTable, runs: Rows, rows: Rows) -> Rows:
    """For each row, the position in `runs` of the run in which it starts; `NONE` where nothing tells.

    A run on the row's own thread wins. Else (a parallel executor's node runs on another thread) the run must
    be the only one at that time.

    Args:
        table: An ORT profile.
        runs: Rows of runs in order of time.
        rows: Rows to place.
    """
    found = _only_containing(table.start_ns[runs], _ends(table, runs), table.start_ns[rows])
    for track in np.unique(table.track[runs]):
        own = np.flatnonzero(table.track[runs] == track)
        placed = np.flatnonzero(table.track[rows] == track)
        position = _on_track(table, runs[own], rows[placed])
        inside = position != NONE
        found[placed[inside]] = own[position[inside]]
    return found


def _on_track(table: EventTable, runs: Rows, rows: Rows) -> Rows:
    """The position of the run that holds each row of the same thread.

    ORT's times are whole microseconds, so a run may begin in the microsecond in which the one before ended:
    then the file's order tells, because a thread writes a run after everything in it.
    """
    position = _last_containing(table.start_ns[runs], _ends(table, runs), table.start_ns[rows])
    before = np.maximum(position - 1, 0)
    touching = (position > 0) & (_ends(table, runs)[before] >= table.start_ns[rows]) & (rows < runs[before])
    return np.where(touching, before, position)


def _last_containing(starts: Int64s, ends: Int64s, times: Int64s) -> Rows:
    """The position of the last interval that begins at or before each time, if it has not ended before it."""
    if not starts.size:
        return np.full(times.size, NONE, np.intp)
    position = np.searchsorted(starts, times, side="right") - 1
    return np.where((position >= 0) & (times <= ends[position]), position, NONE)


def _only_containing(starts: Int64s, ends: Int64s, times: Int64s) -> Rows:
    """The position of the one interval that contains each time; `NONE` for none or several."""
    if not starts.size:
        return np.full(times.size, NONE, np.intp)
    begun = np.searchsorted(starts, times, side="right")
    active = begun - np.searchsorted(np.sort(ends), times, side="left")
    latest = np.maximum.accumulate(ends)
    # The position of the interval that ends last among those begun: the active one, if only one is.
    positions = np.maximum.accumulate(np.where(ends == latest, np.arange(starts.size), 0))
    return np.where(active == 1, positions[np.maximum(begun - 1, 0)], NONE)


def _named(table: EventTable, accept: Callable[[str], bool], rows: Rows) -> Rows:
    """Those of the rows whose name is accepted; each distinct name is asked about once."""
    codes = [code for code in np.unique(table.name[rows]) if accept(table.text(int(code)))]
    return rows[np.isin(table.name[rows], codes)]


def _ends(table: EventTable, rows: Rows) -> Int64s:
    return table.start_ns[rows] + table.duration_ns[rows]


def _by_start(table: EventTable, rows: Rows) -> Rows:
    return rows[np.argsort(table.start_ns[rows], kind="stable")]
