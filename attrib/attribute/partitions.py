"""The partition of one side of a trace directory: find its profiled steps, then split them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from attrib.attribute.ort_partition import ort_partition
from attrib.attribute.steps import StepWindow
from attrib.attribute.torch_partition import torch_partition
from attrib.model.events import EventTable, Int64s
from attrib.model.latency import LatencyTable
from attrib.model.manifest import Role
from attrib.model.work import Engine, Partition
from attrib.traces.directory import TraceDirectory
from attrib.traces.runs import runs_of, step_rows


def partition_of(directory: TraceDirectory, role: Role, latency: LatencyTable | None) -> Partition | None:
    """Split the profiled steps of one side.

    Returns:
        None where the directory has no trace of that side, or no step in it.
    """
    table = directory.events(role)
    if table is None:
        return None
    side = directory.manifest.sides.get(role) if directory.manifest else None
    engine: Engine = side.engine if side else role
    rows = step_rows(table) if engine == "torch" else runs_of(table).rows
    timed = latency.blocks(role, "profiled") if latency else {}
    steps = step_windows(table, rows, timed)
    if not steps:
        return None
    return torch_partition(table, steps) if engine == "torch" else ort_partition(table, steps)


def step_windows(
    table: EventTable, rows: npt.NDArray[np.intp], timed: dict[int, Int64s]
) -> Sequence[StepWindow]:
    """Steps of a trace as windows, with the block and the wall time that the caller recorded for each.

    A session that is profiled from its creation holds its warm-up runs first; the recorded steps are the last ones. In
    a trace without recorded steps the first one is left out where there are more: it is the cold one.

    Args:
        table: The trace.
        rows: Rows of the events that stand for a step, in order of time.
        timed: Wall times by block of the profiled steps, in order of time.
    """
    walls = [int(wall) for block in sorted(timed) for wall in timed[block]]
    blocks = [block for block in sorted(timed) for _ in timed[block]]
    if walls:
        rows = rows[-len(walls) :]
        walls, blocks = walls[-len(rows) :], blocks[-len(rows) :]
    else:
        rows = rows[1:] if len(rows) > 1 else rows
        walls, blocks = [-1] * len(rows), list(range(len(rows)))
    starts = table.start_ns[rows]
    ends = np.add(starts, table.duration_ns[rows])
    return [
        StepWindow(int(row), int(start), int(end), int(table.track[row]), block, wall)
        for row, start, end, block, wall in zip(rows, starts, ends, blocks, walls, strict=True)
    ]
