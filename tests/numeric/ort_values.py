"""The values that leave each region of the graph that ONNX Runtime executed, computed by that very graph."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort

from attrib.analysis.lineage.graph import Graph
from attrib.capture.ort.feeds import match_inputs
from attrib.model.region import Region
from tests.numeric.tensors import Values


def leaving(
    regions: Sequence[Region], graph: Graph, used_inside: frozenset[str]
) -> dict[str, tuple[str, ...]]:
    """Names of the values that leave each region: made by one of its nodes, read by a node of another or the caller.

    Args:
        regions: Regions whose lineage, where they have one, ends with positions in `graph`.
        graph: The graph that ran.
        used_inside: Values that subgraphs read.
    """
    by_name = {node.name: node.index for node in graph.nodes}
    region_of = {i: r.id for r in regions for i in _positions(r, by_name)}
    outside = set(graph.outputs) | used_inside
    makers = {name: node.index for node in graph.nodes for name in node.outputs if name}
    found: dict[str, list[str]] = {r.id: [] for r in regions}
    for node in graph.nodes:
        for name in node.inputs:
            if name in makers and region_of.get(makers[name]) != region_of.get(node.index):
                outside.add(name)
    for name, maker in makers.items():
        if name in outside and maker in region_of:
            found[region_of[maker]].append(name)
    return {region: tuple(names) for region, names in found.items()}


def _positions(region: Region, by_name: Mapping[str, int]) -> Sequence[int]:
    """Positions of its nodes; by name for a match that was made without the graphs."""
    return region.lineage[-1] if region.lineage else [by_name[n] for n in region.nodes if n in by_name]


def values_in_subgraphs(model: Any) -> frozenset[str]:
    """Names that the subgraphs of any node read."""
    return frozenset(name for node in model.graph.node for name in _inner_names(node))


def _inner_names(node: Any) -> Iterator[str]:
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            yield from (output.name for output in graph.output)
            for inner in graph.node:
                yield from inner.input
                yield from _inner_names(inner)


def run_with(
    model_file: Path, names: Sequence[str], inputs: Mapping[str, npt.NDArray[Any]]
) -> dict[str, Values]:
    """Run the graph as it is, no optimization, with more outputs.

    Args:
        model_file: The graph with its weights; the one with more outputs is written beside it.
        names: Values to compute.
        inputs: What both engines got, by name.
    """
    model = onnx.load(str(model_file), load_external_data=False)
    there = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in there)
    changed = model_file.with_name(f"{model_file.stem}-with-outputs.onnx")
    changed.write_bytes(model.SerializeToString())
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(str(changed), options, providers=["CPUExecutionProvider"])
    feeds, _ = match_inputs([(i.name, i.type, i.shape) for i in session.get_inputs()], dict(inputs))
    wanted = list(dict.fromkeys(names))
    if not wanted:
        return {}  # an empty list would mean every output
    return {
        name: Values(np.asarray(value))
        for name, value in zip(wanted, session.run(wanted, feeds), strict=True)
        if isinstance(value, np.ndarray)
    }
