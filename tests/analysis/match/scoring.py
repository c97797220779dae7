"""How much of what a matcher found is right, against regions found with better evidence."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from attrib.analysis.match.ops import IDENTITY_OPS, base_op, call_role
from attrib.model.region import Region
from attrib.model.work import Partition, Work


class Score(NamedTuple):
    """Shares of the executed nodes' time, and the mean confidence of what was matched, weighted by time.

    A node is correct if its calls overlap those of the true region, and hold no computing call of another one; or if
    neither side has a call for it.
    """

    correct: float
    mapped: float
    confidence: float
    largest: float


def score(found: Sequence[Region], truth: Sequence[Region], calls: Iterable[Work], nodes: Partition) -> Score:
    """Compare regions with the true ones, node by node."""
    times = dict(zip((w.id for w in nodes.work), nodes.work_ns.sum(axis=1).tolist(), strict=True))
    return score_of_times(found, truth, calls, times)


def score_of_times(
    found: Sequence[Region], truth: Sequence[Region], calls: Iterable[Work], times: dict[str, int]
) -> Score:
    """The same, with the time of each node by its id."""
    home = {call: region.id for region in truth for call in region.calls}
    true_calls = {node: frozenset(region.calls) for region in truth for node in region.nodes}
    computing = {c.id for c in calls if call_role(c) == "compute" and base_op(c.op) not in IDENTITY_OPS}
    total, sums = sum(times.values()), [0.0, 0.0, 0.0]
    for region in found:
        ours = frozenset(region.calls)
        for node in region.nodes:
            sums[0] += times[node] * _is_correct(ours, true_calls[node], computing, home)
            sums[1] += times[node] * bool(ours)
            sums[2] += times[node] * region.match.confidence if ours else 0.0
    largest = max(sum(times[n] for n in region.nodes) for region in found)
    return Score(sums[0] / total, sums[1] / total, sums[2] / max(sums[1], 1), largest / total)


def _is_correct(
    ours: frozenset[str], true: frozenset[str], computing: set[str], home: dict[str, str]
) -> bool:
    if not true or not ours:
        return not true and not ours
    foreign = {home.get(call) for call in ours & computing} - {home.get(call) for call in true}
    return bool(ours & true) and not foreign
