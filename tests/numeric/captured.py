"""Both sides' numbers of one capture, and the verdict on each of its regions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import torch

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.lineage.reader import graph_from_bytes
from attrib.analysis.match.ops import role
from attrib.api import Analysis, load
from attrib.capture.session.commands import recipe_of
from attrib.capture.workload.build import build
from attrib.capture.workload.sources import resolve_source
from attrib.model.capture_options import CaptureOptions
from attrib.model.manifest import OPTIMIZED
from attrib.model.region import Region
from attrib.model.work import Work
from attrib.rewrite.registry import lowest_precision
from tests.numeric.ort_values import leaving, run_with, values_in_subgraphs
from tests.numeric.tensors import Values
from tests.numeric.torch_values import Call, calls_of
from tests.numeric.verdicts import Step, Verdict, members_of, verdict

TOLERANCE = {"fp32": 1e-3, "fp16": 2e-2, "bf16": 6e-2, "int8": 0.15}
"""By the roughest precision that takes part. Unrelated tensors differ by more than their root mean square."""
APPROXIMATED = {"optimum-o3": 2e-2, "optimum-o4": 2e-2}
"""By rewrite: these replace Gelu by its tanh approximation."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """Both sides' numbers of one capture.

    Attributes:
        analysis: The capture.
        step: What PyTorch computed.
        values: What leaves each region in ONNX Runtime, by region and value name.
        moved: Values of nodes that compute nothing: they hold the numbers that such a node was given.
    """

    analysis: Analysis
    step: Step
    values: dict[str, dict[str, Values]]
    moved: frozenset[str]

    @property
    def matched(self) -> list[Region]:
        """Regions with work on both sides."""
        return [region for region in self.analysis.regions if region.origin == "both"]

    @cached_property
    def work(self) -> dict[str, Work]:
        """PyTorch's work by id."""
        return {work.id: work for work in self.analysis.partitions["torch"].work}

    def verdict(self, region: Region) -> Verdict:
        """What the numbers say of one region."""
        calls = [self.work[call] for call in region.calls]
        return verdict(region, calls, self.values.get(region.id, {}), self.moved, self.step)

    def verdicts(self) -> list[Verdict]:
        """The verdict on every matched region."""
        return [self.verdict(region) for region in self.matched]


def numbers_of(
    options: CaptureOptions, trace_dir: Path, models: Path, found: Analysis | None = None
) -> Numbers:
    """Compute both sides' numbers.

    Args:
        options: What was captured: the model is built again from it.
        trace_dir: The capture.
        models: Where `--save-models` put the graphs with their weights.
        found: Another analysis of the same run, e.g. without its graphs; None for the capture's own.
    """
    own = load(trace_dir)
    analysis = found or own
    model_file = models / Path(OPTIMIZED).name
    model = onnx.load(str(model_file), load_external_data=False)
    graph = graph_from_bytes(own.directory.graphs()[OPTIMIZED], OPTIMIZED)
    names = _leaving_names(analysis, graph, model)
    with np.load(trace_dir / "inputs.npz") as file:
        inputs = dict(file)
    values = run_with(model_file, [n for found in names.values() for n in found], inputs)
    calls = _calls(options)
    return Numbers(
        analysis,
        Step(calls, _tolerance(options), members_of(analysis.partitions["torch"].work, calls)),
        {region: {n: values[n] for n in found if n in values} for region, found in names.items()},
        frozenset(name for node in graph.nodes if _moves(node) for name in node.outputs),
    )


def _tolerance(options: CaptureOptions) -> float:
    precision = lowest_precision(options.precision, options.optimize)
    return max(TOLERANCE[precision], *(APPROXIMATED.get(name, 0.0) for name in ("", *options.optimize)))


def _moves(node: GraphNode) -> bool:
    return role(Work(id=node.name, engine="onnxruntime", op=node.op)) in ("layout", "cast", "quantize")


def _leaving_names(analysis: Analysis, graph: Graph, model: onnx.ModelProto) -> dict[str, list[str]]:
    """Values of the main graph that leave each matched region: what a subgraph computes cannot be an output."""
    main = {name for node in model.graph.node for name in node.output}
    matched: Sequence[Region] = [r for r in analysis.regions if r.origin == "both"]
    found = leaving(matched, graph, values_in_subgraphs(model))
    return {region: [name for name in names if name in main] for region, names in found.items()}


def _calls(options: CaptureOptions) -> list[Call]:
    built = build(recipe_of(options, resolve_source(options)))
    lower = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(options.precision)
    with torch.autocast(options.device, dtype=lower, enabled=options.autocast):
        return calls_of(built.module, built.inputs, built.step)
