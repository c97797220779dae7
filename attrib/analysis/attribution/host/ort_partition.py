"""ONNX Runtime steps, split into nodes, executor, session and API.

`model_run` holds `SequentialExecutor::Execute`, which holds the nodes: what is left of each is overhead with a name. The
difference between the time that the caller measured and `model_run` is the Python API. ORT writes whole microseconds,
so a node loses up to one to the executor.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from attrib.analysis.attribution.host.intervals import nesting_order, owned_ns, parents
from attrib.analysis.attribution.host.lanes import find_typical, ort_lanes
from attrib.analysis.attribution.host.steps import StepWindow, common_sequence
from attrib.errors import AttribError
from attrib.model.events import Int64s
from attrib.model.work import Partition, Work, distinct
from attrib.traces.recording.intervals import union_ns
from attrib.traces.recording.ort_kernels import node_name
from attrib.traces.recording.recording import Recording, Rows

EXECUTOR, SESSION, API = "ort executor", "ort session", "ort api"


class _Run(msgspec.Struct, frozen=True, eq=False):
    """One run.

    Attributes:
        rows: Its nodes, in order.
        executors: Its executors.
        owned: What each node owns, nanoseconds.
        execute_ns: The time inside any node or executor.
        held: How many nodes of a subgraph each node holds directly.
    """

    rows: Rows
    executors: Rows
    owned: Int64s
    execute_ns: int
    held: Int64s


class OrtSteps(msgspec.Struct, frozen=True, eq=False):
    """The partition, and the events behind each of its steps: rows of its nodes in order, and of its executors."""

    partition: Partition
    nodes: tuple[Rows, ...]
    executors: tuple[Rows, ...]
    windows: tuple[StepWindow, ...]


def ort_steps(recording: Recording, steps: Sequence[StepWindow], *, needs_nodes: bool = True) -> OrtSteps:
    """Split each run of an ORT profile into its nodes and the framework parts around them.

    Args:
        recording: The profile.
        steps: Its runs (`model_run`), each with the wall time measured around it where that is known.
        needs_nodes: Whether runs without nodes are an error; a run that replays a graph of the device has none.

    Raises:
        AttribError: The runs hold no nodes.
    """
    its = recording.runs()
    positions = np.searchsorted(recording.start_ns[its.rows], [step.start_ns for step in steps])
    nodes = _by_run(recording, its.nodes, its.run_of_node, len(its.rows))
    executors = _by_run(recording, its.executors, its.run_of_executor, len(its.rows))
    runs = [
        _run(recording, step, nodes[p], executors[p])
        for step, p in zip(steps, positions.tolist(), strict=True)
    ]
    keys = [tuple((int(recording.name[i]), int(recording.node_index[i])) for i in run.rows) for run in runs]
    chosen, warnings = common_sequence("ONNX Runtime", keys)
    if not chosen or (needs_nodes and not keys[chosen[0]]):
        raise AttribError(
            "the ONNX Runtime profile holds no nodes inside its runs", hint="run the session at least once"
        )
    kept = [runs[i] for i in chosen]
    model_run = np.array([steps[i].end_ns - steps[i].start_ns for i in chosen], dtype=np.int64)
    walls = np.array([max(steps[i].wall_ns, 0) for i in chosen], dtype=np.int64)
    walls = np.maximum(walls, model_run)
    work_ns = np.stack([run.owned for run in kept], axis=1)
    execute = np.minimum(np.array([run.execute_ns for run in kept], dtype=np.int64), model_run)
    count = len(kept[0].rows)
    shown = find_typical(walls)
    partition = Partition(
        engine="onnxruntime",
        work=_work(recording, kept[0].rows),
        parts=(EXECUTOR, SESSION, API),
        work_ns=work_ns,
        parts_ns=np.stack([execute - work_ns.sum(axis=0), model_run - execute, walls - model_run]),
        walls_ns=walls,
        blocks=np.array([steps[i].block for i in chosen], dtype=np.int64),
        # A node pays for its own event; what is recorded between nodes is paid by the executor, or in a subgraph by the
        # node that holds it. The executor's own event is written when it has ended, that of the run when that has.
        inside=np.array([*[1] * count, 0, 0, 0], dtype=np.int64),
        outside=np.array([*kept[0].held, count - kept[0].held.sum(), 1, 1], dtype=np.int64),
        scopes=np.zeros(count + 3, dtype=np.int64),
        warnings=warnings,
        lanes=ort_lanes(
            recording, kept[shown].rows, kept[shown].executors, steps[chosen[shown]], int(walls[shown]), shown
        ),
    )
    return OrtSteps(
        partition,
        tuple(run.rows for run in kept),
        tuple(run.executors for run in kept),
        tuple(steps[i] for i in chosen),
    )


def _by_run(recording: Recording, rows: Rows, run_of: Rows, runs: int) -> list[Rows]:
    """Rows of each run, by start."""
    order = np.lexsort((recording.start_ns[rows], run_of))
    bounds = np.searchsorted(run_of[order], np.arange(runs + 1))
    return np.split(rows[order], bounds)[1 : runs + 1]


def _run(recording: Recording, step: StepWindow, nodes: Rows, executors: Rows) -> _Run:
    start, duration = recording.start_ns[nodes], recording.duration_ns[nodes]
    end = np.minimum(start + duration, step.end_ns)
    owned = owned_ns(start, end, recording.track[nodes].astype(np.int64))
    rows = np.concatenate([nodes, executors])
    limited = np.minimum(recording.duration_ns[rows], step.end_ns - recording.start_ns[rows])
    held = _held(start, end, recording.track[nodes].astype(np.int64))
    return _Run(nodes, executors, owned, union_ns(recording.start_ns[rows], limited), held)


def _held(starts: Int64s, ends: Int64s, tracks: Int64s) -> Int64s:
    """How many of some intervals lie directly inside each, on its own track."""
    held = np.zeros(len(starts), dtype=np.int64)
    for track in np.unique(tracks):
        own = np.flatnonzero(tracks == track)
        own = own[nesting_order(starts[own], ends[own])]
        above = parents(starts[own], ends[own])
        np.add.at(held, own[above[above >= 0]], 1)
    return held


def _work(recording: Recording, rows: Rows) -> tuple[Work, ...]:
    names = [node_name(recording.text(int(recording.name[row]))) for row in rows]
    return tuple(
        Work(
            id=name or f"#{order}",
            engine="onnxruntime",
            op=recording.text(int(recording.op[row])),
            order=order,
            provider=recording.text(int(recording.provider[row])),
            inputs=recording.input_tensors(int(row)),
            outputs=recording.output_tensors(int(row)),
            node_index=int(recording.node_index[row]),
        )
        for order, (row, name) in enumerate(zip(rows.tolist(), distinct(names), strict=True))
    )
