"""What one trace holds, as data: `attrib inspect --json`."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import numpy as np

from attrib.model.events import EventTable
from attrib.model.execution_providers import asynchronous_of
from attrib.traces.inspection.aggregates import by_time, microseconds, summed, use_of
from attrib.traces.inspection.device_use import copies_by_direction, gpu_use, runtime_use, step_uses
from attrib.traces.inspection.inspection import (
    Copies,
    GpuUse,
    Inspection,
    ProviderUse,
    RuntimeUse,
    RunUse,
    Use,
)
from attrib.traces.recording.activity_types import Rows, rows_of, unknown_categories
from attrib.traces.recording.ort_kernels import node_of_work
from attrib.traces.recording.runs import NONE, Runs, gpu_rows, launches_of, outermost, runs_of, step_rows

UNKNOWN_PROVIDER = "not recorded"
COLD = 1.5
"""A first run that takes this many times the median of the others is called cold."""

MOST_NAMED = 5
LONGEST_NAMED = 60
"""Unknown categories that a warning names, and characters of each; the JSON form holds all."""
_UNCOUNTED = "in no figure but the number of events"

# Only the op type identifies a copy in an ORT profile: its node has the device's provider and any name.
_ORT_COPIES = {"to_host": "MemcpyToHost", "from_host": "MemcpyFromHost"}


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """The rows of one trace that the figures are of."""

    table: EventTable
    work: Rows
    runs: Runs
    gpu: GpuUse | None
    runtime: RuntimeUse | None


def summarize(table: EventTable) -> Inspection:
    """What a trace holds."""
    work, runs = gpu_rows(table), runs_of(table)
    of_ort = table.format == "ort-profile"
    launches = launches_of(table, work)
    unknown = {name: use_of(table, rows) for name, rows in sorted(unknown_categories(table).items())}
    gpu = gpu_use(table, work, launches)
    found = _Found(
        table, work, runs, _linked(table, runs.nodes, work, gpu) if of_ort else gpu, runtime_use(table, work)
    )
    ops = runs.nodes if of_ort else outermost(table, rows_of(table, {"call"}))
    return Inspection(
        format=table.format,
        events=len(table),
        runs_us=tuple(microseconds(wall) for wall in table.duration_ns[runs.rows]),
        providers=_providers(table, runs.nodes),
        memcpy=_node_copies(table, runs.nodes) if of_ort else _device_copies(table),
        gpu=found.gpu,
        steps=step_uses(table, step_rows(table), work, launches),
        warnings=(
            *table.warnings,
            *_ort_warnings(found),
            *_device_warnings(found),
            *_unknown_warnings(unknown),
        ),
        runtime=found.runtime,
        runs=_runs(table, runs),
        ops=by_time(table, ops, table.op if of_ort else table.name),
        kernels=by_time(table, work, table.name),
        categories=_categories(table),
        unknown=unknown,
        metadata=table.metadata,
        damage=table.damage,
    )


def _providers(table: EventTable, nodes: Rows) -> dict[str, ProviderUse]:
    return {
        name: ProviderUse(
            nodes=np.unique(table.name[rows]).size, events=rows.size, dur_us=summed(table, rows)
        )
        for name, rows in _by_provider(table, nodes, nodes)
    }


def _by_provider(table: EventTable, rows: Rows, nodes: Rows) -> Iterable[tuple[str, Rows]]:
    """The rows by the execution provider of their nodes, in order of its name."""
    codes = {table.text(int(code)) or UNKNOWN_PROVIDER: code for code in np.unique(table.provider[nodes])}
    return ((name, rows[table.provider[nodes] == codes[name]]) for name in sorted(codes))


def _linked(table: EventTable, nodes: Rows, work: Rows, gpu: GpuUse | None) -> GpuUse | None:
    """The device's work in an ORT profile, with the nodes that it belongs to."""
    if gpu is None:
        return None
    node = node_of_work(table, nodes, work)
    known = node != NONE
    return msgspec.structs.replace(
        gpu,
        by_provider={
            name: use_of(table, rows) for name, rows in _by_provider(table, work[known], node[known])
        },
        without_node=int((~known).sum()),
    )


def _node_copies(table: EventTable, nodes: Rows) -> Copies:
    def of(op: str) -> Use:
        return use_of(table, nodes[table.op[nodes] == table.code(op)])

    return Copies(**{direction: of(op) for direction, op in _ORT_COPIES.items()})


def _device_copies(table: EventTable) -> Copies:
    copies = copies_by_direction(table)
    none = Use(events=0, dur_us=0)
    to_host, from_host = (
        Use(events=use.events, dur_us=use.dur_us) if (use := copies.get(direction)) else none
        for direction in ("to_host", "from_host")
    )
    return Copies(to_host=to_host, from_host=from_host)


def _runs(table: EventTable, runs: Runs) -> tuple[RunUse, ...]:
    inside = runs.run_of_node != NONE
    counts = np.bincount(runs.run_of_node[inside], minlength=runs.rows.size)
    sums = np.zeros(runs.rows.size, np.int64)
    np.add.at(sums, runs.run_of_node[inside], table.duration_ns[runs.nodes[inside]])
    walls = table.duration_ns[runs.rows]
    return tuple(
        RunUse(wall_us=microseconds(wall), nodes=int(count), node_us=microseconds(total))
        for wall, count, total in zip(walls, counts, sums, strict=True)
    )


def _categories(table: EventTable) -> dict[str, Use]:
    codes = {table.text(int(code)): code for code in np.unique(table.category)}
    return {name: use_of(table, np.flatnonzero(table.category == codes[name])) for name in sorted(codes)}


def _ort_warnings(found: _Found) -> Iterable[str]:
    table, runs = found.table, found.runs
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
    asynchronous = ", ".join(sorted(asynchronous_of(providers)))
    if asynchronous and not found.work.size:
        yield (
            f"node times under {asynchronous} are the time to enqueue the work, not to do it:"
            " record the runs under torch.profiler with CUDA activity to see the kernels"
        )
    elif asynchronous:
        yield (
            f"node times under {asynchronous} are the host's part alone:"
            " the kernel events beside the nodes say how long the device worked"
        )


def _device_warnings(found: _Found) -> Iterable[str]:
    gpu, runtime = found.gpu, found.runtime
    if found.table.format == "ort-profile":
        if gpu and gpu.without_node:
            yield f"{gpu.without_node:,} of {gpu.events:,} kernel events name no node of the profile"
        return
    if gpu and gpu.without_launch != 0:
        lost = gpu.events if gpu.without_launch is None else gpu.without_launch
        yield (
            f"{lost:,} of {gpu.events:,} GPU events have no launching call in the trace"
            " (launched before it began, or no runtime calls recorded): they belong to no step"
        )
    if gpu and gpu.kernels is None:
        yield "there are copies but no kernel times: what the kernels took is not known from this trace"
    if runtime and runtime.without_work:
        yield (
            f"{runtime.without_work:,} of {runtime.launches:,} launching calls have no work in the trace"
            " (a graph's capture, or work that was not recorded)"
        )
    if gpu and gpu.copies.get("unknown"):
        yield f"{gpu.copies['unknown'].events:,} copies do not say where they went"


def _unknown_warnings(unknown: dict[str, Use]) -> Iterable[str]:
    found = sorted(unknown.items(), key=lambda item: (-item[1].events, item[0]))
    for name, use in found[:MOST_NAMED]:
        of = f"of unknown category {name[:LONGEST_NAMED]}" if name else "without a category"
        yield f"{use.events:,} event{'s' * (use.events != 1)} {of}: {_UNCOUNTED}"
    if further := sum(use.events for _, use in found[MOST_NAMED:]):
        yield f"{further:,} events of {len(found) - MOST_NAMED:,} further unknown categories: {_UNCOUNTED}"
