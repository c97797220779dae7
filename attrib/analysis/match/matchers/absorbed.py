"""Calls whose work the export moved into a node that is not their own.

1. `weight_names`: a node that reads the weights of module M does M's work, whatever else its metadata says: the dynamo
   exporter folds a batch norm into the convolution before it and keeps the norm's name, and it writes no module for the
   nodes of a branch.
2. `folded`: a batch norm that has no node of its own was folded into the weights of the call before it, or took that
   call's node over.
3. `followers`: a view, a copy or a dropout without a node of its own passes on what the call before it made, as the watched
   step shows: it goes where that call went.
"""

from collections import defaultdict
from collections.abc import Container
from itertools import pairwise

from attrib.analysis.match.candidates import Link, Unmatched
from attrib.analysis.match.ops import IDENTITY_OPS, base_op, call_role, emits
from attrib.analysis.match.scoring import CONFIDENCE

FOLDABLE = frozenset({"conv1d", "conv2d", "conv3d", "conv_transpose2d", "convolution", "linear"})
"""Calls into whose weights exporters and optimizers fold the batch norm that follows."""


def weight_names(state: Unmatched) -> list[Link]:
    """Link an open call of a module to the nodes that read the module's matrix, unless the graph names their module."""
    calls: dict[str, list[int]] = defaultdict(list)
    for i in state.open_calls:
        if _computes(state, i):
            calls[state.calls[i].scope].append(i)
    found = []
    for scope, nodes in _readers(state, calls.keys()).items():
        call, *others = calls[scope]
        ours = [i for i in nodes if emits(state.calls[call].op, state.graph.nodes[i].op)]
        if others or not any(_reads_matrix(state, i, scope) for i in ours):
            continue
        found += [_weight_link(state, call, i) for i in ours]
    return found


def _weight_link(state: Unmatched, call: int, node: int) -> Link:
    scope, op = state.calls[call].scope, state.graph.nodes[node].op
    said = f"{op} reads the weights of module {scope}, which runs {state.calls[call].op}"
    return Link(
        call=call, node=node, method="weight-name", confidence=CONFIDENCE["weight-name"], evidence=said
    )


def _readers(state: Unmatched, scopes: Container[str]) -> dict[str, list[int]]:
    """Nodes by the module whose weights they read: those that name no module, and those that are linked already."""
    waiting = {i for i in state.open_nodes if state.scopes[i] is not None}
    found: dict[str, list[int]] = defaultdict(list)
    for node in state.graph.nodes:
        if node.index not in waiting:
            for scope in dict.fromkeys(_module_of(state, name, scopes) for name in node.inputs):
                if scope:
                    found[scope].append(node.index)
    return found


def _module_of(state: Unmatched, name: str, scopes: Container[str]) -> str:
    """The module that a weight's name says, with or without the name of the exporter's wrapper."""
    if name not in state.graph.constants:
        return ""
    module = name.rpartition(".")[0]
    inner = module.partition(".")[2]
    return next((m for m in (module, inner) if m and m in scopes), "")


def _reads_matrix(state: Unmatched, node: int, scope: str) -> bool:
    """Whether the node reads a weight of the module that is no vector (a bias alone says less)."""
    return any(
        len(state.graph.values[name].shape) > 1
        for name in state.graph.nodes[node].inputs
        if name in state.graph.values and _module_of(state, name, (scope,)) == scope
    )


def folded(state: Unmatched) -> list[Link]:
    """Link a batch norm and the call before it to the nodes that one of them has, where the other has none."""
    nodes: dict[int, list[int]] = defaultdict(list)
    for link in state.links:
        nodes[link.call].append(link.node)
    waiting = set(state.open_calls)
    computing = [i for i in range(len(state.calls)) if _computes(state, i)]
    found = []
    for before, norm in pairwise(computing):
        pair = base_op(state.calls[before].op) in FOLDABLE and base_op(state.calls[norm].op) == "batch_norm"
        if pair and len(waiting & {before, norm}) == 1:
            alone, kept = (before, norm) if before in waiting else (norm, before)
            found += [_folded_link(state, alone, kept, i) for i in nodes[kept]]
    return found


def _folded_link(state: Unmatched, alone: int, kept: int, node: int) -> Link:
    op = state.graph.nodes[node].op
    said = f"{state.calls[alone].op} and {state.calls[kept].op} are one {op}: the export folded the norm into its weights"
    return Link(call=alone, node=node, method="folded", confidence=CONFIDENCE["folded"], evidence=said)


def followers(state: Unmatched) -> list[Link]:
    """Link the open calls that pass on one result to the nodes that make it."""
    nodes: dict[int, list[int]] = defaultdict(list)
    for link in state.links:
        nodes[link.call].append(link.node)
    found = []
    for call in state.open_calls:
        sources = {above for above, _ in state.flow.get(call, ())}
        if len(sources) != 1 or _computes(state, call):
            continue
        (source,) = sources
        said = (
            f"{state.calls[call].op} passes on what {state.calls[source].op} made, and the export left it out"
        )
        for node in nodes.get(source, ()):
            nodes[call].append(node)
            found.append(
                Link(call=call, node=node, method="data-flow", confidence=CONFIDENCE["folded"], evidence=said)
            )
    return found


def _computes(state: Unmatched, call: int) -> bool:
    work = state.calls[call]
    return call_role(work) == "compute" and base_op(work.op) not in IDENTITY_OPS
