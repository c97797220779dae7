"""Times of the executed nodes for model-explorer, which colors the nodes of a graph by them.

The format is the one of its `node_data_builder`: `results` by name of a node's result or by the node's own, and a gradient.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from attrib.model.provenance import RegionTrail

_NS_PER_MS = 1_000_000
_GRADIENT = ({"stop": 0, "bgColor": "white"}, {"stop": 1, "bgColor": "orange"})


def to_node_data(trails: Iterable[RegionTrail], results: Mapping[str, Sequence[str]]) -> bytes:
    """Milliseconds of every executed node.

    Args:
        trails: What is behind each region, whole.
        results: Names of the results of each node of the graph that ran, by its name.
    """
    found = {
        (results.get(run.id) or (run.id,))[0]: {"value": run.ns / _NS_PER_MS}
        for trail in trails
        for run in trail.ran
    }
    return msgspec.json.encode({"results": found, "gradient": _GRADIENT}) + b"\n"
