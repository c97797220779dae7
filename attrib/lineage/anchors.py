"""Nodes of two neighbouring graphs that read the same constant: what is left to tie them where every value was renamed.

A constant that one node reads in either graph ties these two. A matrix does more: it marks where a product begins. A
value that vanished on the way into such a product does not tie its maker to it, if something else holds the maker.
"""

from collections.abc import Sequence
from itertools import pairwise

from attrib.lineage.disjoint import DisjointSets
from attrib.lineage.graph import Graph


class Anchors:
    """The tied nodes of a chain of graphs.

    Attributes:
        held: By graph, nodes that a constant ties to a neighbour.
        products: By graph, nodes that read a matrix which ties them to every neighbour.
    """

    def __init__(self, graphs: Sequence[Graph], offsets: Sequence[int], sets: DisjointSets) -> None:
        readers = [_only_readers(graph) for graph in graphs]
        shared = [ours.keys() & theirs.keys() for ours, theirs in pairwise(readers)]
        for i, names in enumerate(shared):
            for name in sorted(names):
                sets.union(offsets[i] + readers[i][name], offsets[i + 1] + readers[i + 1][name])
        self.held: list[frozenset[int]] = []
        self.products: list[frozenset[int]] = []
        for i, graph in enumerate(graphs):
            near = [frozenset(names) for names in shared[max(i - 1, 0) : i + 1]]
            self.held.append(frozenset(readers[i][name] for names in near for name in names))
            common = frozenset.intersection(*near) if near else frozenset()
            self.products.append(frozenset(readers[i][name] for name in common if _is_matrix(graph, name)))


def _only_readers(graph: Graph) -> dict[str, int]:
    """The constants of several elements that exactly one node reads, with that node."""
    found: dict[str, int] = {}
    several: set[str] = set()
    for node in graph.nodes:
        for name in dict.fromkeys(node.inputs):
            if name in found:
                several.add(name)
            elif name in graph.constants and name in graph.values and graph.values[name].elements > 1:
                found[name] = node.index
    return {name: reader for name, reader in found.items() if name not in several}


def _is_matrix(graph: Graph, name: str) -> bool:
    return len(graph.values[name].shape) > 1
