"""What a device did for each step of a Kineto trace: busy time, kernels and copies."""

from collections.abc import Sequence

import numpy as np

from attrib.attribute.steps import StepWindow
from attrib.model.events import EventTable
from attrib.model.work import DeviceUse
from attrib.traces.kinds import rows_of
from attrib.traces.runs import gpu_rows, step_of_gpu_work, union_ns


def device_use(table: EventTable, steps: Sequence[StepWindow]) -> DeviceUse | None:
    """The device's work by the step that launched it; None where the trace holds none, or no step is an event of its own.

    Args:
        table: A Kineto trace.
        steps: The profiled steps, in order of time.
    """
    work = gpu_rows(table)
    if not work.size or any(step.row < 0 for step in steps):
        return None
    step_of = step_of_gpu_work(table, np.array([step.row for step in steps], dtype=np.intp), work)
    is_kernel = np.isin(work, rows_of(table, {"kernel"}))
    durations = table.duration_ns[work]
    own = [step_of == position for position in range(len(steps))]
    return DeviceUse(
        busy_ns=np.array([union_ns(table.start_ns[work[o]], durations[o]) for o in own], dtype=np.int64),
        kernels_ns=np.array([durations[o & is_kernel].sum() for o in own], dtype=np.int64),
        copies_ns=np.array([durations[o & ~is_kernel].sum() for o in own], dtype=np.int64),
        kernels=np.array([(o & is_kernel).sum() for o in own], dtype=np.int64),
        walls_ns=np.array([step.end_ns - step.start_ns for step in steps], dtype=np.int64),
    )
