"""Which nodes of the exported graph became which nodes of the graph that ran.

Between the two lie any number of rewrites (an offline optimizer, a quantizer), each with a graph of its own: the chain.
Rewriters drop the metadata of the nodes that they touch, but the names of the values that survive a rewrite stay.
So two neighbors in the chain are cut at the values that they share; what lies between the cuts on one side computes
the same tensors as what lies between them on the other. Numbered cases, cited in the code:

1. A value produced in two neighboring graphs under one name ties its two producers together; it is a cut of a graph
   if every neighbor of that graph has it.
2. A value that depends on no input of the model (initializers, `Constant`, and what is computed from them or from a
   `Shape`) is a cut: one shape subgraph may serve every layer, and must not tie the layers together.
3. Any other value ties its producer to its consumer. One with several consumers ties its producer to that of its
   counterpart in the neighboring graph, or else to the first consumer only (see `vanished`): one attention mask that
   feeds every layer must not tie the layers together.
4. A node that a rewrite put in to carry a value that is a cut somewhere else (a copy between devices, a cast) belongs
   to whoever produces that value, however many read the result.
5. A node that a rewrite put in to prepare a constant at run time (weights that are dequantized in every run) belongs to
   its first reader.
6. Nodes that read the same constant belong together; a value that vanished into a product of a matrix that both graphs
   have does not tie its maker to it (see `anchors`).
7. A value that is left only in another representation goes by the name of the value itself (see `representation`).
8. A node that a rewrite put into a branch or a loop to carry a value of that body belongs to the node that holds the body.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import msgspec

from attrib.analysis.lineage.disjoint_sets import DisjointSets
from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.lineage.representation import CARRIERS, by_one_name, producers

# Nodes of two neighboring graphs that read the same constant: what is left to tie them where every value was renamed.
#
# A constant that one node reads in either graph ties these two. A matrix does more: it marks where a product begins. A
# value that vanished on the way into such a product does not tie its maker to it, if something else holds the maker.


class Anchors:
    """Nodes that read the same constant in neighboring graphs of a chain, which ties them together.

    Attributes:
        held: By graph, nodes that a constant ties to a neighbor.
        products: By graph, nodes that read a matrix which ties them to every neighbor.
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
            matrices = (name for name in common if len(graph.values[name].shape) > 1)
            self.products.append(frozenset(readers[i][name] for name in matrices))


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


# Values that a rewrite took away or renamed although several nodes read them.
#
# Such a value has a counterpart in the neighboring graph where nodes that correspond read it: a layer norm whose result
# became another type is still what the query, the key and the value are made of. What has no counterpart is tied to its
# first reader. Its several readers meet again further down, or its work was folded, merged with an equal one or
# repeated, and must not tie them together.


MOST_ROUNDS = 8
"""Each round may bring together readers that the next one needs; two were enough for every graph seen."""


class Vanished(msgspec.Struct, eq=False):
    """A value that a neighbor does not have.

    Attributes:
        maker: Who makes it.
        readers: Who reads it.
        ties: The readers that it may be tied to, first one first.
        found: It has a counterpart.
    """

    maker: int
    readers: tuple[int, ...]
    ties: tuple[int, ...]
    found: bool = False


def join(sets: DisjointSets, chain: Sequence[Sequence[Vanished]]) -> None:
    """Join the makers of vanished values that are counterparts, and tie the rest to their first readers.

    Args:
        sets: Nodes of all graphs; what shared values tie together is together already.
        chain: Vanished values of each graph of the chain.
    """
    for _ in range(MOST_ROUNDS):
        if not sum(_pair(sets, ours, theirs) for ours, theirs in pairwise(chain)):
            break
    for value in (value for values in chain for value in values if not value.found and value.ties):
        sets.union(value.maker, value.ties[0])


def _pair(sets: DisjointSets, ours: Sequence[Vanished], theirs: Sequence[Vanished]) -> int:
    """Join the values that only the same readers have, one in each graph; how many were joined anew."""
    one, other = _by_readers(sets, ours), _by_readers(sets, theirs)
    count = 0
    for readers in one.keys() & other.keys():
        (a, *more), (b, *others) = one[readers], other[readers]
        if more or others or sets.find(a.maker) == sets.find(b.maker):
            continue
        sets.union(a.maker, b.maker)
        a.found = b.found = True
        count += 1
    return count


def _by_readers(sets: DisjointSets, values: Sequence[Vanished]) -> dict[frozenset[int], list[Vanished]]:
    found: dict[frozenset[int], list[Vanished]] = defaultdict(list)
    for value in values:
        found[frozenset(map(sets.find, value.readers))].append(value)
    return found


SHAPE_OPS = frozenset({"Shape", "Size"})

_DRAWING = re.compile("Random|Sampling|Multinomial|Bernoulli")
"""What the names of the ops of ONNX and of ONNX Runtime hold that draw random numbers whatever they are given."""


def draws(node: GraphNode) -> bool:
    """Whether a node draws random numbers, which are others in each run; a Dropout does so where it may train."""
    may_train = 3  # inputs: data, ratio, and whether it trains
    return _DRAWING.search(node.op) is not None or (node.op == "Dropout" and len(node.inputs) >= may_train)


class Component(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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
    """Names of the values that depend on no input of the model, nor on chance: constants, and shapes (case 2).

    Relies on the topological order that ONNX prescribes for the nodes of a graph.
    """
    free = {"", *graph.constants}
    for node in graph.nodes:
        if node.op in SHAPE_OPS or (all(name in free for name in node.inputs) and not draws(node)):
            free.update(node.outputs)
    return frozenset(free)


def components(graphs: Sequence[Graph]) -> tuple[Component, ...]:
    """Cut neighboring graphs of a chain at their shared values and pair what lies between.

    Args:
        graphs: The graph as exported first, the one that ran last.

    Returns:
        Components in the order of the exported graph; every node of every graph is in exactly one.
    """
    graphs = by_one_name(graphs)
    makers = [producers(graph) for graph in graphs]
    offsets = [0, *accumulate(len(graph.nodes) for graph in graphs)]
    free = frozenset().union(*map(input_free_values, graphs))
    sets = DisjointSets(offsets[-1])
    shared = [ours.keys() & theirs.keys() for ours, theirs in pairwise(makers)]
    for i, names in enumerate(shared):
        for name in names:
            sets.union(offsets[i] + makers[i][name], offsets[i + 1] + makers[i + 1][name])
    anchors, vanished = Anchors(graphs, offsets, sets), []  # 6
    for i, graph in enumerate(graphs):
        neighbors = [frozenset(names) for names in shared[max(i - 1, 0) : i + 1]]
        common = frozenset.intersection(*neighbors) if neighbors else frozenset(makers[i])
        kept = neighbors[0] if i else frozenset(makers[i])
        cuts = _Cuts(free, common, kept, anchors.held[i], anchors.products[i])
        vanished.append(_tie(sets, offsets[i], graph, cuts))
    join(sets, vanished)
    exported, names = graphs[0], shared[0] if shared else set()
    found = []
    for group in sets.groups():
        stages = tuple(
            tuple(i - start for i in group if start <= i < end) for start, end in pairwise(offsets)
        )
        tied = tuple(name for i in stages[0] for name in exported.nodes[i].outputs if name in names)
        found.append(Component(stages=stages, shared=tied))
    return tuple(found)


class _Cuts(NamedTuple):
    """Where one graph of the chain is cut.

    `free` values depend on no input; every neighbor has the `common` values, the graph before the `kept` ones: a node
    that makes none of those was put in by the rewrite. Constants tie the `held` nodes to a neighbor, matrices the
    `products` to every one.
    """

    free: frozenset[str]
    common: frozenset[str]
    kept: frozenset[str]
    held: frozenset[int]
    products: frozenset[int]

    def between(self, name: str, *, inserted: bool) -> bool:
        """Whether the graph is cut at a value; what a rewrite put in to prepare a constant is not."""
        return not inserted if name in self.free else name in self.common

    def holder_of_carrier(
        self, node: GraphNode, makers: dict[str, int], carried: dict[str, int]
    ) -> int | None:
        """To whom a carrier belongs: who produces the cut that it carries (case 4), or who holds its body (case 8).

        None where it is no carrier, or carries no cut.
        """
        if node.op not in CARRIERS:
            return None
        source = node.inputs[0] if node.inputs else ""
        if source in carried:
            return carried[source]
        if source in self.common and source not in self.free:
            return makers.get(source)
        return node.parent if node.parent >= 0 else None


def _tie(sets: DisjointSets, offset: int, graph: Graph, cuts: _Cuts) -> list[Vanished]:
    """Tie producers to consumers across the values that are no cuts; the values with several consumers are left over."""
    makers, carried = producers(graph), dict[str, int]()
    readers: dict[str, list[int]] = {}
    for node in graph.nodes:
        for name in dict.fromkeys(node.inputs):
            readers.setdefault(name, []).append(node.index)
    held, left = set(cuts.held), []
    for node in graph.nodes:
        inserted = cuts.kept.isdisjoint(node.outputs)
        source = cuts.holder_of_carrier(node, makers, carried) if inserted else None
        for name in node.outputs:
            if source is not None:
                carried[name] = source
                sets.union(offset + node.index, offset + source)  # 4
            elif name not in readers or cuts.between(name, inserted=inserted):
                continue  # 1, 2
            elif name in cuts.free:
                sets.union(offset + node.index, offset + readers[name][0])  # 5
            else:
                after = [i for i in readers[name] if i not in cuts.products or node.index not in held]  # 6
                held.update(after if node.index in held else ())
                if len(readers[name]) > 1:
                    left.append(
                        Vanished(
                            offset + node.index,
                            tuple(offset + i for i in readers[name]),
                            tuple(offset + i for i in after),
                        )
                    )
                elif after:
                    sets.union(offset + node.index, offset + after[0])  # 3
    return left


def nodes_by_name(graph: Graph) -> dict[str, list[GraphNode]]:
    """Nodes by their name; a name may be empty or repeated in files from elsewhere."""
    found: dict[str, list[GraphNode]] = {}
    for node in graph.nodes:
        found.setdefault(node.name, []).append(node)
    return found


def unique_names(graph: Graph) -> dict[str, int]:
    """Position of each node whose name no other node bears, by that name."""
    return {name: of[0].index for name, of in nodes_by_name(graph).items() if name and len(of) == 1}
