"""Which provider took which nodes, as a session says it, and the graph whose nodes those are. Runs in a worker.

ONNX Runtime gives nodes to providers after the optimizations of level `basic` (where the session's level allows them),
and before all others; what a provider compiles, no later pass sees. So the graph that the names of a placement belong to
is the one that a session with the CPU provider alone makes at that level: its passes run the same way whichever provider
comes after them. That is checked, name by name, before such a graph is kept.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from attrib.model.execution_providers import CPU_PROVIDER
from attrib.model.placement import Part, PlacedNode, Placement

RECORD = "session.record_ep_graph_assignment_info"
"""Session entry that asks for it; versions that do not know it ignore it."""

_SINCE = "1.24"


def placement_of(session: Any) -> tuple[Placement | None, str]:
    """Which provider took which nodes, as the session says it; None with the reason where it says nothing."""
    tell = getattr(session, "get_provider_graph_assignment_info", None)
    if tell is None:
        return None, f"ONNX Runtime tells which provider took which nodes since version {_SINCE}"
    try:
        parts = []
        for part in tell():
            nodes = (PlacedNode(name=n.name, op=n.op_type, domain=n.domain) for n in part.get_nodes())
            parts.append(Part(provider=part.ep_name, nodes=tuple(nodes)))
    except Exception as error:  # noqa: BLE001  (a capture is worth having without it)
        return None, f"ONNX Runtime did not tell which provider took which nodes: {error}"
    return Placement(parts=tuple(parts)), ""


def write_placement(placement: Placement, file: Path) -> None:
    """Write a placement as the trace directory keeps it."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(placement), indent=1) + b"\n")


def compiles(placement: Placement | None) -> bool:
    """Whether a provider took several nodes as one: it compiled them."""
    return placement is not None and any(
        part.provider != CPU_PROVIDER and len(part.nodes) > 1 for part in placement.parts
    )


def partitioned_level(level: str) -> str:
    """The level at which a session makes the graph that another one of this level partitions."""
    return "disabled" if level == "disabled" else "basic"


def differing_names(placement: Placement, graph: Mapping[str, str]) -> int:
    """Count the nodes of a placement that a graph (node name -> op type) does not have under their name."""
    return sum(graph.get(node.name) != node.op for part in placement.parts for node in part.nodes)
