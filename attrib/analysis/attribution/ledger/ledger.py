"""The ledger: rows (region x cause) whose deltas sum to the headline delta, to the nanosecond.

For each side: the profiled time of every segment, less the cost of recording it, is averaged over the middle
half of the profiled steps (interquartile mean) of each launch, then over launches. What is left between that sum and the
plain step is the row `profiler overhead`. So each side's rows sum to its plain step, and the deltas to the headline.
"""

from collections.abc import Mapping, Sequence, Set

import msgspec
import numpy as np

from attrib.analysis.attribution.device.parts import DEVICE_PARTS, MEANINGS
from attrib.analysis.attribution.host.python_time import module_of_part, with_module_parts
from attrib.analysis.attribution.ledger.causes import by_cause
from attrib.analysis.attribution.ledger.headline import Headline
from attrib.analysis.attribution.ledger.recording_cost import without_recording
from attrib.analysis.attribution.ledger.rows import Ledger, SideTimes
from attrib.analysis.attribution.ledger.sampling import Floats, Sampling, sampling_of, step_weights
from attrib.analysis.attribution.ledger.segments import (
    Segments,
    framework_region,
    row_deltas,
    row_intervals,
    row_values,
    segments_of,
)
from attrib.model.document import Cause, LedgerRow
from attrib.model.manifest import ROLES, Overhead, Role
from attrib.model.region import Match, Region
from attrib.model.work import Partition, Work
from attrib.units import round_to_sum

MAX_SHAPES = 8
FRAMEWORK_MATCH = Match(
    method="none", confidence=1.0, evidence=("time inside the step that no operator owns",)
)
FAULTS = "(memory)/page faults"
"""Region of the time that plain steps spend on page faults which profiled ones do not have."""

FAULTS_MATCH = Match(
    method="none",
    confidence=1.0,
    evidence=("page faults of a plain step that a profiled one did not have, times what one costs here",),
)
OVERHEAD_MATCH = Match(
    method="none",
    confidence=1.0,
    evidence=("plain step minus the sum of the profiled rows of its side",),
)


class _Draft(msgspec.Struct):
    """A row before its numbers: which segments of either side it owns."""

    region: str
    module: str
    cause: Cause
    match: Match
    work: dict[Role, list[Work]] = msgspec.field(default_factory=dict)
    exported: tuple[str, ...] = ()
    segments: dict[Role, list[int]] = msgspec.field(default_factory=dict)

    @property
    def id(self) -> str:
        """The row's id."""
        return f"{self.region}:{self.cause}"

    def row(self, torch_ns: int, onnxruntime_ns: int, bounds: tuple[int, int]) -> LedgerRow:
        """The row with its numbers; `bounds` are those of the interval of its delta."""
        calls, nodes = self.work.get("torch", []), self.work.get("onnxruntime", [])
        tensors = dict.fromkeys(t for w in (*calls, *nodes) for t in (*w.inputs, *w.outputs))
        return LedgerRow(
            id=self.id,
            region=self.region,
            module=self.module,
            cause=self.cause,
            torch_calls=tuple(w.id for w in calls),
            torch_ops=tuple(w.op for w in calls),
            onnx_nodes=tuple(w.id for w in nodes),
            onnx_ops=tuple(w.op for w in nodes),
            exported=self.exported,
            providers=tuple(sorted({w.provider for w in nodes if w.provider})),
            shapes=tuple(dict.fromkeys(map(str, tensors)))[:MAX_SHAPES],
            torch_ns=torch_ns,
            onnxruntime_ns=onnxruntime_ns,
            delta_ns=onnxruntime_ns - torch_ns,
            low_ns=bounds[0],
            high_ns=bounds[1],
            match=self.match,
        )


def build_ledger(
    partitions: Mapping[Role, Partition],
    regions: Sequence[Region],
    headline: Headline,
    *,
    overheads: Mapping[Role, Overhead | None],
    provider: str,
    faults: Mapping[Role, Mapping[int, float]] | None = None,
    keeping: Set[str] = frozenset(),
) -> Ledger:
    """Split the delta into rows.

    Args:
        partitions: Profiled steps of the sides that there are.
        regions: Their regions.
        headline: The plain steps.
        overheads: Calibrated cost per profiler event, by role.
        provider: The execution provider that was asked for first.
        faults: What plain steps spend on page faults that profiled ones do not have, by role and launch, nanoseconds.
        keeping: Ids of the calls and nodes that keep a language model's cache.
    """
    partitions = with_module_parts(partitions)
    missing = {
        role: its for role, its in (faults or {}).items() if role in headline.medians and any(its.values())
    }
    sampling = _sampling(partitions, headline)
    split = {role: segments_of(p) for role, p in partitions.items()}
    times = {
        role: _side_times(
            p, split[role], overheads.get(role), headline, sampling, role, missing.get(role, {})
        )
        for role, p in partitions.items()
    }
    drafts = [
        *_region_drafts(partitions, split, regions, provider, keeping),
        *_framework_drafts(partitions, split),
    ]
    paying = {role: [len(split[role].owner)] for role in partitions if role in missing}
    if paying:
        drafts.append(_Draft(FAULTS, "", "page_faults", FAULTS_MATCH, segments=paying))
    values = {role: [0] * len(drafts) for role in ROLES}
    for role, its in times.items():
        exact = row_values([draft.segments for draft in drafts], role, its)
        values[role] = round_to_sum(exact, round(sum(exact)))
    plain = headline.medians
    if plain:
        drafts.append(_Draft("(profiler)/overhead", "", "profiler_overhead", OVERHEAD_MATCH))
    medians = {role: plain.get(role, sum(values[role])) for role in ROLES} if plain else {}
    for role, median in medians.items():
        values[role].append(median - sum(values[role]))
    deltas = [ort - torch for torch, ort in zip(values["torch"], values["onnxruntime"], strict=True)]
    # The largest absolute delta first, the overhead last.
    order = sorted(
        range(len(drafts)),
        key=lambda i: (drafts[i].cause == "profiler_overhead", -abs(deltas[i]), drafts[i].id),
    )
    table = _table(drafts, order, times, medians, headline.replicates_in(sampling), sampling.columns)
    bounds = row_intervals([deltas[i] for i in order], table, sampling)
    ledger = Ledger(
        tuple(
            drafts[i].row(values["torch"][i], values["onnxruntime"][i], at)
            for i, at in zip(order, bounds, strict=True)
        ),
        table,
        sampling,
        times,
        {
            role: (*segments.ids(partitions[role]), *((FAULTS,) if role in paying else ()))
            for role, segments in split.items()
        },
        tuple(drafts[i].segments for i in order),
    )
    ledger.self_check(plain)
    return ledger


def _sampling(partitions: Mapping[Role, Partition], headline: Headline) -> Sampling:
    """What the columns of the rows are: the launches in which every side that there is has profiled steps, and plain ones.

    A launch without either (an interrupted capture) says nothing of the rows; the headline still rests on it. Where fewer
    than two launches are left, all profiled rounds are drawn.
    """
    held = [headline.launches(np.unique(partition.blocks).tolist()) for partition in partitions.values()]
    held += [headline.launches(list(blocks)) for blocks in headline.plain.values()]
    rounds = sorted({int(block) for partition in partitions.values() for block in partition.blocks})
    return sampling_of(sorted(set.intersection(*held)), headline.of_round, rounds)


def _table(
    drafts: Sequence[_Draft],
    order: Sequence[int],
    times: Mapping[Role, SideTimes],
    medians: Mapping[Role, int],
    plain: Mapping[Role, Floats],
    columns: int,
) -> Floats:
    """The deltas in each column, row by row in their order.

    Args:
        drafts: The rows; the last one is the overhead, where there are plain steps.
        order: Which row comes where.
        times: The segments of the sides that there are.
        medians: The plain step of either side; empty without plain steps.
        plain: The plain step of the sides that were timed in each column.
        columns: How many columns.
    """
    table = np.empty((len(drafts), columns))
    places = np.empty(len(drafts), dtype=np.int64)
    places[order] = np.arange(len(drafts))
    profiled = [draft.segments for draft in (drafts[:-1] if medians else drafts)]
    sums = row_deltas(profiled, times, columns, places[: len(profiled)], table)
    if medians:
        left = {role: plain.get(role, np.full(columns, float(medians[role]))) - sums[role] for role in ROLES}
        table[places[-1]] = left["onnxruntime"] - left["torch"]
    return table


def _side_times(
    partition: Partition,
    split: Segments,
    overhead: Overhead | None,
    headline: Headline,
    sampling: Sampling,
    role: Role,
    faults: Mapping[int, float],
) -> SideTimes:
    """Average each segment over the middle steps, the cost of recording it removed; page faults are the last one."""
    samples = without_recording(partition, split, overhead, headline, role, faults)
    if faults:
        launches = [headline.of_round.get(number, 0) for number in partition.blocks.tolist()]
        samples = np.vstack([samples, [faults.get(launch, 0.0) for launch in launches]])
    whole, columns = step_weights(partition.walls_ns, partition.blocks, sampling)
    return SideTimes(samples @ whole, samples, columns)


def _region_drafts(
    partitions: Mapping[Role, Partition],
    split: Mapping[Role, Segments],
    regions: Sequence[Region],
    provider: str,
    keeping: Set[str],
) -> list[_Draft]:
    """One row a region and cause; on a device a unit's time goes to the rows of several causes."""
    pieces: dict[Role, dict[str, list[Piece]]] = {}
    for role, partition in partitions.items():
        pieces[role] = {work.id: [] for work in partition.work}
        for i, (owner, cause) in enumerate(zip(split[role].owner.tolist(), split[role].cause, strict=True)):
            if owner < len(partition.work):
                pieces[role][partition.work[owner].id].append((i, cause))
    work = {role: {w.id: w for w in p.work} for role, p in partitions.items()}
    drafts: list[_Draft] = []
    for region in regions:
        calls = [work["torch"][i] for i in region.calls]
        nodes = [work["onnxruntime"][i] for i in region.nodes]
        found: dict[Cause, _Draft] = {}
        for cause, sides in by_cause(calls, nodes, region.origin, provider, keeping).items():
            for role, works in zip(ROLES, sides, strict=True):
                own = _draft(found, region, cause)
                own.work.setdefault(role, []).extend(works)
                for unit in works:
                    _place(found, region, own, role, unit, pieces[role][unit.id])
        drafts += found.values()
    return drafts


Piece = tuple[int, Cause | None]
"""Position of a segment, and the cause that it has of its own."""


def _draft(found: dict[Cause, _Draft], region: Region, cause: Cause) -> _Draft:
    fresh = _Draft(region.id, region.module, cause, region.match, exported=region.exported)
    return found.setdefault(cause, fresh)


def _place(
    found: dict[Cause, _Draft], region: Region, own: _Draft, role: Role, work: Work, pieces: Sequence[Piece]
) -> None:
    """Give each segment of a unit its row: that of the unit, or that of the segment's own cause."""
    for segment, cause in pieces:
        draft = own if cause is None else _draft(found, region, cause)
        draft.segments.setdefault(role, []).append(segment)
        its = draft.work.setdefault(role, [])
        if draft is not own and (not its or its[-1] is not work):
            its.append(work)


def _framework_drafts(partitions: Mapping[Role, Partition], split: Mapping[Role, Segments]) -> list[_Draft]:
    """One row a part of the framework or of a device; the same part on two sides is one row."""
    drafts: dict[str, _Draft] = {}
    for role, partition in partitions.items():
        for i, part in enumerate(partition.parts):
            cause = DEVICE_PARTS.get(part, "framework")
            match = FRAMEWORK_MATCH
            if part in MEANINGS:
                match = Match(method="none", confidence=1.0, evidence=(MEANINGS[part],))
            draft = _Draft(framework_region(part), module_of_part(part), cause, match)
            draft = drafts.setdefault(part, draft)
            draft.segments[role] = np.flatnonzero(split[role].owner == len(partition.work) + i).tolist()
    return list(drafts.values())
