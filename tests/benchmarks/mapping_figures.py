"""What one cell shows: shares of time, sizes of regions, and what the numbers say of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

import msgspec
import numpy as np

from attrib.analysis.match.ops import computes
from attrib.api import Analysis
from attrib.model.region import Region
from attrib.model.work import Partition, Work

TRANSFORMER_NODES, OTHER_NODES, CALLS, LARGEST, CORRECT = 0.999, 0.99, 0.99, 0.15, 0.90
"""The floors: node time mapped (transformers, others), call time mapped, largest region, correct without evidence."""
VERIFIED = 0.97
"""The floor of node time and of call time in regions that the numbers verify."""
ONE_NODE = 0.8
"""A node that takes this share of its region's time covers the region."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the matrix; shares are 0 to 1.

    Attributes:
        node_time: Share of ORT node time mapped.
        call_time: Share of PyTorch call time mapped.
        regions: Regions with work on both sides.
        calls: Median calls in one.
        nodes: Median nodes in one.
        largest: Largest region's share of the node time, of those that are not one node and not one call.
        largest_region: Its id.
        methods: Regions by method.
        method_time: Share of node time by method.
        confidence: Median confidence of the matched regions.
        states: Matched regions by verdict of the numbers; empty where no numbers were compared.
        reasons: Regions that are unchecked, by why.
        verified_time: Share of node time in regions that are verified; None where nothing was compared.
        verified_calls: The same of call time.
        wrong: Ids of wrong and loose regions.
        correct: Share of node time with the right calls, where there is a truth to compare with.
        seconds: Of the capture and of the check.
    """

    node_time: float
    call_time: float
    regions: int
    calls: float
    nodes: float
    largest: float
    largest_region: str
    methods: dict[str, int]
    method_time: dict[str, float]
    confidence: float
    states: dict[str, int] = {}
    reasons: dict[str, int] = {}
    verified_time: float | None = None
    verified_calls: float | None = None
    wrong: tuple[str, ...] = ()
    correct: float | None = None
    seconds: tuple[float, ...] = ()

    @property
    def checked(self) -> int:
        """Regions on which the numbers gave a verdict."""
        return sum(count for state, count in self.states.items() if state != "unchecked")


def node_times(partition: Partition) -> dict[str, int]:
    """Median profiled time of each unit of work, nanoseconds: a few steps on a busy machine have outliers."""
    return {work.id: int(np.median(ns)) for work, ns in zip(partition.work, partition.work_ns, strict=True)}


def figures(analysis: Analysis) -> Figures:
    """The row of one capture, without what the numbers say."""
    times = node_times(analysis.partitions["onnxruntime"])
    total = sum(times.values()) or 1
    both = [region for region in analysis.regions if region.origin == "both"]
    spent = Counter[str]()
    for region in both:
        spent[region.match.method] += sum(times[node] for node in region.nodes)
    coverage = analysis.document.coverage
    work = {w.id: w for w in analysis.partitions["torch"].work}
    divisible = [r for r in analysis.regions if len(_computing(work[call] for call in r.calls)) != 1]
    largest = max(divisible, key=lambda region: _share(region, times, total), default=None)
    return Figures(
        node_time=coverage.ort_node_time_mapped,
        call_time=coverage.torch_call_time_mapped,
        regions=len(both),
        calls=median([len(region.calls) for region in both] or [0]),
        nodes=median([len(region.nodes) for region in both] or [0]),
        largest=_share(largest, times, total) if largest else 0.0,
        largest_region=largest.id if largest else "",
        methods=dict(Counter(region.match.method for region in both)),
        method_time={method: ns / total for method, ns in spent.items()},
        confidence=median([region.match.confidence for region in both] or [0.0]),
    )


def _share(region: Region, times: Mapping[str, int], total: int) -> float:
    """Share of the node time that one region takes; 0 where a single node covers it."""
    own = [times[node] for node in region.nodes]
    return 0.0 if not own or max(own) >= ONE_NODE * sum(own) else sum(own) / total


def correct_share(truth: Analysis, found: Analysis) -> float | None:
    """Share of node time whose calls are the right ones, by the same capture with all its evidence.

    None where the two graphs that ran are not the same.

    A node's calls are right if at least half of them and the true ones together are in both, so that no region is right by
    being large. Calls that only move data count where there are no others.
    """
    nodes = {side: a.partitions["onnxruntime"].work for side, a in (("truth", truth), ("found", found))}
    times = node_times(truth.partitions["onnxruntime"])
    expected, given = _calls_of_nodes(truth), _calls_of_nodes(found)
    pairs = _paired(nodes["truth"], nodes["found"])
    known = [(ours, theirs) for ours, theirs in pairs if expected.get(ours)]
    if not known:
        return None
    total = sum(times[ours] for ours, _ in known)
    right = sum(times[a] for a, b in known if _overlap(expected[a], given.get(b, frozenset())) >= 0.5)
    return right / max(total, 1)


def _paired(ours: Sequence[Work], theirs: Sequence[Work]) -> list[tuple[str, str]]:
    """The same node in two captures: by name, or by position where every name is another."""
    names = {work.id for work in theirs}
    if all(work.id in names for work in ours):
        return [(work.id, work.id) for work in ours]
    if [work.op for work in ours] != [work.op for work in theirs]:
        return []
    return [(a.id, b.id) for a, b in zip(ours, theirs, strict=True)]


def _calls_of_nodes(analysis: Analysis) -> dict[str, frozenset[str]]:
    work = {w.id: w for w in analysis.partitions["torch"].work}
    found = {}
    for region in analysis.regions:
        if region.origin == "both":
            chosen = frozenset(_computing(work[call] for call in region.calls))
            found |= dict.fromkeys(region.nodes, chosen)
    return found


def _computing(calls: Iterable[Work]) -> list[str]:
    given = list(calls)
    return [w.id for w in given if computes(w)] or [w.id for w in given]


def _overlap(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0
