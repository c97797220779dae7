"""What one trace holds, as data: `attrib inspect --json`."""

from collections.abc import Iterable

import numpy as np

from attrib.model.execution_providers import asynchronous_of
from attrib.traces.inspection.aggregates import by_provider, by_time, microseconds, sum_us, use_of
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
from attrib.traces.recording.activity_types import kind_of
from attrib.traces.recording.intervals import NONE
from attrib.traces.recording.recording import Recording

COLD = 1.5
"""A first run that takes this many times the median of the others is called cold."""

MOST_NAMED = 5
LONGEST_NAMED = 60
"""Unknown categories that a warning names, and characters of each; the JSON form holds all."""
_UNCOUNTED = "in no figure but the number of events"


def summarize(recording: Recording) -> Inspection:
    """What a trace holds."""
    runs, work = recording.runs(), recording.device_work()
    gpu, runtime = gpu_use(recording), runtime_use(recording)
    categories = {name: use_of(recording, rows) for name, rows in recording.categories()}
    unknown = {name: use for name, use in categories.items() if kind_of(name) == "other"}
    of_nodes, nodes = recording.records_nodes, recording.nodes()
    providers = {
        name: ProviderUse(
            nodes=np.unique(recording.name[rows]).size, events=rows.size, dur_us=sum_us(recording, rows)
        )
        for name, rows in by_provider(recording, nodes, nodes)
    }
    return Inspection(
        format=recording.format,
        events=len(recording),
        runs_us=tuple(microseconds(wall) for wall in recording.duration_ns[runs.rows]),
        providers=providers,
        memcpy=_copies(recording),
        gpu=gpu,
        steps=() if of_nodes else step_uses(recording),
        warnings=(
            *recording.warnings,
            *(_profile_warnings(recording, gpu) if of_nodes else _device_warnings(gpu, runtime)),
            *_unknown_warnings(unknown),
        ),
        runtime=runtime,
        runs=_runs(recording),
        ops=by_time(recording, recording.ops(), recording.op if of_nodes else recording.name),
        kernels=by_time(recording, work, recording.name),
        categories=categories,
        unknown=unknown,
        metadata=recording.metadata,
        damage=recording.damage,
    )


def _copies(recording: Recording) -> Copies:
    """The copies to and from the host: nodes of a profile, else what the device copied."""
    if recording.records_nodes:
        # Only the op type tells them: a copy's node has the device's provider and any name.
        nodes = recording.nodes()
        ops = recording.op[nodes]
        to_host, from_host = (
            use_of(recording, nodes[ops == recording.code(op)]) for op in ("MemcpyToHost", "MemcpyFromHost")
        )
        return Copies(to_host=to_host, from_host=from_host)
    copies = copies_by_direction(recording)
    none = Use(events=0, dur_us=0)
    to_host, from_host = (
        Use(events=use.events, dur_us=use.dur_us) if (use := copies.get(direction)) else none
        for direction in ("to_host", "from_host")
    )
    return Copies(to_host=to_host, from_host=from_host)


def _runs(profile: Recording) -> tuple[RunUse, ...]:
    runs = profile.runs()
    inside = runs.run_of_node != NONE
    counts = np.bincount(runs.run_of_node[inside], minlength=runs.rows.size)
    sums = np.zeros(runs.rows.size, np.int64)
    np.add.at(sums, runs.run_of_node[inside], profile.duration_ns[runs.nodes[inside]])
    walls = profile.duration_ns[runs.rows]
    return tuple(
        RunUse(wall_us=microseconds(wall), nodes=int(count), node_us=microseconds(total))
        for wall, count, total in zip(walls, counts, sums, strict=True)
    )


def _profile_warnings(profile: Recording, gpu: GpuUse | None) -> Iterable[str]:
    runs = profile.runs()
    walls = profile.duration_ns[runs.rows]
    if walls.size == 1:
        yield "one run only, usually a cold one: profile several to see warm times"
    elif walls.size and walls[0] > COLD * np.median(walls[1:]):
        times = walls[0] / max(float(np.median(walls[1:])), 1.0)
        yield f"the first run is cold: {times:,.1f} times the median of the others; leave it out of comparisons"
    outside = int((runs.run_of_node == NONE).sum()) if runs.rows.size else 0
    if outside:
        yield f"{outside:,} node events lie in no run, or runs on several threads overlap there"
    providers = {profile.text(int(code)) for code in np.unique(profile.provider[runs.nodes])}
    asynchronous = ", ".join(sorted(asynchronous_of(providers)))
    if asynchronous and not gpu:
        yield (
            f"node times under {asynchronous} are the time to enqueue the work, not to do it:"
            " record the runs under torch.profiler with CUDA activity to see the kernels"
        )
    elif asynchronous:
        yield (
            f"node times under {asynchronous} are the host's part alone:"
            " the kernel events beside the nodes say how long the device worked"
        )
    if gpu and gpu.without_node:
        yield f"{gpu.without_node:,} of {gpu.events:,} kernel events name no node of the profile"


def _device_warnings(gpu: GpuUse | None, runtime: RuntimeUse | None) -> Iterable[str]:
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
