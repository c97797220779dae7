"""PyTorch steps, split into calls and dispatch.

A call is the outermost aten op inside the innermost module scope. In compiled code it is a kernel, or a library's
operator, with the ops that it covers as its members. What lies inside a step but in no call is Python, hooks and
dispatch: `torch dispatch`.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from attrib.analysis.attribution.host.foreign_steps import PYTHON_MODULE, python_scopes
from attrib.analysis.attribution.host.intervals import innermost, nesting_order
from attrib.analysis.attribution.host.lanes import find_typical, torch_lanes
from attrib.analysis.attribution.host.python_time import own_python, sum_by_module
from attrib.analysis.attribution.host.steps import StepWindow, common_sequence
from attrib.analysis.attribution.host.torch_kernels import Wraps, common_scope, find_members, is_wrapper
from attrib.errors import AttribError
from attrib.model.compiled import Compiled
from attrib.model.events import Int64s
from attrib.model.work import Member, ModulePython, Partition, Work
from attrib.traces.recording.intervals import is_outermost
from attrib.traces.recording.recording import MODULE_RANGE, Recording, Rows

DISPATCH = "torch dispatch"

_MOST_HELPERS = 16
"""Autograd has a thread for each device; a trace with more threads than this has others, and each costs a look."""


class _Rows(msgspec.Struct, frozen=True, eq=False):
    """Events of one kind on the steps' thread, in nesting order."""

    row: Int64s
    start: Int64s
    end: Int64s

    def only(self, chosen: npt.NDArray[np.bool_]) -> "_Rows":
        """Keep the events that are chosen."""
        return _Rows(self.row[chosen], self.start[chosen], self.end[chosen])

    def within(self, step: StepWindow) -> "_Rows":
        """The events that start inside a step."""
        first, last = np.searchsorted(self.start, [step.start_ns, step.end_ns], side="left")
        return _Rows(self.row[first:last], self.start[first:last], self.end[first:last])


class _Thread(msgspec.Struct, frozen=True, eq=False):
    """What one thread did: its ops, what compilers wrapped around them, and the modules with their qualified names."""

    ops: _Rows
    wraps: _Rows
    marks: _Rows
    scopes: tuple[str, ...]


class _Step(msgspec.Struct, frozen=True, eq=False):
    """The calls of one step: row, clipped interval, scope and op, what each covers, and the ops recorded inside.

    `scopes` are its module calls, `own` their nanoseconds of Python and what lies directly inside each.
    """

    calls: Int64s
    duration: Int64s
    key: tuple[tuple[str, str], ...]
    members: tuple[tuple[Member, ...], ...]
    inner: tuple[tuple[str, ...], ...]
    scopes: tuple[str, ...]
    own: tuple[Int64s, Int64s, Int64s]
    wraps: int


class TorchSteps(NamedTuple):
    """The partition, and the events behind each of its steps: rows of its calls, in order."""

    partition: Partition
    calls: tuple[Int64s, ...]
    windows: tuple[StepWindow, ...]


def torch_steps(
    recording: Recording, steps: Sequence[StepWindow], compiled: Compiled | None = None
) -> TorchSteps:
    """Split each step of a Kineto trace into its calls and the dispatch between them.

    Args:
        recording: The trace.
        steps: Its profiled steps.
        compiled: What the kernels in it compute, where the model was compiled.

    Raises:
        AttribError: The steps hold no operators.
    """
    threads = {track: _thread(recording, track) for track in {step.track for step in steps}}
    found = [_step(recording, threads[step.track], step, compiled) for step in steps]
    chosen, warnings = common_sequence("torch", [step.key for step in found])
    kept = [found[i] for i in chosen]
    if not kept[0].key:
        raise AttribError(
            "the PyTorch trace holds no operators inside its steps",
            hint="record it with ProfilerActivity.CPU, or capture again with `attrib profile`",
        )
    walls = np.array([steps[i].end_ns - steps[i].start_ns for i in chosen], dtype=np.int64)
    work_ns = np.stack([step.duration for step in kept], axis=1)
    first = kept[0]
    nested = np.array([len(ops) for ops in first.inner], dtype=np.int64)
    shown = find_typical(walls)
    partition = Partition(
        engine="torch",
        work=_work(recording, first),
        parts=(DISPATCH,),
        work_ns=work_ns,
        parts_ns=(walls - work_ns.sum(axis=0))[None, :],
        walls_ns=walls,
        blocks=np.array([steps[i].block for i in chosen], dtype=np.int64),
        # A call pays for recording all inside it, dispatch for the space between events.
        inside=np.concatenate([nested + 1, [first.wraps]]),
        outside=np.concatenate([nested, [len(nested) + first.wraps]]),
        scopes=np.array([*[0] * len(nested), len(first.scopes)], dtype=np.int64),
        warnings=warnings,
        python=_module_python(kept),
        lanes=torch_lanes(recording, kept[shown].calls, kept[shown].duration, steps[chosen[shown]], shown),
    )
    return TorchSteps(partition, tuple(step.calls for step in kept), tuple(steps[i] for i in chosen))


def _module_python(steps: Sequence[_Step]) -> ModulePython | None:
    """What each module spends in its own Python, where all steps call the same modules."""
    modules = tuple(dict.fromkeys(steps[0].scopes))
    if not modules or any(set(step.scopes) != set(modules) for step in steps):
        return None
    own = [sum_by_module(step.scopes, modules, step.own[0]) for step in steps]
    calls, marks = (sum_by_module(steps[0].scopes, modules, counts) for counts in steps[0].own[1:])
    return ModulePython(modules=modules, own_ns=np.stack(own, axis=1), calls=calls, marks=marks)


def _thread(recording: Recording, track: int) -> _Thread:
    rows = np.sort(np.concatenate([recording.annotations(), recording.calls()]))
    events = _on_tracks(recording, rows, track)
    is_mark = recording.has_name(events.row, lambda name: name.startswith(MODULE_RANGE))
    is_wrap = recording.has_name(events.row, is_wrapper)
    marks = events.only(is_mark)
    scopes = tuple(name.removeprefix(MODULE_RANGE) for name in _names(recording, marks))
    if not scopes:  # a trace that attrib did not write: module calls as torch.profiler records them itself
        events_of_python = _on_tracks(recording, recording.python_calls(), track)
        is_module = recording.has_name(events_of_python.row, lambda name: name.startswith(PYTHON_MODULE))
        marks = events_of_python.only(is_module)
        scopes = python_scopes(_names(recording, marks), marks.start, marks.end)
    calls = recording.calls()
    calls = calls[~recording.has_name(calls, is_wrapper)]
    ops = _on_tracks(recording, calls, track, *_helpers(recording, calls, track))
    return _Thread(ops=ops, wraps=events.only(is_wrap), marks=marks, scopes=scopes)


def _helpers(recording: Recording, calls: Rows, track: int) -> list[int]:
    """Threads that ran operators only while the step's own thread, and each other, ran none: autograd's, say."""
    outermost = recording.outermost(calls)
    tracks = recording.track[outermost]
    others = np.unique(tracks[tracks != track]).tolist()
    if len(others) > _MOST_HELPERS:
        return []
    taken, found = outermost[tracks == track], []
    for other in others:
        both = recording.by_start(np.concatenate([taken, outermost[tracks == other]]))
        if (recording.start_ns[both][1:] >= recording.ends(both)[:-1]).all():
            taken = both
            found.append(other)
    return found


def _on_tracks(recording: Recording, rows: Rows, *tracks: int) -> _Rows:
    """Keep the events that some threads recorded, in nesting order."""
    rows = rows[np.isin(recording.track[rows], tracks)]
    starts, ends = recording.start_ns[rows], recording.ends(rows)
    order = nesting_order(starts, ends)
    return _Rows(rows[order], starts[order], ends[order])


def _step(recording: Recording, thread: _Thread, step: StepWindow, compiled: Compiled | None) -> _Step:
    ops, marks, wraps = (rows.within(step) for rows in (thread.ops, thread.marks, thread.wraps))
    top = np.flatnonzero(is_outermost(ops.start, ops.end))
    first_mark = int(np.searchsorted(thread.marks.start, step.start_ns, side="left"))
    holders = innermost(marks.start, marks.end, ops.start[top])
    scopes = [thread.scopes[first_mark + i] if i >= 0 else "" for i in holders.tolist()]
    names = _names(recording, ops)
    bounds = [*top.tolist(), len(names)]
    tops = [names[i] for i in top.tolist()]
    held = Wraps(_names(recording, wraps), wraps.start, wraps.end)
    known = find_members(compiled, held, tops, ops.start[top], scopes) if compiled else {}
    members = [known.get(i, ()) for i in range(len(tops))]
    ends = np.minimum(ops.end[top], step.end_ns)
    # Rounding may let two neighbors overlap by nanoseconds.
    before = np.concatenate([[step.start_ns], np.maximum.accumulate(ends)[:-1]]) if len(top) else ends
    duration = np.asarray(np.maximum(ends - np.maximum(ops.start[top], before), 0))
    return _Step(
        calls=ops.row[top],
        duration=duration,
        key=tuple(
            (common_scope(its) if its else scope, op)
            for scope, op, its in zip(scopes, tops, members, strict=True)
        ),
        # A call that is the one op that it covers needs no list.
        members=tuple(
            () if [member.op for member in its] == [op] else its
            for op, its in zip(tops, members, strict=True)
        ),
        inner=tuple(tuple(names[a + 1 : b]) for a, b in pairwise(bounds)),
        scopes=thread.scopes[first_mark : first_mark + len(marks.row)],
        own=own_python(marks.start, marks.end, holders, duration, step.start_ns, step.end_ns),
        wraps=len(wraps.row),
    )


def _names(recording: Recording, rows: _Rows) -> list[str]:
    return [recording.text(code) for code in recording.name[rows.row].tolist()]


def _work(recording: Recording, step: _Step) -> tuple[Work, ...]:
    seen: Counter[str] = Counter()
    work = []
    columns = zip(step.calls.tolist(), step.key, step.members, step.inner, strict=True)
    for order, (row, (scope, op), members, inner) in enumerate(columns):
        label = f"{scope}/{op}"
        work.append(
            Work(
                id=f"{label}#{seen[label]}",
                engine="torch",
                op=op,
                scope=scope,
                order=order,
                inputs=recording.input_tensors(row),
                inner=inner,
                members=members,
            )
        )
        seen[label] += 1
    return tuple(work)
