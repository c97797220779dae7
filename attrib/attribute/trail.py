"""The trail of every region: its calls, its nodes in each captured graph, what ran, and which rewrite made it so."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from msgspec.structs import replace

from attrib.attribute.chain import Chain
from attrib.attribute.ledger_rows import Ledger
from attrib.match.executed import executed_by_node
from attrib.model.manifest import Role
from attrib.model.region import Region
from attrib.model.tensor import Tensor
from attrib.model.trail import RegionTrail, TrailCall, TrailMember, TrailRun, TrailStage, TrailStep
from attrib.model.work import Partition, Work

LISTED = 40
"""Entries of one list of a region in the report; `attrib explain` shows all."""

_NOTHING_RAN = "ONNX Runtime ran no node for it: "

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class _Sources:
    """What trails are made of, by id."""

    chain: Chain
    calls: Mapping[str, Work]
    calls_ns: Mapping[str, int]
    nodes: Mapping[str, Work]
    nodes_ns: Mapping[str, int]
    executed: frozenset[int]


def region_trails(
    regions: Sequence[Region], partitions: Mapping[Role, Partition], ledger: Ledger, chain: Chain
) -> tuple[RegionTrail, ...]:
    """The trail of every region, whole.

    Args:
        regions: The regions.
        partitions: The sides' work.
        ledger: The time of every segment.
        chain: The captured graphs.
    """
    calls, calls_ns = _side(partitions, ledger, "torch")
    nodes, nodes_ns = _side(partitions, ledger, "onnxruntime")
    ran = executed_by_node(tuple(nodes.values()), chain.graphs[-1]) if chain.graphs else {}
    sources = _Sources(chain, calls, calls_ns, nodes, nodes_ns, frozenset(ran))
    return tuple(_trail(region, sources) for region in regions)


def _side(
    partitions: Mapping[Role, Partition], ledger: Ledger, role: Role
) -> tuple[dict[str, Work], dict[str, int]]:
    work = partitions[role].work if role in partitions else ()
    times = ledger.times(role)
    return {w.id: w for w in work}, {w.id: round(times.get(w.id, 0.0)) for w in work}


def _trail(region: Region, sources: _Sources) -> RegionTrail:
    steps = sources.chain.steps_of(region.lineage) if sources.chain.graphs else []
    return RegionTrail(
        id=region.id,
        module=region.module,
        origin=region.origin,
        reason=_reason(region, steps),
        calls=tuple(_call(sources.calls[i], sources.calls_ns[i]) for i in region.calls),
        stages=_stages(region, sources),
        ran=tuple(_run(sources.nodes[i], sources.nodes_ns[i]) for i in region.nodes),
        steps=tuple(steps),
    )


def _reason(region: Region, steps: Iterable[TrailStep]) -> str:
    """Why a region has no counterpart; empty where it has one, or where there is nothing to compare it with."""
    if region.origin in ("both", "alone"):
        return ""
    if region.origin == "torch" and region.exported:
        left = [step.text for step in steps if step.kind != "unchanged"]
        return _NOTHING_RAN + ("; ".join(left) or "its exported nodes were not executed")
    return region.match.evidence[0] if region.match.evidence else ""


def _stages(region: Region, sources: _Sources) -> tuple[TrailStage, ...]:
    """Its nodes in each graph; of the last one only those that did not run, because those that did are listed."""
    chain = sources.chain
    last = len(chain.graphs) - 1
    found = []
    for k, positions in enumerate(region.lineage if chain.graphs else ()):
        left = [i for i in positions if k < last or not k or i not in sources.executed]
        found.append(TrailStage(name=chain.names[k], nodes=tuple(chain.nodes(k, left))))
    return tuple(stage for stage in found if stage.nodes)


def _call(work: Work, ns: int) -> TrailCall:
    members = tuple(TrailMember(scope=m.scope, op=m.op, name=m.name) for m in work.members)
    return TrailCall(
        id=work.id, op=work.op, module=work.scope, ns=ns, inputs=_told(work.inputs), members=members
    )


def _run(work: Work, ns: int) -> TrailRun:
    return TrailRun(
        id=work.id,
        op=work.op,
        provider=work.provider,
        ns=ns,
        inputs=_told(work.inputs),
        outputs=_told(work.outputs),
    )


def _told(tensors: Iterable[Tensor]) -> tuple[str, ...]:
    return tuple(map(str, tensors))


def shortened(trail: RegionTrail, limit: int = LISTED) -> RegionTrail:
    """The trail with no list longer than `limit`: of calls and executed nodes the slowest stay, in their order."""
    calls, ran = _slowest(trail.calls, limit, _ns), _slowest(trail.ran, limit, _ns)
    return replace(
        trail,
        calls=tuple(
            replace(c, members=c.members[:limit], members_more=max(len(c.members) - limit, 0)) for c in calls
        ),
        calls_more=len(trail.calls) - len(calls),
        stages=tuple(
            replace(stage, nodes=stage.nodes[:limit], more=max(len(stage.nodes) - limit, 0))
            for stage in trail.stages
        ),
        ran=ran,
        ran_more=len(trail.ran) - len(ran),
        steps=tuple(
            replace(step, before=step.before[:limit], after=step.after[:limit])
            for step in trail.steps[:limit]
        ),
        steps_more=max(len(trail.steps) - limit, 0),
    )


def _ns(item: TrailCall | TrailRun) -> int:
    return item.ns


def _slowest(items: tuple[T, ...], limit: int, ns: Callable[[T], int]) -> tuple[T, ...]:
    if len(items) <= limit:
        return items
    kept = sorted(sorted(range(len(items)), key=lambda i: (-ns(items[i]), i))[:limit])
    return tuple(items[i] for i in kept)
