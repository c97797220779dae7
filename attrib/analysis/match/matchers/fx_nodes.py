"""Calls and nodes of one module joined by the fx nodes whose names the exporter wrote into the graph."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from difflib import SequenceMatcher

from attrib.analysis.lineage.graph import GraphNode
from attrib.analysis.match.candidates import Link, Matcher, MatchState
from attrib.analysis.match.ops import base_op
from attrib.analysis.match.scoring import links_of, module_phrase
from attrib.model.work import Work


def fx_nodes(state: MatchState, matcher: Matcher) -> list[Link]:
    """Join by module, op and order of the fx nodes, where both sides of a module hold the same ops."""
    return _by_fx_nodes(state, matcher, complete=True)


def fx_runs(state: MatchState, matcher: Matcher) -> list[Link]:
    """Join by the longest common runs of ops, where the export left some calls of a module out."""
    return _by_fx_nodes(state, matcher, complete=False)


def _by_fx_nodes(state: MatchState, matcher: Matcher, *, complete: bool) -> list[Link]:
    calls = state.open_calls_by_scope()

    def same_fx_node(call: Work, node: GraphNode) -> str:
        return f"{module_phrase(call)}: fx node {node.fx_node} ({node.fx_target}) is {call.op}, in order"

    links = []
    named = [i for i in state.open_nodes if state.graph.nodes[i].fx_node]
    for scope, members in state.by_scope(named).items():
        groups: dict[str, list[int]] = {}
        for i in members:
            groups.setdefault(state.graph.nodes[i].fx_node, []).append(i)
        ours, fx = calls.get(scope, []), list(groups.values())
        our_ops = [base_op(state.calls[i].op) for i in ours]
        fx_ops = [base_op(state.graph.nodes[group[0]].fx_target) for group in fx]
        if complete and Counter(our_ops) != Counter(fx_ops):
            continue
        for a, b in _pair_by_op(our_ops, fx_ops):
            links += links_of(state, matcher, ours[a], fx[b], same_fx_node)
    return links


def _pair_by_op(ours: Sequence[str], theirs: Sequence[str]) -> list[tuple[int, int]]:
    """Pair equal ops: the n-th with the n-th if both sides hold the same ops, else by the longest common runs."""
    if Counter(ours) == Counter(theirs):
        slots: dict[str, list[int]] = defaultdict(list)
        for i, op in enumerate(theirs):
            slots[op].append(i)
        taken = {op: iter(places) for op, places in slots.items()}
        return [(i, next(taken[op])) for i, op in enumerate(ours)]
    blocks = SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
    return [(block.a + k, block.b + k) for block in blocks for k in range(block.size)]
