"""The captured graphs in their order, with what turned each into the next."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from attrib.lineage.graph import Graph, GraphNode
from attrib.lineage.rewrites import Step, rewrites, sentence
from attrib.model.manifest import EXPORTED, OPTIMIZED, PARTITIONED, Manifest
from attrib.model.trail import StepKind, TrailNode, TrailStep

STAGE_NAMES = {EXPORTED: "exported", PARTITIONED: "partitioned", OPTIMIZED: "optimized"}


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """Graphs, first to last.

    Attributes:
        names: What each is called: `exported`, the offline rewrite, `optimized` (`partitioned` where parts were compiled).
        graphs: The graphs.
        steps: For each pair of neighbours, the steps between them.
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
            found += [self._told(k, step) for step in _gathered(self.steps[k][i] for i in touching)]
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

    def _told(self, k: int, step: Step) -> TrailStep:
        before, after = self.graphs[k], self.graphs[k + 1]
        return TrailStep(
            stage=self.names[k + 1],
            kind=step.kind,
            by=step.by,
            before=tuple(node_name(before.nodes[i]) for i in step.before),
            after=() if step.kind == "unchanged" else tuple(node_name(after.nodes[i]) for i in step.after),
            text=sentence(step, before, after),
        )

    def nodes(self, k: int, positions: Sequence[int]) -> list[TrailNode]:
        """Nodes of one graph as a reader is shown them."""
        return [_node(self.graphs[k].nodes[i]) for i in positions]


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
    return Chain(tuple(names), tuple(graphs.values()), tuple(steps), tuple(_made(found) for found in steps))


def _made(steps: Sequence[Step]) -> tuple[dict[int, int], dict[int, int]]:
    return (
        {i: number for number, step in enumerate(steps) for i in step.before},
        {i: number for number, step in enumerate(steps) for i in step.after},
    )


def _gathered(steps: Iterable[Step]) -> list[Step]:
    """Steps of one kind and one tool as one, except rewrites, which are told one by one."""
    found: dict[tuple[StepKind, str, tuple[int, ...]], Step] = {}
    for step in steps:
        key = (step.kind, step.by, step.before if step.kind == "rewritten" else ())
        first = found.get(key)
        found[key] = step if first is None else Step(
            kind=step.kind, before=first.before + step.before, after=first.after + step.after, by=step.by
        )  # fmt: skip
    return list(found.values())


def node_name(node: GraphNode) -> str:
    """A node's name; for one without, its op and its first output."""
    return node.name or f"{node.op}({next((name for name in node.outputs if name), '')})"


def _node(node: GraphNode) -> TrailNode:
    return TrailNode(name=node_name(node), op=node.op, module=node.scope or "", fx_node=node.fx_node)
