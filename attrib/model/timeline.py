"""One profiled step as a timeline: which call or node held which thread or stream, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:  # numpy, which a report that is only drawn can do without
    from attrib.model.events import Int64s

LaneKind = Literal["host", "device"]

NO_OWNER = -1
"""Owner of a segment that no call, node or framework part is known for."""


class Lane(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """What held one thread or one stream, in order of time and without overlap; times count from the step's start.

    Attributes:
        kind: Whether it is a thread of the host or a queue of the device.
        name: What to call it.
        owner: Position of each segment's owner in its partition, work first, then framework parts; or `NO_OWNER`.
        start_ns: When each segment begins.
        duration_ns: How long it lasts.
        labels: What ran, where that is not the owner's name: the kernels of a device. Empty where it is.
    """

    kind: LaneKind
    name: str
    owner: Int64s
    start_ns: Int64s
    duration_ns: Int64s
    labels: tuple[str, ...] = ()


class StepLanes(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """The lanes of one step of a partition: `step` is its position there."""

    step: int
    wall_ns: int
    lanes: tuple[Lane, ...]


class TimelineLane(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One lane of a step, as parallel lists with an entry a segment, in order of time.

    A segment begins `gaps_ns` after the end of the one before it; the first one counts from the step's start. Where a
    step has more segments than a report should hold, small neighbors are merged into one: `counts` says how many it stands
    for, `durations_ns` from where to where it reaches, `busy_ns` what its members last together.

    Attributes:
        kind: Whether it is a thread of the host or a queue of the device.
        name: What to call it.
        gaps_ns: Time before each segment in which nothing held the lane; empty where there is none.
        durations_ns: How long each segment lasts.
        rows: Position of its row in the ledger; -1 where it has none, or several that were merged.
        items: Position of its call or node in that row (`torch_calls` or `onnx_nodes`); -1 - k for framework part k.
        counts: Segments that each stands for; empty where nothing was merged.
        busy_ns: Sum of their durations; empty where nothing was merged.
        labels: Position of its name in `StepTimeline.labels`, for the kernels of a device; empty where there is none.
    """

    kind: LaneKind
    name: str
    gaps_ns: tuple[int, ...] = ()
    durations_ns: tuple[int, ...]
    rows: tuple[int, ...]
    items: tuple[int, ...]
    counts: tuple[int, ...] = ()
    busy_ns: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()


class StepTimeline(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The profiled step whose wall is nearest to the median, as it was recorded: the profiler's cost is inside.

    Attributes:
        step: Its position among the side's profiled steps.
        wall_ns: How long it took.
        parts: Names of the framework parts.
        labels: Names that the lanes refer to.
        lanes: Threads of the host, the caller's first, then queues of the device.
        lanes_more: Lanes that are left out, the least busy ones.
    """

    step: int
    wall_ns: int
    parts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    lanes: tuple[TimelineLane, ...] = ()
    lanes_more: int = 0
