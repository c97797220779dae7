"""Calls and nodes that draw random numbers: their numbers never agree, so that only names and order can match them.

What an exporter writes to bring drawn numbers to another mean and deviation, or to a type, goes with the call: the nodes
after the draw that read nothing but drawn numbers and constants, each op once, and only what exporters write for that call.
"""

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence

from attrib.analysis.lineage.components import draws, input_free_values
from attrib.analysis.match.candidates import Link, Matcher, MatchState
from attrib.analysis.match.ops import DRAWS, base_op, emits
from attrib.analysis.match.scoring import module_phrase


def random_draws(state: MatchState, matcher: Matcher) -> list[Link]:
    """Link the draws of each module in order, or of the whole graph where modules are not known, if there are as many."""
    calls = [i for i in state.open_calls if base_op(state.calls[i].op) in DRAWS]
    nodes = [i for i in state.open_nodes if draws(state.graph.nodes[i])]
    if "modules" not in matcher.needs:
        return _in_order(state, matcher, calls, nodes)
    links = []
    for scope, ours in state.by_scope(nodes).items():
        links += _in_order(state, matcher, [i for i in calls if state.calls[i].scope == scope], ours)
    return links


def _in_order(state: MatchState, matcher: Matcher, calls: Sequence[int], nodes: Sequence[int]) -> list[Link]:
    """Link the n-th call to the n-th node, if all fit; a dropout that has no node does not train."""
    ops = {state.graph.nodes[i].op for i in nodes}
    wanted = [(i, DRAWS[base_op(state.calls[i].op)]) for i in calls]
    drawing = [(i, kinds) for i, kinds in wanted if kinds & ops or "Dropout" not in kinds]
    if len(drawing) != len(nodes):
        return []
    if not all(state.graph.nodes[node].op in kinds for (_, kinds), node in zip(drawing, nodes, strict=True)):
        return []
    links, free, readers = [], input_free_values(state.graph), _readers(state)
    for (call, _), node in zip(drawing, nodes, strict=True):
        work = state.calls[call]
        for position in (node, *_after(state, work.op, node, free, readers)):
            said = f"{module_phrase(work)}: {state.graph.nodes[position].op} follows from {work.op}, in order of the draws"
            links.append(matcher.link(call, position, said))
    return links


def _readers(state: MatchState) -> dict[str, list[int]]:
    """The open nodes that read each value."""
    found: dict[str, list[int]] = defaultdict(list)
    for position in state.open_nodes:
        for name in state.graph.nodes[position].inputs:
            found[name].append(position)
    return found


def _after(
    state: MatchState, call_op: str, node: int, free: Container[str], readers: Mapping[str, Sequence[int]]
) -> list[int]:
    """The open nodes that only turn what a node draws into what the call returns."""
    nodes = state.graph.nodes
    drawn, ops, found = set(nodes[node].outputs), {nodes[node].op}, list[int]()
    waiting = list(nodes[node].outputs)
    while waiting:
        for position in readers.get(waiting.pop(), ()):
            after = nodes[position]
            if after.op in ops or not emits(call_op, after.op):
                continue
            if all(name in drawn or name in free for name in after.inputs):
                drawn.update(after.outputs)
                waiting += after.outputs
                ops.add(after.op)
                found.append(position)
    return found
