"""ONNX Runtime steps, split into nodes, executor, session and API.

`model_run` holds `SequentialExecutor::Execute`, which holds the nodes: what is left of each is overhead with a name. The
difference between the time that the caller measured and `model_run` is the Python API. ORT writes whole microseconds,
so a node loses up to one to the executor.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attrib.analysis.attribution.host.intervals import owned_ns
from attrib.analysis.attribution.host.lanes import ort_lanes, typical
from attrib.analysis.attribution.host.steps import StepWindow, common_sequence
from attrib.errors import AttribError
from attrib.model.events import EventTable, Int64s
from attrib.model.work import Partition, Work, distinct
from attrib.traces.recording.runs import node_name, runs_of, union_ns

EXECUTOR, SESSION, API = "ort executor", "ort session", "ort api"
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """One run: its node rows in order, what each owns, its executors, and the time inside any of them."""

    rows: Rows
    executors: Rows
    owned: Int64s
    execute_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class OrtSteps:
    """The partition, and the events behind each of its steps: rows of its nodes in order, and of its executors."""

    partition: Partition
    nodes: tuple[Rows, ...]
    executors: tuple[Rows, ...]
    windows: tuple[StepWindow, ...]


def ort_partition(table: EventTable, steps: Sequence[StepWindow]) -> Partition:
    """Split each run of an ORT profile into its nodes and the framework parts around them.

    Args:
        table: The profile.
        steps: Its runs (`model_run`), each with the wall time measured around it where that is known.

    Raises:
        AttribError: The runs hold no nodes.
    """
    return ort_steps(table, steps).partition


def ort_steps(table: EventTable, steps: Sequence[StepWindow], *, needs_nodes: bool = True) -> OrtSteps:
    """The same, with the events behind each step.

    Args:
        table: The profile.
        steps: Its runs (`model_run`), each with the wall time measured around it where that is known.
        needs_nodes: Whether runs without nodes are an error; a run that replays a graph of the device has none.

    Raises:
        AttribError: The runs hold no nodes.
    """
    runs = [_run(table, step, *members) for step, members in zip(steps, _members(table, steps), strict=True)]
    keys = [tuple((int(table.name[i]), int(table.node_index[i])) for i in run.rows) for run in runs]
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
    inside, outside, scopes = _event_counts(len(kept[0].rows))
    shown = typical(walls)
    partition = Partition(
        engine="onnxruntime",
        work=_work(table, kept[0].rows),
        parts=(EXECUTOR, SESSION, API),
        work_ns=work_ns,
        parts_ns=np.stack([execute - work_ns.sum(axis=0), model_run - execute, walls - model_run]),
        walls_ns=walls,
        blocks=np.array([steps[i].block for i in chosen], dtype=np.int64),
        inside=inside,
        outside=outside,
        scopes=scopes,
        warnings=warnings,
        lanes=ort_lanes(
            table, kept[shown].rows, kept[shown].executors, steps[chosen[shown]], int(walls[shown]), shown
        ),
    )
    return OrtSteps(
        partition,
        tuple(run.rows for run in kept),
        tuple(run.executors for run in kept),
        tuple(steps[i] for i in chosen),
    )


def _event_counts(nodes: int) -> tuple[Int64s, Int64s, Int64s]:
    """A node pays for its own event; what is recorded between nodes is paid by the executor."""
    return (
        np.array([*[1] * nodes, 0, 0, 0], dtype=np.int64),
        np.array([*[0] * nodes, nodes, 0, 0], dtype=np.int64),
        np.zeros(nodes + 3, dtype=np.int64),
    )


def _members(table: EventTable, steps: Sequence[StepWindow]) -> list[tuple[Rows, Rows]]:
    """Rows of the nodes and of the executors of each step, by start."""
    runs = runs_of(table)
    positions = np.searchsorted(table.start_ns[runs.rows], [step.start_ns for step in steps])
    nodes = _grouped(table, runs.nodes, runs.run_of_node, len(runs.rows))
    executors = _grouped(table, runs.executors, runs.run_of_executor, len(runs.rows))
    return [(nodes[p], executors[p]) for p in positions.tolist()]


def _grouped(table: EventTable, rows: Rows, run_of: Rows, runs: int) -> list[Rows]:
    """Rows of each run, by start."""
    order = np.lexsort((table.start_ns[rows], run_of))
    bounds = np.searchsorted(run_of[order], np.arange(runs + 1))
    return np.split(rows[order], bounds)[1 : runs + 1]


def _run(table: EventTable, step: StepWindow, nodes: Rows, executors: Rows) -> _Run:
    start, duration = table.start_ns[nodes], table.duration_ns[nodes]
    end = np.minimum(start + duration, step.end_ns)
    owned = owned_ns(start, end, table.track[nodes].astype(np.int64))
    rows = np.concatenate([nodes, executors])
    limited = np.minimum(table.duration_ns[rows], step.end_ns - table.start_ns[rows])
    return _Run(nodes, executors, owned, union_ns(table.start_ns[rows], limited))


def _work(table: EventTable, rows: Rows) -> tuple[Work, ...]:
    names = [node_name(table.text(int(table.name[row]))) for row in rows]
    return tuple(
        Work(
            id=name or f"#{order}",
            engine="onnxruntime",
            op=table.text(int(table.op[row])),
            order=order,
            provider=table.text(int(table.provider[row])),
            inputs=table.input_tensors(int(row)),
            outputs=table.output_tensors(int(row)),
            node_index=int(table.node_index[row]),
        )
        for order, (row, name) in enumerate(zip(rows.tolist(), distinct(names), strict=True))
    )
