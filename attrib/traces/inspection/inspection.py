"""What `attrib inspect --json` prints, as data."""

import msgspec

from attrib.model.damage import Damage
from attrib.traces.recording.device_names import CopyDirection

Microseconds = int | float
"""Exact: whole where the trace is, else with up to three decimals."""


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """Events and the sum of their durations."""

    events: int
    dur_us: Microseconds


class MovedUse(msgspec.Struct, frozen=True, kw_only=True):
    """Copies or fills; `bytes` is null where the trace does not say how much any of them moved."""

    events: int
    dur_us: Microseconds
    bytes: int | None


class ProviderUse(msgspec.Struct, frozen=True, kw_only=True):
    """What one execution provider ran: distinct nodes, their events over all runs, and the sum of their times."""

    nodes: int
    events: int
    dur_us: Microseconds


class Copies(msgspec.Struct, frozen=True, kw_only=True):
    """Copies between host and device."""

    to_host: Use
    from_host: Use


class NamedUse(msgspec.Struct, frozen=True, kw_only=True):
    """Events of one name (with one execution provider, in an ORT profile)."""

    name: str
    provider: str
    events: int
    dur_us: Microseconds


class GpuUse(msgspec.Struct, frozen=True, kw_only=True):
    """The device's work.

    Attributes:
        events: Kernels, copies and fills.
        sum_us: Their durations, added up over streams.
        busy_us: Time in which at least one of them ran, however many streams are busy.
        kernels: The kernels; null where the trace holds none, which is not the same as kernels that took no time.
        copies: Copies by direction, those that the trace holds.
        fills: Memsets; null where it holds none.
        streams: Streams by time: name is `device/stream` as the trace spells it.
        graph_events: Work that a graph launch started; null where no launching calls were recorded.
        without_launch: Work whose launching call is not in the trace; null where no launching calls were recorded.
        by_provider: ORT profiles: work by the execution provider of the node that it belongs to.
        without_node: ORT profiles: work that could not be linked to a node; null in Kineto traces.
    """

    events: int
    sum_us: Microseconds
    busy_us: Microseconds
    kernels: Use | None = None
    copies: dict[CopyDirection, MovedUse] = {}
    fills: MovedUse | None = None
    streams: tuple[NamedUse, ...] = ()
    graph_events: int | None = None
    without_launch: int | None = None
    by_provider: dict[str, Use] = {}
    without_node: int | None = None


class RuntimeUse(msgspec.Struct, frozen=True, kw_only=True):
    """What the host asked of the device's runtime and driver.

    Attributes:
        calls: Every recorded call.
        launches: Calls that launch a kernel or a graph; one inside another counts once.
        graph_launches: Those that launch a graph.
        without_work: Launches of which the trace holds no work: the calls of a graph's capture, the end of the window,
            or a recording without device activity.
        synchronizations: Calls in which the host waits, and the waits that the device recorded, by name.
    """

    calls: Use
    launches: int
    graph_launches: int
    without_work: int
    # The key of the published JSON keeps its first spelling.
    synchronizations: tuple[NamedUse, ...] = msgspec.field(default=(), name="synchronisations")


class StepUse(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a Kineto trace and the GPU work launched in it.

    The GPU figures are null where the trace holds no GPU work, or no launching call that would place it in a step.
    """

    name: str
    wall_us: Microseconds
    gpu_events: int | None
    gpu_sum_us: Microseconds | None
    gpu_busy_us: Microseconds | None = None
    kernels: int | None = None


class RunUse(msgspec.Struct, frozen=True, kw_only=True):
    """One run of an ORT profile and the nodes in it."""

    wall_us: Microseconds
    nodes: int
    node_us: Microseconds


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `attrib inspect` shows.

    Attributes:
        format: Name of the format of the trace.
        events: Complete events.
        runs_us: Wall time of each run of an ORT profile, in order of time.
        providers: Execution providers of an ORT profile.
        memcpy: Copies: `Memcpy` nodes of an ORT profile, device copies of a Kineto trace.
        gpu: The device's work; null where the trace holds none.
        steps: Steps of a Kineto trace, in order of time.
        warnings: What a reader of the figures should know.
        runtime: Calls to the device's runtime; null where none were recorded.
        runs: `runs_us` with the nodes in each.
        ops: Op types by time: nodes of an ORT profile, outermost calls of a Kineto trace.
        kernels: The device's work by name and time.
        categories: Events by category, as the file spells it.
        unknown: Those of the categories that attrib does not know; they are in no other figure.
        metadata: Facts that the file states about itself.
        damage: What could not be read, under `--lenient`; null where the whole file could.
    """

    format: str
    events: int
    runs_us: tuple[Microseconds, ...]
    providers: dict[str, ProviderUse]
    memcpy: Copies
    gpu: GpuUse | None
    steps: tuple[StepUse, ...]
    warnings: tuple[str, ...]
    runtime: RuntimeUse | None = None
    runs: tuple[RunUse, ...] = ()
    ops: tuple[NamedUse, ...] = ()
    kernels: tuple[NamedUse, ...] = ()
    categories: dict[str, Use] = {}
    unknown: dict[str, Use] = {}
    metadata: dict[str, str] = {}
    damage: Damage | None = None
