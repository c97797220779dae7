"""Which nodes of the graph that a session opened each executed node stands for, where a provider compiled parts of it.

A session with compiled nodes cannot save the graph that it runs. Two ways lead from a compiled node to its nodes: what the
session said (`coverage_from_placement`), and what the nodes that ran outside leave over (`coverage_from_order`).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from attrib.analysis.lineage.components import input_free_values, unique_names
from attrib.analysis.lineage.graph import Graph
from attrib.analysis.lineage.representation import producers
from attrib.analysis.match.executed import executed_by_node
from attrib.analysis.match.from_profile import name_of
from attrib.model.tensor import Tensor
from attrib.model.work import Work


class Covering(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """The executed work that stands for each node of the graph, and how far that is believed.

    Attributes:
        runs: For each node of the graph (by position) the executed work that stands for it (by position). A node that was
            folded or taken out has none.
        trust: How far each compiled node's part is believed, 0 to 1, by its position.
        notes: Why, one line each, by the same.
        rewritten: Nodes that ran outside of every compiled part, in a node that does not bear their name.
    """

    runs: Mapping[int, tuple[int, ...]]
    trust: Mapping[int, float]
    notes: Mapping[int, tuple[str, ...]]
    rewritten: frozenset[int] = frozenset()


def run_by_name(nodes: Sequence[Work], graph: Graph) -> dict[int, tuple[int, ...]]:
    """Nodes of the graph that ran as themselves, or in a node that bears their name: positions of that work."""
    found = {i: tuple(places) for i, places in executed_by_node(nodes, graph).items()}
    reached = {place for places in found.values() for place in places}
    single = unique_names(graph)
    for place, node in enumerate(nodes):
        member = single.get(name_of(node).member)
        if place not in reached and member is not None and member not in found:
            found[member] = (place,)
    return found


class RunBounds(NamedTuple):
    """Between which executed work a node runs: the last that it waits for, the first that waits for it."""

    first: int
    last: int


def run_bounds(graph: Graph, placed: Mapping[int, int], end: int) -> list[RunBounds]:
    """For each node of the graph the bounds of its place in the order of execution, exclusive.

    Args:
        graph: In topological order.
        placed: Positions of executed work, for the nodes whose place is known.
        end: The number of executed nodes.
    """
    makers, free = producers(graph), input_free_values(graph)
    edges = [
        (makers[name], node.index)
        for node in graph.nodes
        for name in node.inputs
        if name in makers and name not in free
    ]
    first, last = [-1] * len(graph.nodes), [end] * len(graph.nodes)
    for maker, reader in edges:
        first[reader] = max(first[reader], placed.get(maker, first[maker]))
    for maker, reader in reversed(edges):
        last[maker] = min(last[maker], placed.get(reader, last[reader]))
    return [RunBounds(*bounds) for bounds in zip(first, last, strict=True)]


def nodes_that_run(graph: Graph) -> list[int]:
    """Positions of the nodes that depend on an input of the model: the others are computed once and folded."""
    free = input_free_values(graph)
    return [node.index for node in graph.nodes if not all(name in free for name in node.outputs)]


class Crossing(NamedTuple):
    """The tensors that enter and leave a part of the graph; only those whose size the file states."""

    entering: tuple[Tensor, ...]
    leaving: tuple[Tensor, ...]

    def missing(self, work: Work) -> list[Tensor]:
        """The tensors that an executed node does not read or write."""
        reads, writes = set(work.inputs), set(work.outputs)
        return [t for t in self.entering if t not in reads] + [t for t in self.leaving if t not in writes]

    def check(self, work: Work) -> tuple[bool, str]:
        """Whether the tensors that cross the border are inputs and outputs of an executed node, and in words."""
        count = len(self.entering) + len(self.leaving)
        if not count or not (work.inputs or work.outputs):
            return True, "no shapes to check it by"
        missing = self.missing(work)
        if missing:
            said = f"{missing[0]} crosses the border of that part, and the node has no such tensor"
            return False, f"SIZES DIFFER: {said}"
        return True, f"the {count} tensors that cross its border are inputs and outputs of the node"

    def agreement(self, work: Work) -> float:
        """Share, 0 to 1, of the border's and the node's tensors that both have.

        Inputs of the node that the border lacks do not count: they may be weights, which enter compiled nodes as well.
        """
        wanted, there = set(self.leaving), set(work.outputs)
        tensors = len(self.entering) + len(wanted | there)
        common = sum(t in work.inputs for t in self.entering) + len(wanted & there)
        return common / tensors if tensors else 0.0


def crossings(graph: Graph, part_of: Mapping[int, int]) -> dict[int, Crossing]:
    """The tensors that enter and leave each part of the graph.

    Only what surely crosses counts: a value between nodes of two parts, or between a part and the model's own inputs
    and outputs. A value whose maker or reader has no part may have become another one.
    """
    makers, free = producers(graph), input_free_values(graph)
    entering: dict[int, dict[str, None]] = {}
    leaving: dict[int, dict[str, None]] = {}
    for node in graph.nodes:
        part = part_of.get(node.index)
        if part is None:
            continue
        for name in node.inputs:
            maker = makers.get(name)
            source = None if maker is None else part_of.get(maker)
            if name in free or source == part or (maker is not None and source is None):
                continue
            entering.setdefault(part, {})[name] = None
            if source is not None:
                leaving.setdefault(source, {})[name] = None
    for name in graph.outputs:
        source = part_of.get(makers[name]) if name in makers else None
        if source is not None:
            leaving.setdefault(source, {})[name] = None
    return {
        part: Crossing(
            _tensors_of_known_size(graph, entering.get(part, ())),
            _tensors_of_known_size(graph, leaving.get(part, ())),
        )
        for part in dict.fromkeys(part_of.values())
    }


def _tensors_of_known_size(graph: Graph, names: Collection[str]) -> tuple[Tensor, ...]:
    known = (graph.values[name] for name in names if name in graph.values)
    return tuple(tensor for tensor in known if all(size >= 0 for size in tensor.shape))
