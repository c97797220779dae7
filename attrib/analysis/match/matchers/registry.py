"""The matchers, in the order in which they are tried: each sees only what the ones before it left open.

1. `fx_nodes`: the exporter wrote the module scope and the fx node; inside one scope, fx nodes and calls of one op are in
   the same order, if there are as many of each.
2. `weight_names`: the node reads the weights of a module, and names no other one.
3. `leaves`: the exporter wrote the module scope only (in a file without metadata, or in a profile without a file, the names
   of the nodes may hold it), and that module runs one op.
4. `data_flow`: nodes and calls of a module that read the same results.
5. `fx_runs`: as 1, where the export left calls out.
6. `scope_order`: inside one scope, nodes and calls are aligned in order, by what an exporter writes for an op.
7. `carried`: a cast or layout change that names no module, in a graph that names the others, goes with the node whose
   result it takes: some tool put it in.
8. `shape_order`: nothing but order, ops and shapes over the whole graph.
9. `folded`: a batch norm without a node was folded into its neighbor's.
10. `followers`: a view, copy or dropout without a node goes with the call whose result it passes on.
11. `wrapped`: layout nodes that ONNX Runtime put around another node go where that one went.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher

from msgspec.structs import replace

from attrib.analysis.match.candidates import Link, Matcher, Unmatched, without
from attrib.analysis.match.from_profile import Chain
from attrib.analysis.match.matchers.absorbed import folded, followers, weight_names
from attrib.analysis.match.matchers.alignment import align, misfit
from attrib.analysis.match.matchers.chains import layout_calls, layout_nodes
from attrib.analysis.match.matchers.data_flow import data_flow
from attrib.analysis.match.ops import IDENTITY_OPS, base_op, onnx_role
from attrib.analysis.match.scoring import CONFIDENCE, links_of
from attrib.model.region import Method

BELIEVED = 1.8
"""How much worse nodes may fit their calls by a chain of known order than by that of execution for it to be believed. Orders
of export gave 0.9 to 1.7 times the misfit on BERT (both exporters, all levels), those of files sorted anew up to 2.3."""


def fx_nodes(state: Unmatched) -> list[Link]:
    """Case 1: join by module scope, op and order of the fx nodes, where both sides hold the same ops."""
    return _by_fx_nodes(state, complete=True)


def fx_runs(state: Unmatched) -> list[Link]:
    """Case 5: join by the longest common runs of ops, where the export left some out."""
    return _by_fx_nodes(state, complete=False)


def _by_fx_nodes(state: Unmatched, *, complete: bool) -> list[Link]:
    calls = _by_scope(state.open_calls, (state.calls[i].scope for i in state.open_calls))
    nodes = [i for i in state.open_nodes if state.graph.nodes[i].fx_node and state.scopes[i] is not None]
    links = []
    for scope, members in _by_scope(nodes, (state.scopes[i] for i in nodes)).items():
        groups: dict[str, list[int]] = {}
        for i in members:
            groups.setdefault(state.graph.nodes[i].fx_node, []).append(i)
        ours, fx = calls.get(scope, []), list(groups.values())
        our_ops = [base_op(state.calls[i].op) for i in ours]
        fx_ops = [base_op(state.graph.nodes[group[0]].fx_target) for group in fx]
        if complete and Counter(our_ops) != Counter(fx_ops):
            continue
        pairs = _pair_by_op(our_ops, fx_ops)
        links += [link for a, b in pairs for link in links_of(state, ours[a], fx[b], "fx-node")]
    return links


def leaves(state: Unmatched) -> list[Link]:
    """Case 3: a module that runs one op has all the nodes of its name."""
    calls = _by_scope(state.open_calls, (state.calls[i].scope for i in state.open_calls))
    nodes, parents = _unnamed_by_fx(state), _parents(state)
    links = []
    for scope, members in _by_scope(nodes, (state.scopes[i] for i in nodes)).items():
        working = [i for i in calls.get(scope, []) if base_op(state.calls[i].op) not in IDENTITY_OPS]
        if len(working) == 1 and scope not in parents:
            links += links_of(state, working[0], members, "scope-order")
    return links


def _unnamed_by_fx(state: Unmatched) -> list[int]:
    return [i for i in state.open_nodes if state.scopes[i] is not None and not state.graph.nodes[i].fx_node]


def scope_order(state: Unmatched) -> list[Link]:
    """Case 6: align calls and nodes inside each module scope, layout changes of another module's result first."""
    nodes = _unnamed_by_fx(state)
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
    return _aligned(state, calls, nodes, "scope-order")


def carried(state: Unmatched) -> list[Link]:
    """Case 7: link what only converts or moves a result, and names no module, to the calls of the node that made it."""
    calls_of: dict[int, list[Link]] = defaultdict(list)
    for link in state.links:
        calls_of[link.node].append(link)
    makers = {name: node.index for node in state.graph.nodes for name in node.outputs if name}
    found: list[Link] = []
    for i in state.open_nodes:
        node = state.graph.nodes[i]
        source = makers.get(node.inputs[0]) if node.inputs else None
        if source is None or state.scopes[i] is not None or onnx_role(node.op) not in CARRIED:
            continue
        said = f"{node.op} names no module, and takes what {state.graph.nodes[source].op} made"
        own = [replace(link, node=i, evidence=said) for link in calls_of.get(source, ())]
        calls_of[i] += own
        found += own
    return found


CARRIED = frozenset({"cast", "layout"})
"""Roles of nodes that compute nothing."""


def shape_order(state: Unmatched) -> list[Link]:
    """Case 8: align what has no scope with what is left, over the whole graph."""
    nodes = [i for i in state.open_nodes if state.scopes[i] is None]
    if state.executed:
        return _aligned(state, list(range(len(state.calls))), nodes, "shape-order")
    found = _aligned(state, list(state.open_calls), nodes, "shape-order")
    # Sizes are all that this match rests on: what they contradict is no match.
    return [link for link in found if link.confidence == CONFIDENCE["shape-order"]]


def wrapped(state: Unmatched) -> list[Link]:
    """Case 11: give a layout node the calls of the node that it was put around."""
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


MATCHERS: tuple[Matcher, ...] = (
    fx_nodes, weight_names, leaves, data_flow, fx_runs, scope_order, carried, shape_order, folded, followers,
    wrapped,
)  # fmt: skip


MATCHERS_OF_CONSTANTS: tuple[Matcher, ...] = (fx_nodes, weight_names, leaves, fx_runs, scope_order)
"""The same for calls and nodes that depend on no input of the model: sizes and sources say nothing of them."""


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


def _parents(state: Unmatched) -> frozenset[str]:
    """Modules that hold modules of which calls are known, and the root."""
    scopes = {call.scope for call in state.calls}
    return frozenset(scope[:i] for scope in scopes for i, sign in enumerate(scope) if sign == ".") | {""}


def _aligned(state: Unmatched, calls: list[int], nodes: list[int], method: Method) -> list[Link]:
    if not calls or not nodes:
        return []
    groups = _by_call(
        _in_executed_order(state, calls, nodes) if state.executed else _as_exported(state, calls, nodes)
    )
    return [link for call, group in groups.items() for link in links_of(state, call, group, method)]


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
