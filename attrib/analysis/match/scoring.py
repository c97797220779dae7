"""Making links: their confidence, what the tensors of both sides say to it, and the sentence that says why."""

from collections.abc import Sequence

from attrib.analysis.lineage.graph import GraphNode
from attrib.analysis.match.candidates import Link, Unmatched, compared
from attrib.model.region import Method
from attrib.model.work import Work

CONFIDENCE: dict[Method, float] = {
    "fx-node": 0.99,
    "data-flow": 0.97,
    "weight-name": 0.9,
    "scope-order": 0.9,
    "folded": 0.8,
    "shape-order": 0.5,
}
"""How much is put on each kind of evidence. Labels that order the methods, not measured rates."""

CONTRADICTION = 0.5
"""Factor on the confidence of a link whose two sides read tensors of different sizes or types."""


def links_of(state: Unmatched, call: int, group: Sequence[int], method: Method) -> list[Link]:
    """Link a call to a group of nodes."""
    ours = state.calls[call]
    nodes = [state.graph.nodes[i] for i in group]
    agree, said = compared(ours, state.graph, nodes)
    trust = CONFIDENCE[method] * (CONTRADICTION if agree is False else 1.0)
    return [
        Link(
            call=call,
            node=i,
            method=method,
            confidence=trust,
            evidence="; ".join(filter(None, (_sentence(method, ours, node), said))),
        )
        for i, node in zip(group, nodes, strict=True)
    ]


def _sentence(method: Method, call: Work, node: GraphNode) -> str:
    where = f"module {call.scope or '(root)'}"
    if method == "fx-node":
        return f"{where}: fx node {node.fx_node} ({node.fx_target}) is {call.op}, in order"
    if method == "data-flow":
        return f"{where}: {node.op} reads what {call.op} reads"
    if method == "scope-order":
        return f"{where}: {node.op} follows from {call.op}, in order"
    return f"{node.op} follows from {call.op} by order and shape; the graph names no module"
