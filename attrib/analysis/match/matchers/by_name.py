"""Links of executed nodes by their names, where the graph that ran was not saved but the exported one was.

ONNX Runtime keeps the name of a node that it leaves alone, and writes the name of a member into that of most nodes that
it makes (see `from_profile`). So the calls of an exported node are those of the executed node that carries its name.
Nodes with a name of ONNX Runtime's own are left to the other matchers, which then have these links to go by.
"""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from attrib.analysis.lineage.components import Component, unique_names
from attrib.analysis.lineage.graph import Graph
from attrib.analysis.match.candidates import Link
from attrib.analysis.match.from_profile import name_of
from attrib.model.work import Work


def links_by_name(
    links: Iterable[Link], parts: Sequence[Component], last: Graph, nodes: Sequence[Work]
) -> list[Link]:
    """Link calls to executed nodes.

    Args:
        links: Calls and nodes of the exported graph.
        parts: Components of the chain that was captured.
        last: Its last graph, the one that ONNX Runtime loaded.
        nodes: The executed nodes.

    Returns:
        Links whose `node` is the position in `nodes`.
    """
    part_of = {i: k for k, part in enumerate(parts) for i in part.exported}
    by_part: dict[int, list[Link]] = {}
    for link in links:
        by_part.setdefault(part_of[link.node], []).append(link)
    named = unique_names(last)
    part_of_last = {i: k for k, part in enumerate(parts) for i in part.optimized}
    found = []
    for position, node in enumerate(nodes):
        member = name_of(node).member
        if member in named:
            links_of_part = by_part.get(part_of_last[named[member]], ())
            by_call = {link.call: link for link in links_of_part}
            found += [
                replace(
                    link,
                    node=position,
                    evidence=f"{link.evidence}; the executed node carries the name {member}",
                )
                for link in by_call.values()
            ]
    return found
