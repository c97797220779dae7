"""Calls and nodes of one module, joined by order: an exporter wrote the module, or it stands in the names of the nodes.

Layout changes that hang on another module's result are brought together before anything is aligned by order. Exporters
reorder and fold independent views: TorchScript writes the transposes of the key's and the value's projection in another
order than PyTorch ran them. Order alone then swaps them, although each says whose result it changes. So inside one module
the layout nodes that follow from the result of module M, and the layout calls that PyTorch ran right after M, form a group
of their own.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from attrib.analysis.lineage.components import input_free_values
from attrib.analysis.lineage.graph import GraphNode
from attrib.analysis.lineage.representation import producers
from attrib.analysis.match.alignment.in_order import link_in_order
from attrib.analysis.match.candidates import Link, Matcher, MatchState
from attrib.analysis.match.ops import IDENTITY_OPS, base_op, onnx_role, op_role
from attrib.analysis.match.scoring import links_of, module_phrase
from attrib.model.work import Work

Groups = Mapping[tuple[str, str], list[int]]
"""Positions by (scope, module whose result they change)."""


def leaves(state: MatchState, matcher: Matcher) -> list[Link]:
    """Give a module that runs one op all the nodes of its name."""
    calls = state.open_calls_by_scope()
    # Modules that hold modules of which calls are known, and the root.
    scopes = {call.scope for call in state.calls}
    parents = {scope[:i] for scope in scopes for i, sign in enumerate(scope) if sign == "."} | {""}
    links = []
    for scope, members in state.by_scope(_without_fx_node(state)).items():
        working = [i for i in calls.get(scope, []) if base_op(state.calls[i].op) not in IDENTITY_OPS]
        if len(working) == 1 and scope not in parents:
            links += links_of(state, matcher, working[0], members, _sentence)
    return links


def scope_order(state: MatchState, matcher: Matcher) -> list[Link]:
    """Align calls and nodes inside each module, layout changes of another module's result first."""
    nodes = _without_fx_node(state)
    hanging, ours = layout_nodes(state, nodes), layout_calls(state)
    links = [
        link
        for key, members in hanging.items()
        for link in link_in_order(state, matcher, ours.get(key, []), members, _sentence)
    ]
    state = state.without(links)
    calls = state.open_calls_by_scope()
    taken = {link.node for link in links}
    return links + [
        link
        for scope, members in state.by_scope(i for i in nodes if i not in taken).items()
        for link in link_in_order(state, matcher, calls.get(scope, []), members, _sentence)
    ]


def _without_fx_node(state: MatchState) -> list[int]:
    return [i for i in state.open_nodes if state.scopes[i] is not None and not state.graph.nodes[i].fx_node]


def _sentence(call: Work, node: GraphNode) -> str:
    return f"{module_phrase(call)}: {node.op} follows from {call.op}, in order"


def layout_calls(state: MatchState) -> Groups:
    """Open layout calls that follow a call of another module, with nothing computed in between, by position."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    before: dict[str, str | None] = {}
    last, fresh = "", set(state.open_calls)
    for position, call in enumerate(state.calls):
        if call.scope != last:
            before[call.scope], last = last, call.scope
        source = before.get(call.scope)
        if op_role(call.op) == "compute" and base_op(call.op) not in IDENTITY_OPS:
            before[call.scope] = None
        elif source is not None and op_role(call.op) == "layout" and position in fresh:
            found[call.scope, source].append(position)
    return found


def layout_nodes(state: MatchState, nodes: Iterable[int]) -> Groups:
    """Layout nodes whose only data input is another module's result, directly or through other such nodes."""
    graph, free = state.graph, input_free_values(state.graph)
    makers = producers(graph)
    origin: dict[int, str] = {}
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for position in nodes:
        node, scope = graph.nodes[position], state.scopes[position]
        data = [name for name in node.inputs if name not in free]
        maker = makers.get(data[0], -1) if len(data) == 1 else -1
        if maker < 0 or scope is None or onnx_role(node.op) != "layout":
            continue
        source = origin.get(maker) if state.scopes[maker] == scope else state.scopes[maker]
        if source is not None:
            origin[position] = source
            found[scope, source].append(position)
    return found
