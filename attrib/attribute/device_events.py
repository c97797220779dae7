"""Device work of a trace: kernels, copies and memsets, each with the runtime call that launched it.

Numbered cases, cited in the code:

1. A Kineto trace ties a kernel to its runtime call by the correlation number, never by `External id`.
2. Builds of ONNX Runtime with a profiler of the device write kernels into the profile itself, each behind the node that
   launched it and with that node's op; there is no runtime call, and the node's start stands for it.
3. What has no launching call in the trace keeps its own start.
"""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attrib.model.device import Direction
from attrib.model.events import ABSENT, EventTable, Int64s
from attrib.traces.kinds import rows_of
from attrib.traces.runs import NONE, Rows, gpu_rows, launches_of, node_rows

Bools = npt.NDArray[np.bool_]

GRAPH_LAUNCH = re.compile(r"(?:cuda|cu|hip|mu)GraphLaunch", re.IGNORECASE)
SYNCHRONISES = re.compile(
    r"(?:cuda|cu|hip|mu|ze)\w*Synchronize\w*|(?:cuda|hip)Memcpy|(?:cuda|hip)Memcpy2D|hipMemcpyWithStream"
    r"|cuMemcpy(?:HtoD|DtoH|DtoD)(?:_v2)?"
)
"""Runtime calls that return only when the device has done its work."""

ALLOCATES = re.compile(
    r"(?:cuda|cu|hip|mu)(?:Mem)?(?:Malloc|Free|Alloc|HostAlloc|HostRegister|HostMalloc|HostFree|Create|Map|Unmap|SetAccess"
    r"|AddressReserve|Release|Pool)\w*"
)
_DIRECTIONS: tuple[tuple[re.Pattern[str], Direction], ...] = (
    (re.compile(r"memset|fillbuffer", re.IGNORECASE), "memset"),
    (re.compile(r"HtoD|HostToDevice|(?:Host|Pinned|Pageable) -> Device"), "HtoD"),
    (re.compile(r"DtoH|DeviceToHost|Device -> (?:Host|Pinned|Pageable)"), "DtoH"),
    (re.compile(r"PtoP|PeerToPeer"), "PtoP"),
    (re.compile(r"DtoD|DeviceToDevice|Device -> Device"), "DtoD"),
    (re.compile(r"HtoH|HostToHost"), "HtoH"),
)
_COPY = re.compile(r"mem(?:cpy|set)|copy(?:host|device)|fillbuffer", re.IGNORECASE)


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
    launch = launches_of(table, rows) if table.format == "kineto" else _nodes_before(table, rows)  # 1, 2
    some = launch != NONE
    start = table.start_ns[rows] + zero
    launched = np.where(some, table.start_ns[launch] + zero, start) if len(table) else start  # 3
    is_copy = ~np.isin(rows, rows_of(table, {"kernel"})) | named(table, rows, _COPY, "search")
    return DeviceEvents(
        row=rows,
        start=start,
        end=start + np.maximum(table.duration_ns[rows], 0),
        is_copy=is_copy,
        launch=launch,
        launched=launched,
        track=np.where(some, table.track[launch], ABSENT).astype(np.int64) if len(table) else launch,
        in_graph=some & named(table, launch, GRAPH_LAUNCH, "match"),
    )


def named(table: EventTable, rows: Rows, pattern: re.Pattern[str], how: str = "fullmatch") -> Bools:
    """Which rows have a name of that pattern; each distinct name is asked about once."""
    if not len(table) or not rows.size:
        return np.zeros(rows.size, dtype=bool)
    codes = np.unique(table.name[rows])
    wanted = [code for code in codes.tolist() if getattr(pattern, how)(table.text(code))]
    return np.isin(table.name[rows], wanted)


def runtime_rows(table: EventTable, pattern: re.Pattern[str]) -> Rows:
    """Rows of the runtime calls of a pattern, in file order."""
    rows = rows_of(table, {"runtime"})
    return rows[named(table, rows, pattern)]


def direction(name: str) -> Direction:
    """From where to where a copy of that name goes."""
    return next((found for pattern, found in _DIRECTIONS if pattern.search(name)), "other")


def _nodes_before(table: EventTable, rows: Rows) -> Rows:
    """The last node before each kernel in the file, if the kernel bears its op and did not start before it (case 2)."""
    nodes = node_rows(table)
    if not nodes.size:
        return np.full(rows.size, NONE, np.intp)
    before = np.searchsorted(nodes, rows) - 1
    node = nodes[np.maximum(before, 0)]
    same = (table.op[node] == table.op[rows]) & (table.op[rows] != ABSENT)
    return np.where((before >= 0) & same & (table.start_ns[node] <= table.start_ns[rows]), node, NONE)
