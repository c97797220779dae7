"""The matchers, in the order in which they are tried: each sees only what the ones before it left open.

1. `fx_nodes`: the exporter wrote the module scope and the fx node; inside one scope, fx nodes and calls of one op are in
   the same order.
2. `weight_names`: the node reads the weights of a module, and names no other one.
3. `scope_order`: the exporter wrote the module scope only (in a file without metadata, or in a profile without a file, the
   names of the nodes may hold it); inside one scope, nodes and calls are aligned in order, by what an exporter writes for
   an op.
4. `shape_order`: nothing but order, ops and shapes over the whole graph.
5. `folded`: a batch norm without a node was folded into its neighbour's.
6. `wrapped`: layout nodes that ONNX Runtime put around another node go where that one went.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher

from attrib.lineage.graph import GraphNode
from attrib.match.absorbed import folded, weight_names
from attrib.match.align import align, misfit
from attrib.match.chains import layout_calls, layout_nodes
from attrib.match.from_profile import Chain
from attrib.match.links import Link, Matcher, Unmatched, compared, without
from attrib.match.ops import IDENTITY_OPS, base_op
from attrib.model.region import Method
from attrib.model.work import Work

FX_CONFIDENCE = 0.99
SCOPE_CONFIDENCE = 0.9
SHAPE_CONFIDENCE = 0.5
BELIEVED = 1.8
"""How much worse nodes may fit their calls by a chain of known order than by that of execution for it to be believed. Orders
of export gave 0.9 to 1.7 times the misfit on BERT (both exporters, all levels), those of files sorted anew up to 2.3."""
CONTRADICTION = 0.5
"""Factor on the confidence of a link whose two sides read tensors of different sizes."""


def fx_nodes(state: Unmatched) -> list[Link]:
    """Case 1: join by module scope, op and order of the fx nodes."""
    calls = _by_scope(state.open_calls, (state.calls[i].scope for i in state.open_calls))
    nodes = [i for i in state.open_nodes if state.graph.nodes[i].fx_node and state.scopes[i] is not None]
    links = []
    for scope, members in _by_scope(nodes, (state.scopes[i] for i in nodes)).items():
        groups: dict[str, list[int]] = {}
        for i in members:
            groups.setdefault(state.graph.nodes[i].fx_node, []).append(i)
        ours = calls.get(scope, [])
        pairs = _pair_by_op(
            [base_op(state.calls[i].op) for i in ours],
            [base_op(state.graph.nodes[g[0]].fx_target) for g in groups.values()],
        )
        fx = list(groups.values())
        links += [link for a, b in pairs for link in _links(state, ours[a], fx[b], "fx-node", FX_CONFIDENCE)]
    return links


def scope_order(state: Unmatched) -> list[Link]:
    """Case 3: align calls and nodes inside each module scope, layout changes of another module's result first."""
    nodes = [i for i in state.open_nodes if state.scopes[i] is not None and not state.graph.nodes[i].fx_node]
    hanging, ours = layout_nodes(state, nodes), layout_calls(state)
    links = [
        link for key, members in hanging.items() for link in _in_scope(state, ours.get(key, []), members)
    ]
    state = without(state, links)
    calls = _by_scope(state.open_calls, (state.calls[i].scope for i in state.open_calls))
    taken = {link.node for link in links}
    rest = [i for i in nodes if i not in taken]
    return links + [
        link
        for scope, members in _by_scope(rest, (state.scopes[i] for i in rest)).items()
        for link in _in_scope(state, calls.get(scope, []), members)
    ]


def _in_scope(state: Unmatched, calls: list[int], nodes: list[int]) -> list[Link]:
    return _aligned(state, calls, nodes, "scope-order", SCOPE_CONFIDENCE)


def shape_order(state: Unmatched) -> list[Link]:
    """Case 4: align what has no scope with what is left, over the whole graph."""
    nodes = [i for i in state.open_nodes if state.scopes[i] is None]
    calls = list(range(len(state.calls))) if state.executed else list(state.open_calls)
    return _aligned(state, calls, nodes, "shape-order", SHAPE_CONFIDENCE)


def wrapped(state: Unmatched) -> list[Link]:
    """Case 6: give a layout node the calls of the node that it was put around."""
    calls_of: dict[int, list[Link]] = defaultdict(list)
    for link in state.links:
        calls_of[link.node].append(link)
    return [
        Link(
            call=link.call,
            node=node,
            method=link.method,
            confidence=link.confidence,
            evidence=f"{state.graph.nodes[node].op} was put around {state.graph.nodes[inside].op} by ONNX Runtime",
        )
        for node, inside in state.wrapped.items()
        for link in calls_of.get(inside, ())
    ]


MATCHERS: tuple[Matcher, ...] = (fx_nodes, weight_names, scope_order, shape_order, folded, wrapped)


def _by_scope(items: Iterable[int], scopes: Iterable[str | None]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for item, scope in zip(items, scopes, strict=True):
        if scope is not None:
            found[scope].append(item)
    return found


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


def _is_leaf(state: Unmatched, scope: str) -> bool:
    return bool(scope) and not any(call.scope.startswith(f"{scope}.") for call in state.calls)


def _aligned(
    state: Unmatched, calls: list[int], nodes: list[int], method: Method, confidence: float
) -> list[Link]:
    if not calls or not nodes:
        return []
    working = [i for i in calls if base_op(state.calls[i].op) not in IDENTITY_OPS]
    if method == "scope-order" and len(working) == 1 and _is_leaf(state, state.calls[working[0]].scope):
        groups = {working[0]: nodes}
    else:
        groups = _by_call(
            _in_executed_order(state, calls, nodes) if state.executed else _as_exported(state, calls, nodes)
        )
    return [link for call, group in groups.items() for link in _links(state, call, group, method, confidence)]


def _as_exported(state: Unmatched, calls: list[int], nodes: list[int]) -> dict[int, frozenset[int]]:
    """Align the nodes of a file, in its order; those of one fx node as one."""
    first: dict[str, int] = {}
    leader = {
        i: first.setdefault(state.graph.nodes[i].fx_node, i) if state.graph.nodes[i].fx_node else i
        for i in nodes
    }
    found = align(state, calls, [i for i in nodes if leader[i] == i])
    return {i: found[leader[i]] for i in nodes if leader[i] in found}


def _by_call(calls_of: Mapping[int, Iterable[int]]) -> dict[int, list[int]]:
    groups: dict[int, list[int]] = defaultdict(list)
    for node, calls in calls_of.items():
        for call in calls:
            groups[call].append(node)
    return groups


def _in_executed_order(state: Unmatched, calls: list[int], nodes: list[int]) -> dict[int, frozenset[int]]:
    """Align executed nodes by the most chains of known order that can be believed.

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
    for first in range(len(state.chains)):
        ordered = _along_chains(state, calls, inside, state.chains[first:], pins)
        if misfit(state, ordered, free) <= limit:
            found = ordered
            break
    return {node: found[node] for node in nodes if node in found}


def _along_chains(
    state: Unmatched,
    calls: list[int],
    nodes: list[int],
    chains: Iterable[Chain],
    pins: Mapping[int, frozenset[int]],
) -> dict[int, frozenset[int]]:
    """First the nodes whose order of export is known, then all of them in the order of execution."""
    inside, fixed = set(nodes), dict(pins)
    for chain in chains:
        found = align(state, calls, [i for i in chain if i in inside], pins=fixed, certain=True)
        fixed |= {i: found[i] for i in found if i not in fixed}
    return align(state, calls, nodes, pins=fixed, jumps=True)


def _links(state: Unmatched, call: int, group: list[int], method: Method, confidence: float) -> list[Link]:
    ours = state.calls[call]
    nodes = [state.graph.nodes[i] for i in group]
    agree, said = compared(ours, state.graph, nodes)
    trust = confidence * (CONTRADICTION if agree is False else 1.0)
    return [
        Link(
            call=call,
            node=i,
            method=method,
            confidence=trust,
            evidence="; ".join(filter(None, (_evidence(method, ours, node), said))),
        )
        for i, node in zip(group, nodes, strict=True)
    ]


def _evidence(method: Method, call: Work, node: GraphNode) -> str:
    where = f"module {call.scope or '(root)'}"
    if method == "fx-node":
        return f"{where}: fx node {node.fx_node} ({node.fx_target}) is {call.op}, in order"
    if method == "scope-order":
        return f"{where}: {node.op} follows from {call.op}, in order"
    return f"{node.op} follows from {call.op} by order and shape; the graph names no module"
