"""Nodes that some tool put beside another node: they go with the calls of that node, and take over its evidence."""

from msgspec.structs import replace

from attrib.analysis.match.candidates import Link, Matcher, MatchState
from attrib.analysis.match.ops import onnx_role

CARRIED = frozenset({"cast", "layout"})
"""Roles of nodes that compute nothing."""


def inserted_conversions(state: MatchState, _: Matcher) -> list[Link]:
    """Link what only converts or moves a result, and names no module, to the calls of the node that made it."""
    links = state.links_by_node()
    makers = {name: node.index for node in state.graph.nodes for name in node.outputs if name}
    found: list[Link] = []
    for i in state.open_nodes:
        node = state.graph.nodes[i]
        source = makers.get(node.inputs[0]) if node.inputs else None
        if source is None or state.scopes[i] is not None or onnx_role(node.op) not in CARRIED:
            continue
        said = f"{node.op} names no module, and takes what {state.graph.nodes[source].op} made"
        own = [replace(link, node=i, evidence=said) for link in links.get(source, ())]
        links[i] += own  # so that a cast behind a cast goes the same way
        found += own
    return found


def inserted_layouts(state: MatchState, _: Matcher) -> list[Link]:
    """Give a layout node that ONNX Runtime put around another one the calls of the node inside."""
    links, nodes = state.links_by_node(), state.graph.nodes
    return [
        replace(
            link,
            node=node,
            evidence=f"{nodes[node].op} was put around {nodes[inside].op} by ONNX Runtime",
        )
        for node, inside in state.wrapped.items()
        for link in links.get(inside, ())
    ]
