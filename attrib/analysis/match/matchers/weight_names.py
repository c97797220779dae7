"""Calls found by the weights that a node reads: their names hold the module, whatever else the node's metadata says.

The dynamo exporter folds a batch norm into the convolution before it and keeps the norm's name, and it writes no module
for the nodes of a branch.
"""

from collections import defaultdict
from collections.abc import Container

from attrib.analysis.match.candidates import Link, Matcher, MatchState
from attrib.analysis.match.ops import computes, emits


def weight_names(state: MatchState, matcher: Matcher) -> list[Link]:
    """Link an open call of a module to the nodes that read the module's matrix, unless the graph names their module."""
    calls: dict[str, list[int]] = defaultdict(list)
    for i in state.open_calls:
        if computes(state.calls[i]):
            calls[state.calls[i].scope].append(i)
    found = []
    for scope, nodes in _readers(state, calls.keys()).items():
        call, *others = calls[scope]
        op = state.calls[call].op
        ours = [i for i in nodes if emits(op, state.graph.nodes[i].op)]
        matrices = (
            name
            for i in ours
            for name in state.graph.nodes[i].inputs
            if name in state.graph.values and len(state.graph.values[name].shape) > 1
        )
        # A bias alone says less than a matrix.
        if others or not any(_module_of(state, name, (scope,)) == scope for name in matrices):
            continue
        found += [
            matcher.link(
                call, i, f"{state.graph.nodes[i].op} reads the weights of module {scope}, which runs {op}"
            )
            for i in ours
        ]
    return found


def _readers(state: MatchState, scopes: Container[str]) -> dict[str, list[int]]:
    """Nodes by the module whose weights they read: those that name no module, and those that are linked already."""
    waiting = {i for i in state.open_nodes if state.scopes[i] is not None}
    found: dict[str, list[int]] = defaultdict(list)
    for node in state.graph.nodes:
        if node.index not in waiting:
            for scope in dict.fromkeys(_module_of(state, name, scopes) for name in node.inputs):
                if scope:
                    found[scope].append(node.index)
    return found


def _module_of(state: MatchState, name: str, scopes: Container[str]) -> str:
    """The module that a weight's name says, with or without the name of the exporter's wrapper."""
    if name not in state.graph.constants:
        return ""
    module = name.rpartition(".")[0]
    inner = module.partition(".")[2]
    return next((m for m in (module, inner) if m and m in scopes), "")
