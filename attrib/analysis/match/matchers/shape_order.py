"""What no module name leads to: the whole graph, aligned by order, ops and the sizes of all tensors."""

from attrib.analysis.lineage.graph import GraphNode
from attrib.analysis.match.alignment.in_order import link_in_order
from attrib.analysis.match.candidates import Link, Matcher, MatchState
from attrib.model.work import Work


def shape_order(state: MatchState, matcher: Matcher) -> list[Link]:
    """Align what has no module with what is left, over the whole graph."""
    nodes = [i for i in state.open_nodes if state.scopes[i] is None]
    if state.executed:
        return link_in_order(state, matcher, list(range(len(state.calls))), nodes, _sentence)
    found = link_in_order(state, matcher, list(state.open_calls), nodes, _sentence)
    # Sizes are all that this match rests on: what they contradict is no match.
    return [link for link in found if link.confidence == matcher.confidence]


def _sentence(call: Work, node: GraphNode) -> str:
    return f"{node.op} follows from {call.op} by order and shape; the graph names no module"
