"""The ledger: rows (region x cause) whose deltas sum to the headline delta, to the nanosecond.

For each side: the profiled time of every segment, less the calibrated cost of recording it, is averaged over the middle
half of the profiled steps (interquartile mean). Whatever is then left between that sum and the median plain step is the row
`profiler overhead`. So each side's rows sum to its plain median, and the deltas to the headline.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from attrib.attribute.bootstrap import Floats, Int64s, draws, interval, step_weights
from attrib.attribute.causes import by_cause
from attrib.attribute.headline import Headline
from attrib.attribute.ledger_rows import Ledger, SideTimes
from attrib.attribute.python_time import module_of_part, with_module_parts
from attrib.model.document import Cause, LedgerRow
from attrib.model.manifest import ROLES, Overhead, Role
from attrib.model.region import Match, Region
from attrib.model.work import Partition, Work
from attrib.units import round_to_sum

MAX_SHAPES = 8
FRAMEWORK_MATCH = Match(
    method="none", confidence=1.0, evidence=("time inside the step that no operator owns",)
)
OVERHEAD_MATCH = Match(
    method="none",
    confidence=1.0,
    evidence=("median plain step minus the sum of the profiled rows of its side",),
)


@dataclass(slots=True)
class _Draft:
    """A row before its numbers: which segments of either side it owns."""

    region: str
    module: str
    cause: Cause
    match: Match
    work: dict[Role, list[Work]] = field(default_factory=dict)
    exported: tuple[str, ...] = ()
    segments: dict[Role, list[int]] = field(default_factory=dict)


def build_ledger(
    partitions: Mapping[Role, Partition],
    regions: Sequence[Region],
    headline: Headline,
    *,
    overheads: Mapping[Role, Overhead | None],
    provider: str,
) -> Ledger:
    """Split the delta into rows.

    Args:
        partitions: Profiled steps of the sides that there are.
        regions: Their regions.
        headline: The plain steps.
        overheads: Calibrated cost per profiler event, by role.
        provider: The execution provider that was asked for first.
    """
    partitions = with_module_parts(partitions)
    numbers = sorted({int(block) for partition in partitions.values() for block in partition.blocks})
    drawn = draws(len(numbers))
    times = {role: _side_times(p, overheads.get(role), numbers, drawn) for role, p in partitions.items()}
    drafts = [*_region_drafts(partitions, regions, provider), *_framework_drafts(partitions)]
    values = {role: _row_values(drafts, role, times) for role in ROLES}
    replicates = {role: _row_replicates(drafts, role, times, drawn) for role in ROLES}
    plain = _plain_medians(headline)
    if plain:
        drafts.append(_overhead_draft())
        for role in ROLES:
            median = plain.get(role, sum(values[role]))
            left = headline.replicates.get(role, np.float64(median)) - replicates[role].sum(axis=0)
            values[role].append(median - sum(values[role]))
            replicates[role] = np.vstack([replicates[role], left])
    deltas = replicates["onnxruntime"] - replicates["torch"]
    rows = [_row(d, values, deltas[i], i, len(numbers)) for i, d in enumerate(drafts)]
    order = sorted(
        range(len(rows)),
        key=lambda i: (rows[i].cause == "profiler_overhead", -abs(rows[i].delta_ns), rows[i].id),
    )
    ledger = Ledger(
        tuple(rows[i] for i in order),
        deltas[order],
        len(numbers),
        times,
        {role: _segment_ids(p) for role, p in partitions.items()},
    )
    ledger.self_check(plain)
    return ledger


def _segment_ids(partition: Partition) -> tuple[str, ...]:
    return (*(work.id for work in partition.work), *map(framework_region, partition.parts))


def framework_region(part: str) -> str:
    """The region that stands for a framework part."""
    return f"(framework)/{part}"


def _plain_medians(headline: Headline) -> dict[Role, int]:
    sides: dict[Role, int] = {}
    if headline.latency.torch_ns:
        sides["torch"] = headline.latency.torch_ns.median
    if headline.latency.onnxruntime_ns:
        sides["onnxruntime"] = headline.latency.onnxruntime_ns.median
    return sides


def _side_times(
    partition: Partition, overhead: Overhead | None, numbers: list[int], drawn: Int64s
) -> SideTimes:
    """Average each segment over the middle steps, the calibrated cost of recording it removed."""
    samples = np.vstack([partition.work_ns, partition.parts_ns]).astype(np.float64)
    if overhead:
        cost = (
            partition.inside * overhead.inside_ns
            + partition.outside * overhead.outside_ns
            + partition.scopes * overhead.scope_ns
        )
        samples = np.maximum(samples - cost[:, None], 0.0)
        if overhead.between_ns is not None:
            most = np.where(partition.outside > 0, partition.outside * overhead.between_ns, np.inf)
            samples = np.minimum(samples, most[:, None])
    weights, resampled = step_weights(partition.walls_ns, partition.blocks, numbers, drawn)
    return SideTimes(samples @ weights, samples, resampled)


def _region_drafts(
    partitions: Mapping[Role, Partition], regions: Sequence[Region], provider: str
) -> list[_Draft]:
    position = {role: {w.id: i for i, w in enumerate(p.work)} for role, p in partitions.items()}
    work = {role: {w.id: w for w in p.work} for role, p in partitions.items()}
    drafts = []
    for region in regions:
        calls = [work["torch"][i] for i in region.calls]
        nodes = [work["onnxruntime"][i] for i in region.nodes]
        for cause, (ours, theirs) in by_cause(calls, nodes, region.origin, provider).items():
            draft = _Draft(region.id, region.module, cause, region.match, exported=region.exported)
            for role, works in zip(ROLES, (ours, theirs), strict=True):
                draft.work[role] = works
                draft.segments[role] = [position[role][w.id] for w in works]
            drafts.append(draft)
    return drafts


def _framework_drafts(partitions: Mapping[Role, Partition]) -> list[_Draft]:
    """One row a framework part; the same part of two sides of one engine is one row."""
    drafts: dict[str, _Draft] = {}
    for role, partition in partitions.items():
        for i, part in enumerate(partition.parts):
            draft = _Draft(framework_region(part), module_of_part(part), "framework", FRAMEWORK_MATCH)
            draft = drafts.setdefault(part, draft)
            draft.segments[role] = [len(partition.work) + i]
    return list(drafts.values())


def _overhead_draft() -> _Draft:
    return _Draft("(profiler)/overhead", "", "profiler_overhead", OVERHEAD_MATCH)


def _row_values(drafts: Sequence[_Draft], role: Role, times: Mapping[Role, SideTimes]) -> list[int]:
    """Whole nanoseconds of each row on one side; their sum is the rounded sum."""
    if role not in times:
        return [0] * len(drafts)
    values = [float(times[role].values[d.segments.get(role, [])].sum()) for d in drafts]
    return round_to_sum(values, round(sum(values)))


def _row_replicates(
    drafts: Sequence[_Draft], role: Role, times: Mapping[Role, SideTimes], drawn: Int64s
) -> Floats:
    found = np.zeros((len(drafts), len(drawn)))
    if role in times:
        rows = [i for i, d in enumerate(drafts) for _ in d.segments.get(role, ())]
        segments = [s for d in drafts for s in d.segments.get(role, ())]
        np.add.at(found, rows, times[role].replicates(segments))
    return found


def _row(draft: _Draft, values: Mapping[Role, list[int]], deltas: Floats, i: int, blocks: int) -> LedgerRow:
    torch, ort = values["torch"][i], values["onnxruntime"][i]
    low, high = interval(ort - torch, deltas, blocks)
    calls, nodes = draft.work.get("torch", []), draft.work.get("onnxruntime", [])
    tensors = [str(t) for w in (*calls, *nodes) for t in (*w.inputs, *w.outputs)]
    return LedgerRow(
        id=f"{draft.region}:{draft.cause}",
        region=draft.region,
        module=draft.module,
        cause=draft.cause,
        torch_calls=tuple(w.id for w in calls),
        torch_ops=tuple(w.op for w in calls),
        onnx_nodes=tuple(w.id for w in nodes),
        onnx_ops=tuple(w.op for w in nodes),
        exported=draft.exported,
        providers=tuple(sorted({w.provider for w in nodes if w.provider})),
        shapes=tuple(dict.fromkeys(tensors))[:MAX_SHAPES],
        torch_ns=torch,
        onnxruntime_ns=ort,
        delta_ns=ort - torch,
        low_ns=low,
        high_ns=high,
        match=draft.match,
    )
