"""How far either engine is from what the machine can do, for the ledger rows whose work has a known cost.

A call or node takes at least as long as its products at the highest measured rate, and as its bytes at the highest
measured bandwidth for so many bytes: max(ops / peak, bytes / bandwidth). Units of work run one after another, so the
limit of a side of a row is the sum. Where both sides compute with the same arithmetic the limit of the row is the lesser of
the two: what one side shows to be enough is enough for the other.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from attrib.analysis.attribution.roofline.cost import Cost
from attrib.analysis.attribution.roofline.ops import cost_of
from attrib.model.document import Cause, LedgerRow
from attrib.model.execution_providers import CPU_PROVIDER
from attrib.model.manifest import Role
from attrib.model.roofline import Bound, Peaks, Roofline
from attrib.model.work import Work

COMPUTING: frozenset[Cause] = frozenset({"kernel", "fused", "decomposed", "fallback"})
"""Causes whose rows hold the same computation on both sides: only there do the sides have a common limit."""

BEYOND_MEMORY = 1.25
"""From this ratio to the memory's own rate on, a bandwidth is a cache's."""


Works = Mapping[Role, Mapping[str, Work]]


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """The least time of some work on this machine.

    Attributes:
        ops: Arithmetic operations.
        bytes: Bytes read and written.
        ns: The least time.
        bound: What takes most of it.
    """

    ops: int
    bytes: int
    ns: float
    bound: Bound


def rooflines(rows: Iterable[LedgerRow], works: Works, limits: Mapping[Role, Peaks]) -> dict[str, Roofline]:
    """The rows that have a limit, by id.

    Args:
        rows: Rows of the ledger.
        works: Calls and nodes of either side by id.
        limits: What the machine can do, by `attrib.analysis.attribution.roofline.peaks.machine_limits`.
    """
    found = {}
    for row in rows:
        its = row_limits(row, works, limits) if row.cause in COMPUTING else {}
        if its:
            least = min(its.values(), key=lambda limit: limit.ns)
            found[row.id] = Roofline(
                ops=least.ops,
                bytes=least.bytes,
                limit_ns=round(least.ns),
                bound=least.bound,
                torch_share=_share(its.get("torch"), row.torch_ns),
                onnxruntime_share=_share(its.get("onnxruntime"), row.onnxruntime_ns),
            )
    return found


def _share(limit: Limit | None, ns: int) -> float | None:
    return round(limit.ns / ns, 4) if limit is not None and ns > 0 else None


def row_limits(row: LedgerRow, works: Works, limits: Mapping[Role, Peaks]) -> dict[Role, Limit]:
    """The limit of a row's work for each side that has such work; empty where no side's cost is known."""
    ids: dict[Role, tuple[str, ...]] = {"torch": row.torch_calls, "onnxruntime": row.onnx_nodes}
    units = {role: [works.get(role, {}).get(name) for name in names] for role, names in ids.items() if names}
    costs = {role: _costs(found, limits[role]) for role, found in units.items() if role in limits}
    found = {}
    for role, own in costs.items():
        # The lesser of the limits of this side's way and, with the same arithmetic, of the other's.
        ways = [own] if own is not None else []
        for other, its in costs.items():
            if other != role and its is not None and _alike(own, units[role], its):
                ways.append(its)
        reached = [limit for way in ways if (limit := limit_of(way, limits[role])) is not None]
        least = min(reached, key=lambda limit: limit.ns, default=None)
        if least is not None and least.ns > 0:
            found[role] = least
    return found


def _costs(units: Sequence[Work | None], peaks: Peaks) -> list[Cost] | None:
    """The cost of each unit; None as soon as one is unknown, or ran elsewhere than where the peaks were measured."""
    found = []
    for unit in units:
        elsewhere = unit is not None and unit.provider == CPU_PROVIDER and peaks.device != "cpu"
        cost = None if unit is None or elsewhere else cost_of(unit)
        if cost is None:
            return None
        found.append(cost)
    return found


def _alike(own: list[Cost] | None, units: Sequence[Work | None], other: list[Cost]) -> bool:
    """Whether this side computes with the element types of the other's products."""
    kinds = {cost.kind for cost in other if cost.kind}
    if own is not None:
        return {cost.kind for cost in own if cost.kind} == kinds
    return kinds <= {tensor.dtype for unit in units if unit is not None for tensor in unit.inputs}


def limit_of(costs: Iterable[Cost], peaks: Peaks) -> Limit | None:
    """The least time in which the machine does all of this, one after the other; None where a peak is unknown."""
    total, ops, moved, count = 0.0, 0, 0, 0
    by_bound: Counter[Bound] = Counter()
    for cost in costs:
        held = _unit_ns(cost, peaks)
        if held is None:
            return None
        ns, bound = held
        total, ops, moved, count = total + ns, ops + cost.ops, moved + cost.bytes, count + (ns > 0)
        by_bound[bound] += round(ns * 1000)
    if total < count * peaks.floor_ns:
        return Limit(ops=ops, bytes=moved, ns=total, bound="latency")
    bound = max(sorted(by_bound), key=lambda name: by_bound[name], default="memory")
    return Limit(ops=ops, bytes=moved, ns=total, bound=bound)


def _unit_ns(cost: Cost, peaks: Peaks) -> tuple[float, Bound] | None:
    """The least time of one unit of work, and what it is bound by."""
    bandwidth, memory = peaks.bandwidth(cost.bytes), peaks.memory
    if bandwidth is None or memory is None or (cost.kind and cost.kind not in peaks.products):
        return None
    moving = cost.bytes / bandwidth.per_s * 1e9
    computing = cost.products / peaks.products[cost.kind].per_s * 1e9 if cost.kind else 0.0
    if computing >= moving > 0:
        return computing, "compute"
    return moving, "cache" if bandwidth.per_s > BEYOND_MEMORY * memory.per_s else "memory"
