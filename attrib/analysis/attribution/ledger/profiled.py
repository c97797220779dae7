"""Profiled times straight from the trace: nothing removed, nothing scaled, so that anyone can recompute them."""

from collections import Counter

from attrib.analysis.attribution.host.ort_partition import API
from attrib.model.document import Coverage, StepTimes
from attrib.model.region import Region
from attrib.model.work import Partition


def step_times(partition: Partition) -> StepTimes:
    """Walls of the profiled steps, and time and count per op type.

    For ONNX Runtime the wall is that of `model_run`, which the profile holds; the Python call around it is not in there.
    Where a device did the work, the wall is that of the whole call: the parts are split by what the device did.
    """
    walls = partition.walls_ns
    if API in partition.parts and partition.split is None:
        walls = walls - partition.parts_ns[partition.parts.index(API)]
    by_op: Counter[str] = Counter()
    for work, samples in zip(partition.work, partition.work_ns, strict=True):
        by_op[work.op] += int(samples.sum())
    return StepTimes(
        steps_ns=tuple(walls.tolist()),
        by_op_ns=dict(sorted(by_op.items())),
        counts=dict(sorted(Counter(work.op for work in partition.work).items())),
    )


def mapped_share(partition: Partition, mapped: set[str]) -> float:
    """Share of the time of all work that belongs to the named units."""
    total = partition.work_ns.sum()
    found = sum(
        int(ns.sum()) for w, ns in zip(partition.work, partition.work_ns, strict=True) if w.id in mapped
    )
    return float(found / total) if total else 0.0


def coverage(
    torch: Partition | None,
    ort: Partition | None,
    regions: tuple[Region, ...],
    *,
    unattributed: int,
    overhead: int,
) -> Coverage:
    """How much of either side's time was brought together.

    A node counts as mapped if its region leads to a PyTorch call or to a module of the exported graph; a call if its
    region leads to a node that ran, or to why none has to (it was folded). With one side there is nothing to map to.
    """
    both = torch is not None and ort is not None
    nodes = {n for r in regions if r.origin in ("both", "onnxruntime") for n in r.nodes}
    calls = {
        c
        for r in regions
        if r.origin == "both" or (r.origin == "torch" and r.match.confidence)
        for c in r.calls
    }
    proved = [r for r in regions if r.match.verified == "verified"]
    compared = both and any(r.match.verified for r in regions)
    return Coverage(
        ort_node_time_verified=mapped_share(ort, {n for r in proved for n in r.nodes})
        if compared and ort
        else None,
        torch_call_time_verified=mapped_share(torch, {c for r in proved for c in r.calls})
        if compared and torch
        else None,
        ort_node_time_mapped=mapped_share(ort, nodes) if both and ort else 0.0,
        torch_call_time_mapped=mapped_share(torch, calls) if both and torch else 0.0,
        unattributed_ns=unattributed,
        profiler_overhead_ns=overhead,
    )
