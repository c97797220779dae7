"""What one trace holds, as data: `attrib inspect --json`."""

import re
from collections.abc import Iterable

import msgspec
import numpy as np

from attrib.model.events import EventTable, Format, Int32s
from attrib.traces.kinds import rows_of
from attrib.traces.runs import (
    NONE,
    Rows,
    Runs,
    gpu_rows,
    launches_of,
    outermost,
    runs_of,
    step_of_gpu_work,
    step_rows,
    union_ns,
)

Microseconds = int | float
"""Exact: whole where the trace is, else with up to three decimals."""

MOST_ROWS = 20
UNKNOWN_PROVIDER = "not recorded"
COLD = 1.5
"""A first run that takes this many times the median of the others is called cold."""

# Providers whose kernels return before the device has done the work, so that a node's time is the time to
# enqueue it.
ASYNCHRONOUS = frozenset({
    "CUDAExecutionProvider",
    "TensorrtExecutionProvider",
    "NvTensorRTRTXExecutionProvider",
    "ROCMExecutionProvider",
    "MIGraphXExecutionProvider",
    "DmlExecutionProvider",
    "WebGpuExecutionProvider",
})  # fmt: skip

# Only the op type identifies a copy in an ORT profile: its node has the device's provider and any name.
_ORT_COPIES = {"to_host": re.compile("MemcpyToHost"), "from_host": re.compile("MemcpyFromHost")}
_KINETO_COPIES = {
    "to_host": re.compile(r".*(?:DtoH|DeviceToHost|Device -> (?:Host|Pinned|Pageable)).*", re.DOTALL),
    "from_host": re.compile(r".*(?:HtoD|HostToDevice|(?:Host|Pinned|Pageable) -> Device).*", re.DOTALL),
}


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """Events and the sum of their durations."""

    events: int
    dur_us: Microseconds


class ProviderUse(msgspec.Struct, frozen=True, kw_only=True):
    """What one execution provider ran: distinct nodes, their events over all runs, and the sum of their times."""

    nodes: int
    events: int
    dur_us: Microseconds


class Copies(msgspec.Struct, frozen=True, kw_only=True):
    """Copies between host and device."""

    to_host: Use
    from_host: Use


class GpuUse(msgspec.Struct, frozen=True, kw_only=True):
    """Kernels, copies and memsets. `busy_us` counts an instant once, however many streams are busy."""

    events: int
    sum_us: Microseconds
    busy_us: Microseconds


class StepUse(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a Kineto trace and the GPU work launched in it; null where the trace holds no GPU work at all."""

    name: str
    wall_us: Microseconds
    gpu_events: int | None
    gpu_sum_us: Microseconds | None


class RunUse(msgspec.Struct, frozen=True, kw_only=True):
    """One run of an ORT profile and the nodes in it."""

    wall_us: Microseconds
    nodes: int
    node_us: Microseconds


class NamedUse(msgspec.Struct, frozen=True, kw_only=True):
    """Events of one name (with one execution provider, in an ORT profile)."""

    name: str
    provider: str
    events: int
    dur_us: Microseconds


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `attrib inspect` shows.

    Attributes:
        format: Which kind of trace it is.
        events: Complete events.
        runs_us: Wall time of each run of an ORT profile, in order of time.
        providers: Execution providers of an ORT profile.
        memcpy: Copies: `Memcpy` nodes of an ORT profile, device copies of a Kineto trace.
        gpu: The device's work; null where the trace holds none.
        steps: Steps of a Kineto trace, in order of time.
        warnings: What a reader of the figures should know.
        runs: `runs_us` with the nodes in each.
        ops: Op types by time: nodes of an ORT profile, outermost calls of a Kineto trace.
        kernels: The device's work by name and time.
        categories: Events by category, as the file spells it.
        metadata: Facts that the file states about itself.
    """

    format: Format
    events: int
    runs_us: tuple[Microseconds, ...]
    providers: dict[str, ProviderUse]
    memcpy: Copies
    gpu: GpuUse | None
    steps: tuple[StepUse, ...]
    warnings: tuple[str, ...]
    runs: tuple[RunUse, ...] = ()
    ops: tuple[NamedUse, ...] = ()
    kernels: tuple[NamedUse, ...] = ()
    categories: dict[str, Use] = {}
    metadata: dict[str, str] = {}


def summarise(table: EventTable) -> Inspection:
    """What a trace holds."""
    gpu = gpu_rows(table)
    steps = step_rows(table)
    of_ort = table.format == "ort-profile"
    runs = runs_of(table)
    ops = runs.nodes if of_ort else outermost(table, rows_of(table, {"call"}))
    return Inspection(
        format=table.format,
        events=len(table),
        runs_us=tuple(_us(wall) for wall in table.duration_ns[runs.rows]),
        providers=_providers(table, runs.nodes),
        memcpy=_copies(table, runs.nodes if of_ort else rows_of(table, {"memcpy"})),
        gpu=_gpu(table, gpu),
        steps=_steps(table, steps, gpu),
        warnings=(*table.warnings, *_ort_warnings(table, runs), *_gpu_warnings(table, gpu)),
        runs=_runs(table, runs),
        ops=_by_time(table, ops, table.op if of_ort else table.name),
        kernels=_by_time(table, gpu, table.name),
        categories=_categories(table),
        metadata=table.metadata,
    )


def _us(nanoseconds: int | np.int64) -> Microseconds:
    whole, rest = divmod(int(nanoseconds), 1000)
    return whole if not rest else int(nanoseconds) / 1000


def _sum(table: EventTable, rows: Rows) -> Microseconds:
    return _us(table.duration_ns[rows].sum())


def _use(table: EventTable, rows: Rows) -> Use:
    return Use(events=rows.size, dur_us=_sum(table, rows))


def _providers(table: EventTable, nodes: Rows) -> dict[str, ProviderUse]:
    found = {}
    for code in np.unique(table.provider[nodes]):
        rows = nodes[table.provider[nodes] == code]
        found[table.text(int(code)) or UNKNOWN_PROVIDER] = ProviderUse(
            nodes=np.unique(table.name[rows]).size, events=rows.size, dur_us=_sum(table, rows)
        )
    return dict(sorted(found.items()))


def _copies(table: EventTable, rows: Rows) -> Copies:
    column, patterns = (
        (table.op, _ORT_COPIES) if table.format == "ort-profile" else (table.name, _KINETO_COPIES)
    )
    names = {int(code): table.text(int(code)) for code in np.unique(column[rows])}

    def matching(pattern: re.Pattern[str]) -> Use:
        codes = [code for code, name in names.items() if pattern.fullmatch(name)]
        return _use(table, rows[np.isin(column[rows], codes)])

    return Copies(**{direction: matching(pattern) for direction, pattern in patterns.items()})


def _gpu(table: EventTable, rows: Rows) -> GpuUse | None:
    if not rows.size:
        return None
    busy = union_ns(table.start_ns[rows], table.duration_ns[rows])
    return GpuUse(events=rows.size, sum_us=_sum(table, rows), busy_us=_us(busy))


def _steps(table: EventTable, steps: Rows, gpu: Rows) -> tuple[StepUse, ...]:
    step_of = step_of_gpu_work(table, steps, gpu)

    def use(position: int, row: int) -> StepUse:
        own = gpu[step_of == position]
        return StepUse(
            name=table.text(int(table.name[row])),
            wall_us=_us(table.duration_ns[row]),
            gpu_events=own.size if gpu.size else None,
            gpu_sum_us=_sum(table, own) if gpu.size else None,
        )

    return tuple(use(position, int(row)) for position, row in enumerate(steps))


def _runs(table: EventTable, runs: Runs) -> tuple[RunUse, ...]:
    inside = runs.run_of_node != NONE
    counts = np.bincount(runs.run_of_node[inside], minlength=runs.rows.size)
    sums = np.zeros(runs.rows.size, np.int64)
    np.add.at(sums, runs.run_of_node[inside], table.duration_ns[runs.nodes[inside]])
    walls = table.duration_ns[runs.rows]
    return tuple(
        RunUse(wall_us=_us(wall), nodes=int(count), node_us=_us(total))
        for wall, count, total in zip(walls, counts, sums, strict=True)
    )


def _by_time(table: EventTable, rows: Rows, column: Int32s) -> tuple[NamedUse, ...]:
    """Events by name and provider, the longest sum first; equal sums in order of name."""
    keys, group = np.unique(np.stack([column[rows], table.provider[rows]]), axis=1, return_inverse=True)
    group = group.reshape(-1)
    counts = np.bincount(group, minlength=keys.shape[1])
    sums = np.zeros(keys.shape[1], np.int64)
    np.add.at(sums, group, table.duration_ns[rows])
    found = [
        (-int(total), table.text(int(name)), table.text(int(provider)), int(count))
        for (name, provider), total, count in zip(keys.T, sums, counts, strict=True)
    ]
    return tuple(
        NamedUse(name=name, provider=provider, events=count, dur_us=_us(-total))
        for total, name, provider, count in sorted(found)[:MOST_ROWS]
    )


def _categories(table: EventTable) -> dict[str, Use]:
    codes = {table.text(int(code)): code for code in np.unique(table.category)}
    return {name: _use(table, np.flatnonzero(table.category == codes[name])) for name in sorted(codes)}


def _ort_warnings(table: EventTable, runs: Runs) -> Iterable[str]:
    walls = table.duration_ns[runs.rows]
    if walls.size == 1:
        yield "one run only, usually a cold one: profile several to see warm times"
    elif walls.size and walls[0] > COLD * np.median(walls[1:]):
        times = walls[0] / max(float(np.median(walls[1:])), 1.0)
        yield f"the first run is cold: {times:,.1f} times the median of the others; leave it out of comparisons"
    outside = int((runs.run_of_node == NONE).sum()) if runs.rows.size else 0
    if outside:
        yield f"{outside:,} node events lie in no run, or runs on several threads overlap there"
    providers = {table.text(int(code)) for code in np.unique(table.provider[runs.nodes])}
    asynchronous = sorted(providers & ASYNCHRONOUS)
    if asynchronous and not rows_of(table, {"kernel"}).size:
        yield (
            f"node times under {', '.join(asynchronous)} are the time to enqueue the work, not to do it:"
            " record the runs under torch.profiler with CUDA activity to see the kernels"
        )


def _gpu_warnings(table: EventTable, gpu: Rows) -> Iterable[str]:
    if table.format == "kineto" and gpu.size:
        orphans = int((launches_of(table, gpu) == NONE).sum())
        if orphans:
            yield (
                f"{orphans:,} of {gpu.size:,} GPU events have no launching call in the trace"
                " (launched before it began, or no runtime calls recorded): they belong to no step"
            )
