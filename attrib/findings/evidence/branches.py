"""Branches of a graph: what an `If` holds, what a `Where` throws away, and which nodes belong to a module.

Numbered cases, cited in the code:

1. A node belongs to a module if its scope lies in it, or if it reads one of its weights: exporters keep the names of
   modules, or those of initializers, seldom neither.
2. An exporter's wrapper may put one more name in front of every module's: it is dropped if more modules are then known.
3. A `Where` whose condition is a single element keeps one of its two values whole. What only serves the other one was
   computed for nothing.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from heapq import heappop, heappush

import msgspec

from attrib.analysis.lineage.components import input_free_values
from attrib.analysis.lineage.graph import Graph, GraphNode

MOST_SELECTIONS = 100
"""A graph with more of them holds something else than branches, and each costs a walk through the graph."""


class Conditional(msgspec.Struct, frozen=True, kw_only=True):
    """One `If`: the node, and the nodes of each of its branches, nested ones included."""

    node: GraphNode
    branches: dict[str, tuple[GraphNode, ...]]


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """One `Where` that keeps one of two results whole, and the nodes that serve only the one or only the other."""

    node: GraphNode
    first: tuple[GraphNode, ...]
    second: tuple[GraphNode, ...]


def conditionals(graph: Graph) -> tuple[Conditional, ...]:
    """Every `If` of the graph."""
    held: dict[int, dict[str, list[GraphNode]]] = defaultdict(dict)
    for node in graph.nodes:
        inner = node
        while inner.parent >= 0:  # every node whose subgraph holds it, innermost first
            held[inner.parent].setdefault(inner.branch, []).append(node)
            inner = graph.nodes[inner.parent]
    return tuple(
        Conditional(
            node=node,
            branches={name: tuple(held[node.index].get(name, ())) for name in ("then_branch", "else_branch")},
        )
        for node in graph.nodes
        if node.op == "If"
    )


def is_inside(graph: Graph, node: GraphNode, ops: Collection[str]) -> bool:
    """Whether a node lies in a subgraph of a node with one of these ops, however deep."""
    while node.parent >= 0:
        node = graph.nodes[node.parent]
        if node.op in ops:
            return True
    return False


def owners_of(graph: Graph, known: Collection[str]) -> list[tuple[str, ...]]:
    """The modules that each node names: its scope, and those of the weights that it reads (case 1).

    Args:
        graph: Any graph of the chain.
        known: Names of modules as PyTorch spells them; they tell whether there is a wrapper (case 2).
    """
    owned = {name: name.rpartition(".")[0] for name in graph.constants}
    raw = [
        [*([node.scope] if node.scope else []), *(owned[name] for name in node.inputs if name in owned)]
        for node in graph.nodes
    ]
    inner = [[name.partition(".")[2] for name in names] for names in raw]
    spelled = max(raw, inner, key=lambda every: sum(name in known for names in every for name in names))
    return [tuple(dict.fromkeys(filter(None, names))) for names in spelled]


def nodes_of_module(graph: Graph, owners: Sequence[Iterable[str]], module: str) -> tuple[GraphNode, ...]:
    """Nodes of a module and of what is in it."""
    pairs = zip(graph.nodes, owners, strict=True)
    return tuple(node for node, names in pairs if any(f"{name}.".startswith(f"{module}.") for name in names))


def selections(graph: Graph) -> tuple[Selection, ...]:
    """Every `Where` that throws one of two computed results away (case 3)."""
    free = input_free_values(graph)
    readers: dict[str, list[int]] = defaultdict(list)
    for node in graph.nodes:
        for name in node.inputs:
            readers[name].append(node.index)
    single = {name for name, tensor in graph.values.items() if set(tensor.shape) <= {1}}
    choices = [
        node
        for node in graph.nodes
        if node.op == "Where" and len(node.inputs) == 3  # noqa: PLR2004 - a condition and two values
        and node.inputs[0] in single and free.isdisjoint(node.inputs[1:])
    ]  # fmt: skip
    found = (
        Selection(
            node=node,
            first=_serving_only(graph, node, node.inputs[1], readers),
            second=_serving_only(graph, node, node.inputs[2], readers),
        )
        for node in choices[:MOST_SELECTIONS]
    )
    return tuple(selection for selection in found if selection.first and selection.second)


def _serving_only(
    graph: Graph, where: GraphNode, value: str, readers: dict[str, list[int]]
) -> tuple[GraphNode, ...]:
    """Nodes whose results reach nothing but this value of the `Where`, in order."""
    makers = {name: node for node in graph.nodes[: where.index] for name in node.outputs}
    ends, kept = set(graph.outputs), dict[int, GraphNode]()
    waiting = [-makers[value].index] if value in makers and readers[value] == [where.index] else []
    while waiting:  # the last node first: whoever reads a node's results was looked at before it
        node = graph.nodes[-heappop(waiting)]
        outside = (reader for name in node.outputs for reader in readers.get(name, ()) if reader not in kept)
        if node.index in kept or set(outside) - {where.index} or not ends.isdisjoint(node.outputs):
            continue
        kept[node.index] = node
        for name in node.inputs:
            if name in makers:
                heappush(waiting, -makers[name].index)
    return tuple(kept[index] for index in sorted(kept))
