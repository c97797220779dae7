"""`placement.json`: which nodes ONNX Runtime gave to which execution provider, as the session itself says.

A compiled provider (OpenVINO, TensorRT, a plugin) takes a part of the graph and runs it as one node, whose inside no
profile shows. `InferenceSession.get_provider_graph_assignment_info()` (ONNX Runtime 1.24 and later, asked for with the
session entry `session.record_ep_graph_assignment_info`) says what each part holds. One file a side, JSON, for example:

    {"format_version": 1,
     "parts": [{"provider": "OpenVINOExecutionProvider", "nodes": [{"name": "node_add", "op": "Add"}]},
               {"provider": "CPUExecutionProvider", "nodes": [{"name": "node_IsNaN_93", "op": "IsNaN"}]}]}

The names are those of the graph at the moment of the partitioning: what ONNX Runtime rewrote before bears new names.
"""

import msgspec

# Format history
# 1  first version
PLACEMENT_VERSION = 1

PLACEMENT_FILE = "placement.json"
"""Its name in the folder of its side."""


class PlacedNode(msgspec.Struct, frozen=True, kw_only=True):
    """One node of the graph that was partitioned."""

    name: str
    op: str
    domain: str = ""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Nodes that one provider took together: one node for a provider with kernels, a compiled part for others."""

    provider: str
    nodes: tuple[PlacedNode, ...]


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Every part, in the order in which the session lists them."""

    format_version: int = PLACEMENT_VERSION
    parts: tuple[Part, ...] = ()
