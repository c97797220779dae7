"""The provenance of every region: its calls, its nodes in each captured graph, what ran, and which rewrite made it so."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from attrib.analysis.attribution.ledger.rows import Ledger
from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.lineage.rewrites import Step, rewrites, sentence
from attrib.analysis.match.executed import executed_by_node
from attrib.model.manifest import EXPORTED, OPTIMIZED, PARTITIONED, Manifest, Role
from attrib.model.provenance import (
    RegionTrail,
    StepKind,
    TrailCall,
    TrailMember,
    TrailNode,
    TrailRun,
    TrailStage,
    TrailStep,
)
from attrib.model.region import Region
from attrib.model.work import Partition, Work

STAGE_NAMES = {EXPORTED: "exported", PARTITIONED: "partitioned", OPTIMIZED: "optimized"}


class Chain(msgspec.Struct, frozen=True, eq=False):
    """The captured graphs, first to last, and what turned each into the next.

    Attributes:
        names: What each is called: `exported`, the offline rewrite, `optimized` (`partitioned` where parts were compiled).
        graphs: The graphs.
        steps: For each pair of neighbors, the steps between them.
        made: For each pair, the number of the step of each node of the graph before, then of the graph after.
    """

    names: tuple[str, ...]
    graphs: tuple[Graph, ...]
    steps: tuple[tuple[Step, ...], ...]
    made: tuple[tuple[dict[int, int], dict[int, int]], ...]

    def steps_of(self, lineage: Sequence[Sequence[int]]) -> list[TrailStep]:
        """What was done to these nodes (positions in each graph), from graph to graph."""
        found: list[TrailStep] = []
        for k, (ours, theirs) in enumerate(pairwise(lineage)):
            old, new = self.made[k]
            touching = sorted({old[i] for i in ours} | {new[j] for j in theirs})
            # Steps of one kind and one tool as one, except rewrites, which are said one by one.
            gathered: dict[tuple[StepKind, str, tuple[int, ...]], Step] = {}
            for step in (self.steps[k][i] for i in touching):
                key = (step.kind, step.by, step.before if step.kind == "rewritten" else ())
                first = gathered.get(key)
                gathered[key] = step if first is None else Step(
                    kind=step.kind, before=first.before + step.before, after=first.after + step.after, by=step.by
                )  # fmt: skip
            before, after = self.graphs[k], self.graphs[k + 1]
            found += [
                TrailStep(
                    stage=self.names[k + 1],
                    kind=step.kind,
                    by=step.by,
                    before=tuple(node_name(before.nodes[i]) for i in step.before),
                    after=tuple(node_name(after.nodes[i]) for i in step.after if step.kind != "unchanged"),
                    text=sentence(step, before, after),
                )
                for step in gathered.values()
            ]
        return found

    def lineage(self, graph: int, node: int) -> list[tuple[int, ...]]:
        """What became of one node in the later graphs, and from which nodes of the earlier ones it was made."""
        found: list[tuple[int, ...]] = [()] * len(self.graphs)
        found[graph] = (node,)
        for k in range(graph, len(self.graphs) - 1):
            touching = {self.made[k][0][i] for i in found[k]}
            found[k + 1] = tuple(sorted(j for number in touching for j in self.steps[k][number].after))
        for k in range(graph, 0, -1):
            touching = {self.made[k - 1][1][j] for j in found[k]}
            found[k - 1] = tuple(sorted(i for number in touching for i in self.steps[k - 1][number].before))
        return found

    def nodes(self, k: int, positions: Sequence[int]) -> list[TrailNode]:
        """Nodes of one graph, by position, as reports show them."""
        nodes = (self.graphs[k].nodes[i] for i in positions)
        return [
            TrailNode(name=node_name(node), op=node.op, module=node.scope or "", fx_node=node.fx_node)
            for node in nodes
        ]


def chain_of(graphs: Mapping[str, Graph], manifest: Manifest | None) -> Chain:
    """The chain of graphs as the manifest names it; empty without the exported graph, with which every chain begins.

    Args:
        graphs: By path in the trace directory, in the order of the chain.
        manifest: What the capture says of its rewrites.
    """
    if EXPORTED not in graphs:
        return Chain((), (), (), ())
    sides = manifest.sides.values() if manifest else ()
    offline = {rewrite.graph: rewrite for side in sides for rewrite in side.rewrites}
    names = [offline[path].name if path in offline else STAGE_NAMES.get(path, path) for path in graphs]
    tools = {path: f"{rewrite.tool} (offline)" for path, rewrite in offline.items()}
    steps = [rewrites(graphs[one], graphs[other], tools.get(other, "")) for one, other in pairwise(graphs)]
    made = tuple(
        (
            {i: number for number, step in enumerate(found) for i in step.before},
            {i: number for number, step in enumerate(found) for i in step.after},
        )
        for found in steps
    )
    return Chain(tuple(names), tuple(graphs.values()), tuple(steps), made)


def node_name(node: GraphNode) -> str:
    """A node's name; for one without, its op and its first output."""
    return node.name or f"{node.op}({next((name for name in node.outputs if name), '')})"


LISTED = 40
"""Entries of one list of a region in the report; `attrib explain` shows all."""

_NOTHING_RAN = "ONNX Runtime ran no node for it: "

T = TypeVar("T", TrailCall, TrailRun)


class _Sources(msgspec.Struct, frozen=True, eq=False):
    """What the provenance of regions is made of, by id.

    Attributes:
        chain: The captured graphs.
        calls: PyTorch's calls.
        calls_ns: Their mean times, nanoseconds.
        nodes: The executed nodes.
        nodes_ns: Their mean times, nanoseconds.
        executed: Positions of the nodes of the last graph that ran.
    """

    chain: Chain
    calls: Mapping[str, Work]
    calls_ns: Mapping[str, int]
    nodes: Mapping[str, Work]
    nodes_ns: Mapping[str, int]
    executed: frozenset[int]

    def trail(self, region: Region) -> RegionTrail:
        """What is behind one region."""
        steps = self.chain.steps_of(region.lineage) if self.chain.graphs else []
        return RegionTrail(
            id=region.id,
            module=region.module,
            origin=region.origin,
            reason=_reason(region, steps),
            calls=tuple(self.call(i) for i in region.calls),
            stages=self.stages(region),
            ran=tuple(self.run(i) for i in region.nodes),
            steps=tuple(steps),
        )

    def stages(self, region: Region) -> tuple[TrailStage, ...]:
        """Its nodes in each graph; of the last one only those that did not run, because those that did are listed."""
        last = len(self.chain.graphs) - 1
        found = []
        for k, positions in enumerate(region.lineage if self.chain.graphs else ()):
            left = [i for i in positions if k < last or not k or i not in self.executed]
            found.append(TrailStage(name=self.chain.names[k], nodes=tuple(self.chain.nodes(k, left))))
        return tuple(stage for stage in found if stage.nodes)

    def call(self, name: str) -> TrailCall:
        """One PyTorch call."""
        work = self.calls[name]
        members = tuple(TrailMember(scope=m.scope, op=m.op, name=m.name) for m in work.members)
        return TrailCall(
            id=work.id,
            op=work.op,
            module=work.scope,
            ns=self.calls_ns[name],
            inputs=tuple(map(str, work.inputs)),
            members=members,
        )

    def run(self, name: str) -> TrailRun:
        """One executed node."""
        work = self.nodes[name]
        return TrailRun(
            id=work.id,
            op=work.op,
            provider=work.provider,
            ns=self.nodes_ns[name],
            inputs=tuple(map(str, work.inputs)),
            outputs=tuple(map(str, work.outputs)),
        )


def region_provenance(
    regions: Sequence[Region], partitions: Mapping[Role, Partition], ledger: Ledger, chain: Chain
) -> tuple[RegionTrail, ...]:
    """What is behind every region, whole.

    Args:
        regions: The regions.
        partitions: The sides' work.
        ledger: The time of every segment.
        chain: The captured graphs.
    """
    calls, calls_ns = _work_and_times(partitions, ledger, "torch")
    nodes, nodes_ns = _work_and_times(partitions, ledger, "onnxruntime")
    ran = executed_by_node(tuple(nodes.values()), chain.graphs[-1]) if chain.graphs else {}
    sources = _Sources(chain, calls, calls_ns, nodes, nodes_ns, frozenset(ran))
    return tuple(sources.trail(region) for region in regions)


def _work_and_times(
    partitions: Mapping[Role, Partition], ledger: Ledger, role: Role
) -> tuple[dict[str, Work], dict[str, int]]:
    work = partitions[role].work if role in partitions else ()
    times = ledger.times(role)
    return {w.id: w for w in work}, {w.id: round(times.get(w.id, 0.0)) for w in work}


def _reason(region: Region, steps: Iterable[TrailStep]) -> str:
    """Why a region has no counterpart; empty where it has one, or where there is nothing to compare it with."""
    if region.origin in ("both", "alone"):
        return ""
    if region.origin == "torch" and region.exported:
        left = [step.text for step in steps if step.kind != "unchanged"]
        return _NOTHING_RAN + ("; ".join(left) or "its exported nodes were not executed")
    return region.match.evidence[0] if region.match.evidence else ""


def shorten(trail: RegionTrail, limit: int = LISTED) -> RegionTrail:
    """The trail with no list longer than `limit`: of calls and executed nodes the slowest stay, in their order."""
    calls, ran = _slowest(trail.calls, limit), _slowest(trail.ran, limit)
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


def _slowest(items: tuple[T, ...], limit: int) -> tuple[T, ...]:
    if len(items) <= limit:
        return items
    kept = sorted(sorted(range(len(items)), key=lambda i: (-items[i].ns, i))[:limit])
    return tuple(items[i] for i in kept)
