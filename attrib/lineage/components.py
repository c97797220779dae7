"""Which nodes of the exported graph became which nodes of the graph that ran.

ORT's optimizer drops the metadata of the nodes that it rewrites, but the names of the values that survive a rewrite stay.
So both graphs are cut at the values that they share; what lies between the cuts on one side computes the same tensors
as what lies between them on the other. Numbered cases, cited in the code:

1. A value produced in both graphs under one name is a cut, and ties its two producers together.
2. A value that depends on no input of the model (initializers, `Constant`, and what is computed from them or from a
   `Shape`) is a cut: one shape subgraph may serve every layer, and must not tie the layers together.
3. Any other value ties its producer to its first consumer. Several consumers either meet again further down, or the
   value's work was folded, merged with an equal one or repeated, and must not tie them together (one attention mask
   feeds every layer).
"""

import msgspec

from attrib.lineage.disjoint import DisjointSets
from attrib.lineage.graph import Graph, GraphNode

SHAPE_OPS = frozenset({"Shape", "Size"})


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """Nodes of the two graphs that compute the same tensors.

    `exported` and `optimized` are node positions in their graphs; `shared` the value names that tie them.
    """

    exported: tuple[int, ...]
    optimized: tuple[int, ...]
    shared: tuple[str, ...] = ()


def input_free_values(graph: Graph) -> frozenset[str]:
    """Names of the values that depend on no input of the model: constants, and shapes (case 2).

    Relies on the topological order that ONNX prescribes for the nodes of a graph.
    """
    free = {"", *graph.constants}
    for node in graph.nodes:
        if node.op in SHAPE_OPS or all(name in free for name in node.inputs):
            free.update(node.outputs)
    return frozenset(free)


def components(exported: Graph, optimized: Graph) -> tuple[Component, ...]:
    """Cut both graphs at their shared values and pair what lies between (cases 1 to 3).

    Returns:
        Components in the order of the exported graph; every node of either graph is in exactly one.
    """
    makers, heirs = _producers(exported), _producers(optimized)
    shared = makers.keys() & heirs.keys()
    cuts = shared | input_free_values(exported) | input_free_values(optimized)
    offset = len(exported.nodes)
    sets = DisjointSets(offset + len(optimized.nodes))
    for name in shared:
        sets.union(makers[name], offset + heirs[name])
    _tie(sets, optimized, offset, cuts)
    _tie(sets, exported, 0, cuts)
    return tuple(_component(group, offset, exported, shared) for group in sets.groups())


def _component(group: list[int], offset: int, exported: Graph, shared: set[str]) -> Component:
    ours = tuple(i for i in group if i < offset)
    names = (name for i in ours for name in exported.nodes[i].outputs if name in shared)
    return Component(
        exported=ours, optimized=tuple(i - offset for i in group if i >= offset), shared=tuple(names)
    )


def _producers(graph: Graph) -> dict[str, int]:
    """Value name -> position of the node that produces it."""
    return {name: node.index for node in graph.nodes for name in node.outputs if name}


def _tie(sets: DisjointSets, graph: Graph, offset: int, cuts: set[str]) -> None:
    """Tie producers to consumers across the values that are no cuts, each to its first consumer (case 3)."""
    first: dict[str, int] = {}
    for node in graph.nodes:
        for name in node.inputs:
            first.setdefault(name, node.index)
    for node in graph.nodes:
        for name in node.outputs:
            if name in first and name not in cuts:
                sets.union(offset + node.index, offset + first[name])


def nodes_by_name(graph: Graph) -> dict[str, list[GraphNode]]:
    """Nodes by their name; a name may be empty or repeated in files from elsewhere."""
    found: dict[str, list[GraphNode]] = {}
    for node in graph.nodes:
        found.setdefault(node.name, []).append(node)
    return found
