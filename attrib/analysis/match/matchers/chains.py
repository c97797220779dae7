"""Layout changes that hang on another module's result, brought together before anything is aligned by order.

Exporters reorder and fold independent views: TorchScript writes the transposes of the key's and the value's projection
in another order than PyTorch ran them. Order alone then swaps them, although each says whose result it changes. So
inside one scope the layout nodes that follow from the result of module M, and the layout calls that PyTorch ran right
after M, form a group of their own.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from attrib.analysis.lineage.components import input_free_values
from attrib.analysis.lineage.representation import producers
from attrib.analysis.match.candidates import Unmatched
from attrib.analysis.match.ops import IDENTITY_OPS, base_op, onnx_role, op_role

Groups = Mapping[tuple[str, str], list[int]]
"""Positions by (scope, module whose result they change)."""


def layout_calls(state: Unmatched) -> Groups:
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


def layout_nodes(state: Unmatched, nodes: Iterable[int]) -> Groups:
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
