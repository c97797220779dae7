"""Which nodes of the exported graph became which nodes of the graph that ran.

Between the two lie any number of rewrites (an offline optimizer, a quantizer), each with a graph of its own: the chain.
Rewriters drop the metadata of the nodes that they touch, but the names of the values that survive a rewrite stay.
So two neighbours in the chain are cut at the values that they share; what lies between the cuts on one side computes
the same tensors as what lies between them on the other. Numbered cases, cited in the code:

1. A value produced in two neighbouring graphs under one name ties its two producers together; it is a cut of a graph
   if every neighbour of that graph has it.
2. A value that depends on no input of the model (initializers, `Constant`, and what is computed from them or from a
   `Shape`) is a cut: one shape subgraph may serve every layer, and must not tie the layers together.
3. Any other value ties its producer to its first consumer. Several consumers either meet again further down, or the
   value's work was folded, merged with an equal one or repeated, and must not tie them together (one attention mask
   feeds every layer).
4. A node that a rewrite put in to carry a value that is a cut somewhere else (a copy between devices, a cast) belongs
   to whoever produces that value, however many read the result.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import msgspec

from attrib.lineage.disjoint import DisjointSets
from attrib.lineage.graph import Graph, GraphNode

SHAPE_OPS = frozenset({"Shape", "Size"})
CARRIERS = frozenset({"MemcpyToHost", "MemcpyFromHost", "Cast"})


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """Nodes of the graphs of a chain that compute the same tensors.

    `stages` holds node positions, one tuple a graph; `shared` the value names that tie the first graph to the second.
    """

    stages: tuple[tuple[int, ...], ...]
    shared: tuple[str, ...] = ()

    @property
    def exported(self) -> tuple[int, ...]:
        """Positions in the first graph."""
        return self.stages[0]

    @property
    def optimized(self) -> tuple[int, ...]:
        """Positions in the last graph."""
        return self.stages[-1]


def input_free_values(graph: Graph) -> frozenset[str]:
    """Names of the values that depend on no input of the model: constants, and shapes (case 2).

    Relies on the topological order that ONNX prescribes for the nodes of a graph.
    """
    free = {"", *graph.constants}
    for node in graph.nodes:
        if node.op in SHAPE_OPS or all(name in free for name in node.inputs):
            free.update(node.outputs)
    return frozenset(free)


def components(graphs: Sequence[Graph]) -> tuple[Component, ...]:
    """Cut neighbouring graphs of a chain at their shared values and pair what lies between (cases 1 to 3).

    Args:
        graphs: The graph as exported first, the one that ran last.

    Returns:
        Components in the order of the exported graph; every node of every graph is in exactly one.
    """
    makers = [_producers(graph) for graph in graphs]
    offsets = [0, *accumulate(len(graph.nodes) for graph in graphs)]
    free = frozenset().union(*map(input_free_values, graphs))
    sets = DisjointSets(offsets[-1])
    shared = [ours.keys() & theirs.keys() for ours, theirs in pairwise(makers)]
    for i, names in enumerate(shared):
        for name in names:
            sets.union(offsets[i] + makers[i][name], offsets[i + 1] + makers[i + 1][name])
    for i, graph in enumerate(graphs):
        neighbours = shared[max(i - 1, 0) : i + 1]
        cuts = free.union(set.intersection(*map(set, neighbours)) if neighbours else makers[i])
        _tie(sets, graph, offsets[i], cuts, _carried(graph, makers[i], cuts, original=i == 0))
    return tuple(
        _component(group, offsets, graphs[0], shared[0] if shared else set()) for group in sets.groups()
    )


def _component(group: list[int], offsets: list[int], exported: Graph, shared: set[str]) -> Component:
    stages = tuple(tuple(i - first for i in group if first <= i < last) for first, last in pairwise(offsets))
    names = (name for i in stages[0] for name in exported.nodes[i].outputs if name in shared)
    return Component(stages=stages, shared=tuple(names))


def _producers(graph: Graph) -> dict[str, int]:
    """Value name -> position of the node that produces it."""
    return {name: node.index for node in graph.nodes for name in node.outputs if name}


def _carried(graph: Graph, makers: dict[str, int], cuts: frozenset[str], *, original: bool) -> dict[str, int]:
    """Values that a carrier made of a cut, with the position of whoever produces that cut (case 4)."""
    found: dict[str, int] = {}
    for node in graph.nodes:
        if original or node.op not in CARRIERS or not node.outputs or node.outputs[0] in cuts:
            continue
        source = node.inputs[0]
        if source in found or (source in cuts and source in makers):
            found[node.outputs[0]] = found.get(source, makers[source])
    return found


def _tie(
    sets: DisjointSets, graph: Graph, offset: int, cuts: frozenset[str], carried: dict[str, int]
) -> None:
    """Tie producers to consumers across the values that are no cuts, each to its first consumer (cases 3 and 4)."""
    first: dict[str, int] = {}
    for node in graph.nodes:
        for name in node.inputs:
            first.setdefault(name, node.index)
    for node in graph.nodes:
        for name in node.outputs:
            if name in carried:
                sets.union(offset + node.index, offset + carried[name])
            elif name in first and name not in cuts:
                sets.union(offset + node.index, offset + first[name])


def nodes_by_name(graph: Graph) -> dict[str, list[GraphNode]]:
    """Nodes by their name; a name may be empty or repeated in files from elsewhere."""
    found: dict[str, list[GraphNode]] = {}
    for node in graph.nodes:
        found.setdefault(node.name, []).append(node)
    return found
