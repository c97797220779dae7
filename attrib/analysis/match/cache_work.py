"""Which work keeps the cache of a language model: what only moves, grows or converts the keys and values of earlier tokens.

The graph proves a cache: an input that is called as exporters call one (`past_key_values.0.key`, `past_0`, `cache_k`), and
from which moves alone lead to an output, which holds what was given and more. Every move of what it holds keeps the cache,
up to the nodes that compute with it: there, attention begins. One node may do both: an Attention that reads the past and
writes the present. PyTorch's calls follow by their regions: what moves data in a region of such a node.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.executed import executed_by_node
from attrib.analysis.match.ops import onnx_role, role
from attrib.model.region import Region
from attrib.model.work import Work

_NAMED = re.compile("past|cache", re.IGNORECASE)

_MOVING = frozenset({"layout", "cast", "memcpy", "quantize"})
"""Roles of nodes that hand on what they read, in another place, order or type."""

_INTO = frozenset({"Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND", "TensorScatter"})
"""Ops that move what their first input holds: they reorder a cache, or write new tokens into it."""


def cache_work(
    graphs: Sequence[Graph],
    regions: Sequence[Region],
    calls: Mapping[str, Work],
    nodes: Sequence[Work],
) -> frozenset[str]:
    """Ids of the calls and nodes that keep a cache.

    Args:
        graphs: As exported, after each rewrite, as it ran.
        regions: Their `lineage` is of these graphs.
        calls: PyTorch's calls by id.
        nodes: The executed nodes.
    """
    kept = [nodes_that_keep(graph) for graph in graphs]
    if not any(moving or holding for moving, holding in kept):
        return frozenset()
    executed = executed_by_node(nodes, graphs[-1])
    moving, _ = kept[-1]
    found = {nodes[place].id for index in moving for place in executed.get(index, ())}
    for region in regions:
        keeps = any(
            not known.isdisjoint(places)
            for places, both in zip(region.lineage, kept, strict=False)
            for known in both
        )
        if keeps:
            found.update(name for name in region.calls if role(calls[name]) in _MOVING)
    return frozenset(found)


def nodes_that_keep(graph: Graph) -> tuple[frozenset[int], frozenset[int]]:
    """Positions of the nodes that only move a cache, and of those that compute with it and write it as well."""
    readers: dict[str, list[GraphNode]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    outputs = set(graph.outputs)
    moving, holding = set[int](), set[int]()
    for name in graph.inputs:
        if name in graph.constants or not _NAMED.search(name):
            continue
        on_the_way = list(_moves_of(name, readers))
        values = {name, *(output for node in on_the_way for output in node.outputs)}
        writing = [
            node.index
            for value in values
            for node in readers.get(value, ())
            if node not in on_the_way and not outputs.isdisjoint(node.outputs[1:])
        ]
        holding.update(writing)
        if writing or not outputs.isdisjoint(values - {name}):
            moving.update(node.index for node in on_the_way)
    return frozenset(moving), frozenset(holding)


def _moves_of(value: str, readers: Mapping[str, Collection[GraphNode]]) -> Iterator[GraphNode]:
    """The nodes that hand on a value, and what they make of it, without computing anything."""
    seen, waiting = set[int](), [value]
    while waiting:
        now = waiting.pop()
        for node in readers.get(now, ()):
            if node.index not in seen and _hands_on(node, now):
                seen.add(node.index)
                waiting += node.outputs
                yield node


def _hands_on(node: GraphNode, value: str) -> bool:
    if node.op in _INTO:
        return node.inputs[0] == value
    return onnx_role(node.op) in _MOVING and value in node.inputs
