"""ONNX Runtime steps, split into nodes, executor, session and API.

`model_run` holds `SequentialExecutor::Execute`, which holds the nodes: what is left of each is overhead with a name. The
difference between the time that the caller measured and `model_run` is the Python API. ORT writes whole microseconds,
so a node loses up to one to the executor.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attrib.attribute.intervals import owned_ns, union_ns
from attrib.attribute.steps import StepWindow, common_sequence
from attrib.errors import AttribError
from attrib.model.events import EventTable, Int64s
from attrib.model.work import Partition, Work

EXECUTOR, SESSION, API = "ort executor", "ort session", "ort api"
KERNEL_SUFFIX = "_kernel_time"

_EXECUTE = re.compile(r".*Executor::Execute$")


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """One run: its node rows in order, what each owns, and the time inside any executor."""

    rows: Int64s
    owned: Int64s
    execute_ns: int


def ort_partition(table: EventTable, steps: Sequence[StepWindow]) -> Partition:
    """Split each run of an ORT profile into its nodes and the framework parts around them.

    Args:
        table: The profile.
        steps: Its runs (`model_run`), each with the wall time measured around it where that is known.

    Raises:
        AttribError: The runs hold no nodes.
    """
    nodes, executes = _node_rows(table), _execute_rows(table)
    runs = [_run(table, step, nodes, executes) for step in steps]
    keys = [tuple((int(table.name[i]), int(table.node_index[i])) for i in run.rows) for run in runs]
    chosen, warnings = common_sequence("ONNX Runtime", keys)
    if not chosen or not keys[chosen[0]]:
        raise AttribError("the ONNX Runtime profile holds no nodes inside its runs", hint="run the session at least once")
    kept = [runs[i] for i in chosen]
    model_run = np.array([steps[i].end_ns - steps[i].start_ns for i in chosen], dtype=np.int64)
    walls = np.array([max(steps[i].wall_ns, 0) for i in chosen], dtype=np.int64)
    walls = np.maximum(walls, model_run)
    work_ns = np.stack([run.owned for run in kept], axis=1)
    execute = np.minimum(np.array([run.execute_ns for run in kept], dtype=np.int64), model_run)
    inside, outside = _event_counts(len(kept[0].rows))
    return Partition(
        engine="onnxruntime",
        work=_work(table, kept[0].rows),
        parts=(EXECUTOR, SESSION, API),
        work_ns=work_ns,
        parts_ns=np.stack([execute - work_ns.sum(axis=0), model_run - execute, walls - model_run]),
        walls_ns=walls,
        blocks=np.array([steps[i].block for i in chosen], dtype=np.int64),
        inside=inside,
        outside=outside,
        warnings=warnings,
    )


def _event_counts(nodes: int) -> tuple[Int64s, Int64s]:
    """A node pays for its own event; what is recorded between nodes is paid by the executor."""
    return (
        np.array([*[1] * nodes, 0, 0, 0], dtype=np.int64),
        np.array([*[0] * nodes, nodes, 0, 0], dtype=np.int64),
    )


def _node_rows(table: EventTable) -> Int64s:
    """Rows of node executions (fence events left out), by start."""
    wanted = [i for i, text in enumerate(table.strings) if text.endswith(KERNEL_SUFFIX)]
    rows = np.flatnonzero((table.category == table.code("Node")) & np.isin(table.name, wanted))
    return np.asarray(rows[np.argsort(table.start_ns[rows], kind="stable")])


def _execute_rows(table: EventTable) -> Int64s:
    wanted = [i for i, text in enumerate(table.strings) if _EXECUTE.match(text)]
    return np.flatnonzero((table.category == table.code("Session")) & np.isin(table.name, wanted))


def _run(table: EventTable, step: StepWindow, nodes: Int64s, executes: Int64s) -> _Run:
    starts = table.start_ns[nodes]
    first, last = np.searchsorted(starts, [step.start_ns, step.end_ns], side="left")
    rows = nodes[first:last]
    begin, end = table.start_ns[rows], np.minimum(table.start_ns[rows] + table.duration_ns[rows], step.end_ns)
    owned = owned_ns(begin, end, table.track[rows].astype(np.int64))
    within = executes[(table.start_ns[executes] >= step.start_ns) & (table.start_ns[executes] < step.end_ns)]
    outer = (table.start_ns[within], np.minimum(table.start_ns[within] + table.duration_ns[within], step.end_ns))
    busy = union_ns(np.concatenate([begin, outer[0]]), np.concatenate([end, outer[1]]))
    return _Run(rows, owned, busy)


def _work(table: EventTable, rows: Int64s) -> tuple[Work, ...]:
    names = [table.text(int(table.name[row])).removesuffix(KERNEL_SUFFIX) for row in rows]
    count = Counter(names)
    return tuple(
        Work(
            id=name if name and count[name] == 1 else f"{name}#{int(table.node_index[row])}.{order}",
            engine="onnxruntime",
            op=table.text(int(table.op[row])),
            order=order,
            provider=table.text(int(table.provider[row])),
            inputs=table.input_tensors(int(row)),
            outputs=table.output_tensors(int(row)),
        )
        for order, (row, name) in enumerate(zip(rows.tolist(), names, strict=True))
    )
