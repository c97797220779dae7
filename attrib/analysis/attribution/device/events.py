"""Device work of a trace: kernels, copies and memsets, each with the runtime call that launched it.

Numbered cases, cited in the code:

1. A Kineto trace ties a kernel to its runtime call by the correlation number, never by `External id`.
2. Builds of ONNX Runtime with a profiler of the device write kernels into the profile itself
   (`attrib.traces.recording.ort_kernels` finds their nodes); there is no runtime call, and the node's start stands for it.
3. What has no launching call in the trace keeps its own start.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attrib.model.device import Direction
from attrib.model.events import ABSENT, EventTable, Int64s
from attrib.traces.recording.activity_types import distinct, rows_of
from attrib.traces.recording.device_names import call_kind_of, direction_of
from attrib.traces.recording.ort_kernels import node_of_work
from attrib.traces.recording.runs import NONE, Rows, gpu_rows, launches_of, node_rows

Bools = npt.NDArray[np.bool_]

_BLOCKING_COPIES = re.compile(
    r"(?:cuda|hip)Memcpy(?:2D|3D|ToSymbol|FromSymbol|Peer)?|hipMemcpyWithStream|(?:cu|hip)Memcpy(?:HtoD|DtoH|DtoD)(?:_v2)?"
)
"""Runtime calls that copy, and return only when that is done; those that do nothing but wait are known by their names."""

_ALLOCATIONS = re.compile(
    r"(?:cuda|cu|hip|mu)(?:Mem)?(?:Malloc|Free|Alloc|HostAlloc|HostRegister|HostMalloc|HostFree|Create|Map|Unmap|SetAccess"
    r"|AddressReserve|Release|Pool)\w*"
)
_SHORT: dict[str, Direction] = {
    "to_host": "DtoH",
    "from_host": "HtoD",
    "on_device": "DtoD",
    "between_devices": "PtoP",
    "on_host": "HtoH",
}


@dataclass(frozen=True, slots=True, eq=False)
class DeviceEvents:
    """Device work, in the order of the file; times in nanoseconds on the clock of the steps.

    Attributes:
        row: Its row in the table.
        start: When it begins.
        end: When it ends.
        is_copy: Whether it is a copy or a memset.
        launch: Row of the call (or node, case 2) that launched it; `NONE` where the trace holds none.
        launched: When that call began; its own start where there is none.
        track: Thread of that call; `ABSENT` where there is none.
        in_graph: Whether the call launched a whole graph.
    """

    row: Rows
    start: Int64s
    end: Int64s
    is_copy: Bools
    launch: Rows
    launched: Int64s
    track: Int64s
    in_graph: Bools

    def __len__(self) -> int:
        return len(self.row)

    @property
    def known(self) -> Bools:
        """Which of them have a launching call."""
        return np.asarray(self.launch != NONE)


def device_events(table: EventTable, zero: int = 0) -> DeviceEvents:
    """The device work of a trace.

    Args:
        table: A Kineto trace, or the profile of an ONNX Runtime that records kernels.
        zero: What to add to the times of the table.
    """
    rows = gpu_rows(table)
    of_ort = table.format == "ort-profile"
    launch = node_of_work(table, node_rows(table), rows) if of_ort else launches_of(table, rows)  # 2, 1
    some = launch != NONE
    start = table.start_ns[rows] + zero
    launched = np.where(some, table.start_ns[launch] + zero, start) if len(table) else start  # 3
    return DeviceEvents(
        row=rows,
        start=start,
        end=start + np.maximum(table.duration_ns[rows], 0),
        is_copy=~np.isin(rows, rows_of(table, {"kernel"})),
        launch=launch,
        launched=launched,
        track=np.where(some, table.track[launch], ABSENT).astype(np.int64) if len(table) else launch,
        in_graph=some & named(table, launch, lambda name: call_kind_of(name) == "graph_launch"),
    )


def named(table: EventTable, rows: Rows, accept: Callable[[str], bool]) -> Bools:
    """Which rows have a name that is accepted; each distinct name is asked about once."""
    if not len(table) or not rows.size:
        return np.zeros(rows.size, dtype=bool)
    wanted = [code for code in distinct(table.name[rows]) if accept(table.text(code))]
    return np.isin(table.name[rows], wanted)


def waiting_rows(table: EventTable) -> Rows:
    """Rows of the runtime calls that return only when the device has done its work."""
    rows = rows_of(table, {"runtime"})
    return rows[named(table, rows, _waits)]


def allocating_rows(table: EventTable) -> Rows:
    """Rows of the runtime calls that ask for memory or give it back."""
    rows = rows_of(table, {"runtime"})
    return rows[named(table, rows, lambda name: _ALLOCATIONS.fullmatch(name) is not None)]


def _waits(name: str) -> bool:
    return call_kind_of(name) == "sync" or _BLOCKING_COPIES.fullmatch(name) is not None


def directions(table: EventTable, rows: Rows) -> list[Direction]:
    """From where to where each copy goes."""
    fills = np.isin(rows, rows_of(table, {"memset"})).tolist()
    ways = {code: _SHORT.get(direction_of(table.text(code)), "other") for code in distinct(table.name[rows])}
    codes = table.name[rows].tolist()
    return ["memset" if fill else ways[code] for fill, code in zip(fills, codes, strict=True)]
