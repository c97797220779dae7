"""Steps whose kernels were not recorded although a device had the work: their times are those of enqueuing it."""

import dataclasses

import numpy as np

from attrib.model.events import EventTable
from attrib.model.execution_providers import asynchronous_of
from attrib.model.work import Partition
from attrib.traces.recording.activity_types import rows_of
from attrib.traces.recording.runs import Rows

_LAUNCHES = ("Launch", "MemcpyAsync", "MemsetAsync")


def unseen(partition: Partition, table: EventTable, device: EventTable | None) -> Partition:
    """The partition with a warning where its times are no kernel times; else the partition itself.

    Args:
        partition: Steps as the host saw them.
        table: The trace that they come from.
        device: The trace that was recorded for the device's work, and holds none.
    """
    if partition.engine == "torch":
        launching = _launching(table)
        if not launching.size:
            return partition
        who: tuple[str, ...] = ("the device",)
        what = f"PyTorch's trace holds {launching.size:,} launches, but no kernel"
    else:
        who = tuple(sorted(asynchronous_of(work.provider for work in partition.work)))
        if not who:
            return partition
        what = f"ONNX Runtime's nodes ran on {', '.join(who)}, but no kernel was recorded"
    empty = ", and the trace around the runs holds none either" if device is not None else ""
    text = f"{what}{empty}: their times are enqueue time, not kernel time"
    return dataclasses.replace(partition, unseen=who, warnings=(*partition.warnings, text))


def _launching(table: EventTable) -> Rows:
    """Runtime calls that give the device something to do."""
    rows = rows_of(table, {"runtime"})
    codes = [
        code
        for code in np.unique(table.name[rows]).tolist()
        if any(part in table.text(code) for part in _LAUNCHES)
    ]
    return rows[np.isin(table.name[rows], codes)]
