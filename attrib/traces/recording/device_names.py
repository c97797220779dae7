"""What the names of copies and of runtime calls say, whichever vendor's profiler gave them."""

import re
from typing import Literal

CopyDirection = Literal["to_host", "from_host", "on_device", "between_devices", "on_host", "unknown"]
_SIDES = {
    "h": "host", "m": "host", "host": "host", "pinned": "host", "pageable": "host", "memory": "host",
    "d": "device", "a": "device", "device": "device", "devicearray": "device", "array": "device",
    "p": "peer", "peer": "peer",
}  # fmt: skip
"""Of a copy's source and target; `M` is Level Zero's host memory outside SYCL. Shared memory (`S`) is on neither."""
_DIRECTIONS: dict[tuple[str | None, str | None], CopyDirection] = {
    ("device", "host"): "to_host",
    ("host", "device"): "from_host",
    ("device", "device"): "on_device",
    ("peer", "peer"): "between_devices",
    ("host", "host"): "on_host",
}
_COPY_NAMES = (
    re.compile(
        r"(?<![a-zA-Z])([HDAMPS])(?:to|2)([HDAMPS])(?![a-zA-Z])"
    ),  # CUPTI, PTI: `Memcpy DtoH (..)`, `D2M`
    re.compile(
        r"(Host|Device|Peer|Array|DeviceArray)To(Host|Device|Peer|Array|DeviceArray)(?![a-z])"
    ),  # ROCTracer
    re.compile(r"(\w+)(?:\(\w*\))? -> (\w+)"),  # `Device -> Pinned`
)

CallKind = Literal["graph_launch", "launch", "sync"]
_CALL_NAMES: tuple[tuple[CallKind, re.Pattern[str]], ...] = (
    ("graph_launch", re.compile(r"\w*GraphLaunch\w*|urEnqueueCommandBufferExp|urCommandBufferEnqueueExp")),
    ("launch", re.compile(r"\w*Launch\w*Kernel\w*|\w*KernelLaunch\w*|aiuLaunch\w+|cnInvokeKernel\w*")),
    ("sync", re.compile(r"\w*Synchronize\w*|urQueueFinish|urEventWait|aiuScheduleWait")),
)
"""Runtime and driver calls (CUDA, HIP, Level Zero and Unified Runtime, AIU, CNRT) by what they do to the device."""


def direction_of(name: str) -> CopyDirection:
    """Which way a copy went, by the name that the profiler gave it."""
    for pattern in _COPY_NAMES:
        if found := pattern.search(name):
            source, target = (_SIDES.get(side.lower()) for side in found.groups())
            return _DIRECTIONS.get((source, target), "unknown")
    return "unknown"


def call_kind_of(name: str) -> CallKind | None:
    """What a runtime call does to the device; None for everything else (queries, allocations, copies)."""
    return next((kind for kind, pattern in _CALL_NAMES if pattern.fullmatch(name)), None)
