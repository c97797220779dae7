"""Links by order: calls and nodes aligned, in the order of the export or in the most believable order of what ran."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from attrib.analysis.lineage.graph import GraphNode
from attrib.analysis.match.alignment.align import align, misfit
from attrib.analysis.match.candidates import Link, Matcher, MatchState
from attrib.analysis.match.from_profile import ExportOrder
from attrib.analysis.match.scoring import links_of
from attrib.model.work import Work

BELIEVED = 1.8
"""How much worse nodes may fit their calls by an order of export than by that of execution for it to be believed. Orders
of export gave 0.9 to 1.7 times the misfit on BERT (both exporters, all levels), those of files sorted anew up to 2.3."""


def link_in_order(
    state: MatchState,
    matcher: Matcher,
    calls: list[int],
    nodes: list[int],
    sentence: Callable[[Work, GraphNode], str],
) -> list[Link]:
    """Align calls and nodes, both by position, and link each node to its call.

    Args:
        state: What the positions refer to.
        matcher: The row that asks.
        calls: Positions of calls, in order.
        nodes: Positions of nodes, in order.
        sentence: Says why a call and a node belong together.
    """
    if not calls or not nodes:
        return []
    by_node = (_align_executed if state.executed else _align_exported)(state, calls, nodes)
    groups: dict[int, list[int]] = defaultdict(list)
    for node, found in by_node.items():
        for call in found:
            groups[call].append(node)
    return [link for call, its in groups.items() for link in links_of(state, matcher, call, its, sentence)]


def _align_exported(state: MatchState, calls: list[int], nodes: list[int]) -> dict[int, frozenset[int]]:
    """Align the nodes of a file, in its order; those of one fx node as one."""
    first: dict[str, int] = {}
    leader = {
        i: first.setdefault(state.graph.nodes[i].fx_node, i) if state.graph.nodes[i].fx_node else i
        for i in nodes
    }
    found = align(state, calls, [i for i in nodes if leader[i] == i])
    return {i: found[leader[i]] for i in nodes if leader[i] in found}


def _align_executed(state: MatchState, calls: list[int], nodes: list[int]) -> dict[int, frozenset[int]]:
    """Align executed nodes by the most orders of export that can be believed.

    A file that an optimizer has sorted anew numbers its nodes in another order than PyTorch's. Nodes then fit the calls
    that this order gives them much worse than those that the order of execution gives.
    """
    pins: dict[int, frozenset[int]] = defaultdict(frozenset)
    for link in state.links:
        pins[link.node] |= {link.call}
    here = set(calls)
    inside = sorted({*nodes, *(node for node in pins if pins[node] & here)})
    free = [i for i in inside if i not in pins]
    found = plain = align(state, calls, inside, pins=pins, jumps=True)
    limit = BELIEVED * misfit(state, plain, free)
    for first in range(len(state.orders)):
        ordered = _align_along(state, calls, inside, state.orders[first:], pins)
        if misfit(state, ordered, free) <= limit:
            found = ordered
            break
    return {node: found[node] for node in nodes if node in found}


def _align_along(
    state: MatchState,
    calls: list[int],
    nodes: list[int],
    orders: Iterable[ExportOrder],
    pins: Mapping[int, frozenset[int]],
) -> dict[int, frozenset[int]]:
    """Align the nodes whose order of export is known, then all of them in the order of execution."""
    inside, fixed = set(nodes), dict(pins)
    for order in orders:
        found = align(state, calls, [i for i in order if i in inside], pins=fixed, certain=True)
        fixed |= {i: found[i] for i in found if i not in fixed}
    return align(state, calls, nodes, pins=fixed, jumps=True)
