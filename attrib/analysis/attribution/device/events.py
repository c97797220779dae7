"""Device work of a trace: kernels, copies and memsets, each with the runtime call that launched it.

Numbered cases, cited in the code:

1. A Kineto trace ties a kernel to its runtime call by the correlation number, never by `External id`.
2. Builds of ONNX Runtime with a profiler of the device write kernels into the profile itself
   (`attrib.traces.recording.ort_kernels` finds their nodes); there is no runtime call, and the node's start stands for it.
3. What has no launching call in the trace keeps its own start.
"""

import re

import msgspec
import numpy as np

from attrib.model.device import Direction
from attrib.model.events import ABSENT, Int64s
from attrib.traces.recording.device_names import direction_of
from attrib.traces.recording.intervals import NONE
from attrib.traces.recording.recording import Bools, Recording, Rows, distinct

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


class DeviceEvents(msgspec.Struct, frozen=True, eq=False):
    """Device work, in the order of the file; times in nanoseconds on the clock of the steps.

    Attributes:
        row: Its row in the recording.
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


def device_events(recording: Recording, zero: int = 0) -> DeviceEvents:
    """The device work of a trace.

    Args:
        recording: A Kineto trace, or the profile of an ONNX Runtime that records kernels.
        zero: What to add to the times of the recording.
    """
    rows, launch = recording.device_work(), recording.launches()  # 1, 2
    known = launch != NONE
    start = recording.start_ns[rows] + zero
    launched, track = start, np.full(len(rows), ABSENT, dtype=np.int64)
    in_graph = np.zeros(len(rows), dtype=bool)
    if known.any():
        launched = np.where(known, recording.start_ns[launch] + zero, start)  # 3
        track = np.where(known, recording.track[launch], ABSENT).astype(np.int64)
        in_graph = known & np.isin(launch, recording.calls_to("graph_launch"))
    return DeviceEvents(
        row=rows,
        start=start,
        end=start + np.maximum(recording.duration_ns[rows], 0),
        is_copy=~np.isin(rows, recording.kernels()),
        launch=launch,
        launched=launched,
        track=track,
        in_graph=in_graph,
    )


def waiting_rows(recording: Recording) -> Rows:
    """Rows of the runtime calls that return only when the device has done its work."""
    rows = recording.runtime_calls()
    blocking = recording.has_name(rows, lambda name: _BLOCKING_COPIES.fullmatch(name) is not None)
    return rows[blocking | np.isin(rows, recording.calls_to("sync"))]


def allocating_rows(recording: Recording) -> Rows:
    """Rows of the runtime calls that ask for memory or give it back."""
    rows = recording.runtime_calls()
    return rows[recording.has_name(rows, lambda name: _ALLOCATIONS.fullmatch(name) is not None)]


def directions(recording: Recording, rows: Rows) -> list[Direction]:
    """From where to where each copy goes."""
    fills = np.isin(rows, recording.fills()).tolist()
    codes = recording.name[rows]
    ways = {code: _SHORT.get(direction_of(recording.text(code)), "other") for code in distinct(codes)}
    return ["memset" if fill else ways[code] for fill, code in zip(fills, codes.tolist(), strict=True)]
