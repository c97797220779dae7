"""`attrib verify --ablate NODE|REGION`: what a part of the graph costs in plain steps, measured by taking it out.

The profile gives every node a time; a region that covers several calls in one node, or whose recording costs much, is
worth a second look without the profiler. The saving is what the nodes cost in a plain step: their own time, what the
executor does around them, and what they do to the caches of others.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from attrib.analysis.lineage.graph import Graph
from attrib.analysis.lineage.reader import graph_from_bytes
from attrib.analysis.match.executed import executed_by_node
from attrib.api import Analysis
from attrib.capture.bench.ablation import Cut
from attrib.errors import AttribError, UsageError
from attrib.model.capture_options import CaptureOptions
from attrib.model.experiment import ExperimentResult, Prediction
from attrib.model.region import Region
from attrib.units import format_interval
from attrib.verify.bench_like import BenchLike
from attrib.verify.measuring import Setup, judge
from attrib.wording import counted

PREFIX = "ablate-"
_NAMES = 4


class AblationBench(BenchLike, Protocol):
    """A bench that can also write graphs to measure; `attrib.capture.bench.bench.Bench` is one."""

    def optimized_graph(self, options: CaptureOptions) -> Path:
        """The graph that ONNX Runtime makes for these options, with weights that may lie elsewhere."""
        ...

    def cut_graph(self, options: CaptureOptions, ran: Path, produced: tuple[str, ...]) -> Cut:
        """That graph with and without the nodes that make any of the values."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A part of the graph that is taken out.

    Attributes:
        name: What the user asked for.
        nodes: Ids of the executed nodes.
        values: What they make, by which they are found in the graph.
        regions: Regions that hold any of them.
        rows: Ids of their ledger rows.
    """

    name: str
    nodes: tuple[str, ...]
    values: tuple[str, ...]
    regions: tuple[Region, ...]
    rows: tuple[str, ...]


def target_of(analysis: Analysis, name: str) -> Target:
    """Find the nodes behind a name: a node, ledger row or region, or whatever else `attrib explain` knows.

    Raises:
        UsageError: Nothing has that name, or nothing of it ran in ONNX Runtime.
        AttribError: Its nodes cannot be taken out of a graph.
    """
    graph, partition = analysis.evidence.optimized, analysis.partitions.get("onnxruntime")
    if graph is None or partition is None:
        raise AttribError(
            "the capture holds no graph that ONNX Runtime ran", hint="capture again with `attrib profile`"
        )
    nodes = _nodes(analysis, name)
    if not nodes:
        raise UsageError(f"ONNX Runtime ran no node for {name!r}: there is nothing to take out")
    position = {work.id: i for i, work in enumerate(partition.work)}
    wanted = {position[node] for node in nodes}
    executed = executed_by_node(partition.work, graph)
    found = [graph.nodes[i] for i, places in executed.items() if wanted.intersection(places)]
    if missing := wanted.difference(*executed.values()):
        raise AttribError(
            f"{len(missing)} of the {len(nodes)} nodes of {name!r} are not in the graph that ONNX Runtime saved: a provider"
            " compiled them, and a part of what it compiled cannot be taken out",
            hint="`attrib profile --provider CPUExecutionProvider` runs them one by one, where each can be taken out",
        )
    if any(node.parent >= 0 for node in found):
        raise AttribError(
            f"{name!r} lies inside a branch or loop, whose nodes cannot be taken out one by one"
        )
    return Target(
        name=name,
        nodes=nodes,
        values=tuple(next(value for value in node.outputs if value) for node in found),
        regions=tuple(region for region in analysis.regions if set(nodes).intersection(region.nodes)),
        rows=tuple(row.id for row in analysis.ledger_rows.rows if set(nodes).intersection(row.onnx_nodes)),
    )


def _nodes(analysis: Analysis, name: str) -> tuple[str, ...]:
    """Executed nodes of what has this name."""
    if name in analysis.evidence.work.get("onnxruntime", {}):
        return (name,)
    row = next((row for row in analysis.ledger_rows.rows if row.id == name), None)
    if row is not None:
        return row.onnx_nodes
    region = analysis.evidence.regions.get(name)
    if region is not None:
        return region.nodes
    regions = analysis.explain(name).regions
    return tuple(dict.fromkeys(run.id for found in regions for run in found.trail.ran))


def ablation_row(analysis: Analysis, name: str) -> ExperimentResult:
    """Write the row of an ablation before it is measured: what the ledger says that the part takes.

    Raises:
        UsageError: Nothing has that name.
        AttribError: It cannot be taken out of a graph.
    """
    return _row_of(analysis, target_of(analysis, name))


def ablate(analysis: Analysis, bench: AblationBench, setup: Setup, name: str) -> ExperimentResult:
    """Take a node or region out of the graph that ran, and measure what a plain step saves by that.

    Args:
        analysis: Of the capture.
        bench: Makes the graphs and measures them.
        setup: How to measure; its options are those of the capture.
        name: A node, ledger row, region, module or value.

    Raises:
        UsageError: Nothing has that name.
        AttribError: It cannot be taken out, or not be measured.
    """
    target = target_of(analysis, name)
    ran = bench.optimized_graph(setup.options)
    _check_same(analysis.evidence.optimized, ran)
    cut = bench.cut_graph(setup.options, ran, target.values)
    # Both graphs are optimized already, and must be opened as they are.
    as_it_is = replace(
        setup.options,
        opt_level="disabled",
        optimize=(),
        disabled_optimizers=(),
        opset=None,
        dynamic_shapes=False,
        save_models=None,
    )
    baseline, variant = (replace(as_it_is, onnx=graph) for graph in (cut.baseline, cut.variant))
    row = _row_of(analysis, target)
    found = bench.compare(baseline, variant, row.side, setup.effort_for(row.side, row.predicted))
    result = judge(row, found, setup)
    if result.agrees:
        return result
    fed = f"{counted(len(cut.fed), 'recorded value')} ({cut.bytes / 1e6:.1f} MB)"
    return replace(result, note=f"{result.note}; {fed} took the place of {counted(cut.removed, 'node')}")


def _check_same(captured: Graph | None, ran: Path) -> None:
    """Check that ONNX Runtime still makes the graph of the capture: nodes are found in it by what they make."""
    from attrib.rewrite.files import strip_graph

    now = graph_from_bytes(strip_graph(ran), ran.name)
    assert captured is not None  # noqa: S101  (target_of looked)
    shapes = [Counter((n.op, n.inputs, n.outputs) for n in graph.nodes) for graph in (captured, now)]
    if shapes[0] != shapes[1]:
        raise AttribError(
            "ONNX Runtime makes another graph of the model than in the capture, so its nodes cannot be found again",
            hint="capture again with the versions that are installed now",
        )


def _row_of(analysis: Analysis, target: Target) -> ExperimentResult:
    time = analysis.ledger_rows.work("onnxruntime", target.nodes)
    figure = format_interval(time.median, time.low, time.high, sign=False)
    basis = f"the ledger gives {_list_some(target.nodes)} {figure}"
    scopes = {work.id: work.scope for work in analysis.evidence.work.get("torch", {}).values()}
    calls = [call for region in target.regions for call in region.calls]
    modules = sorted({scopes[call] for call in calls if call in scopes})
    nodes = sum(len(region.nodes) for region in target.regions)
    if len(modules) > 1 and nodes < len(calls):
        # What no ablation can tell: how a node's time splits among the calls that it covers.
        covered = (
            f"{counted(len(calls), 'call')} of {counted(len(modules), 'module')} ({_list_some(modules)})"
        )
        basis += f"; they cover {covered}, and an ablation cannot tell how the time splits among these"
    return ExperimentResult(
        id=PREFIX + target.name,
        title=f"Without {target.name} ({counted(len(target.nodes), 'node')})",
        side="onnxruntime",
        state="measured",
        predicted=Prediction(kind="estimate", saving_ns=time, basis=basis, rows=target.rows),
    )


def _list_some(names: Iterable[str]) -> str:
    shown = list(names)
    more = len(shown) - _NAMES
    return ", ".join(shown[:_NAMES]) + (f" and {more} more" if more > 0 else "")
