"""Layers that ONNX Runtime runs by single operators, and what each would take in one node."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from attrib.analysis.lineage.graph import GraphNode
from attrib.analysis.match.ops import base_op
from attrib.findings.evidence.attention import attention_regions
from attrib.findings.evidence.executed_graph import ExecutedGraph, executed_graph
from attrib.findings.evidence.ledger_queries import MOST_GROUPS, ids, op_counts, rows_holding, rows_of
from attrib.findings.evidence.reference_cost import (
    Terms,
    weight_once,
    weights_by_elements,
    weights_of_equal_size,
)
from attrib.findings.evidence.unfused_patterns import UnfusedLayer, find_unfused_layers
from attrib.findings.protocol import Evidence
from attrib.model.document import EvidenceRow, LedgerRow
from attrib.model.tensor import Tensor
from attrib.units import format_ns


@dataclass(frozen=True, slots=True)
class FusibleLayer:
    """A layer that ONNX Runtime can run as one node.

    Attributes:
        name: For the reader.
        calls: Aten ops of the layer.
        fused: Nodes that compute it whole.
        parts: Nodes of which at least one shows that it was taken apart.
    """

    name: str
    calls: frozenset[str]
    fused: frozenset[str]
    parts: frozenset[str]


_NORMS = frozenset({
    "LayerNormalization", "SkipLayerNormalization", "EmbedLayerNormalization", "SimplifiedLayerNormalization",
    "SkipSimplifiedLayerNormalization", "RMSNormalization",
})  # fmt: skip

FUSIBLE_LAYERS = (
    FusibleLayer(
        "LayerNorm", frozenset({"layer_norm", "rms_norm"}), _NORMS, frozenset({"ReduceMean", "Pow", "Sqrt"})
    ),
    FusibleLayer(
        "GELU",
        frozenset({"gelu"}),
        frozenset({"Gelu", "BiasGelu", "FastGelu", "QuickGelu"}),
        frozenset({"Erf", "Tanh", "Pow"}),
    ),
    FusibleLayer(
        "linear bias",
        frozenset({"linear", "addmm"}),
        frozenset({"Gemm", "FusedGemm", "BiasGelu", "FastGelu", "SkipLayerNormalization"}),
        frozenset({"Add"}),
    ),
)

TAKES_IN = frozenset({"SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "BiasGelu"})
"""Fused nodes that hold the addition before the layer as well."""

IN_ONE_NODE = "in one node of this graph"

CORES = frozenset({"Erf", "Tanh"})
"""Nodes that do most of what a fused node would: the others of the layer are passes over memory."""


@dataclass(frozen=True, slots=True)
class SingleOperatorLayer:
    """A layer of single operators: its nodes, and what is left out of its cost.

    Attributes:
        layer: `LayerNorm` or `GELU`.
        nodes: Its nodes.
        peers: Weights of executed nodes whose sum is the time that one fused node would take.
        calls: Weights of PyTorch calls with that meaning, where no node tells.
        measure: Where these are from, for the reader.
    """

    layer: str
    nodes: tuple[str, ...]
    peers: dict[str, float]
    calls: dict[str, float]
    measure: str


def find_single_operator_layers(evidence: Evidence) -> tuple["SingleOperatorLayer", ...]:
    """Layers that the graph that ran computes by single operators, each with what it would take in one."""
    if evidence.optimized is None:
        return ()
    ran = executed_graph(evidence)
    return tuple(_single(ran, apart) for apart in find_unfused_layers(ran) if ran.ids(apart.nodes))


def decomposed_layers(evidence: Evidence) -> dict[str, list[LedgerRow]]:
    """Decomposed rows by the layer that they are; attention has a rule of its own."""
    decomposed = rows_of(evidence, "decomposed")
    attention = attention_regions(decomposed)
    found: dict[str, list[LedgerRow]] = defaultdict(list)
    for row in decomposed:
        calls, nodes = {base_op(op) for op in row.torch_ops}, set(row.onnx_ops)
        fitting = (
            layer
            for layer in FUSIBLE_LAYERS
            if calls & layer.calls and nodes & layer.parts and not nodes & layer.fused
        )
        layer = None if row.region in attention else next(fitting, None)
        if layer is not None:
            found[layer.name].append(row)
    return dict(sorted(found.items()))


def _single(ran: ExecutedGraph, apart: UnfusedLayer) -> "SingleOperatorLayer":
    fused = next(layer.fused for layer in FUSIBLE_LAYERS if layer.name == apart.layer)
    works = tuple(ran.evidence.work["onnxruntime"].values())
    result = ran.result(apart.nodes[-1])
    peers = weights_of_equal_size(works, result, lambda work: work.op in fused) if result is not None else {}
    if not peers and result is not None:
        peers = weights_by_elements(works, result, lambda work: work.op in fused)
    taken_in = {work.op for work in works if work.id in peers} & TAKES_IN
    before = [add] if taken_in and (add := _taken_in(ran, apart.source)) is not None else []
    core = ran.ids(node for node in apart.nodes if node.op in CORES)
    nodes = ran.ids((*before, *apart.nodes))
    calls = {} if peers or core else _calls(ran.evidence, apart.layer, result) or _same(ran.evidence, nodes)
    measure = IN_ONE_NODE if peers else "of its " + apart.core if core else "in PyTorch"
    return SingleOperatorLayer(apart.layer, nodes, peers or weight_once(core), calls, measure)


def _taken_in(ran: ExecutedGraph, source: str) -> GraphNode | None:
    """The Add before a layer that a fused node would hold as well."""
    add = ran.maker(source)
    return add if add is not None and add.op == "Add" and ran.executed.get(add.index) else None


def _calls(evidence: Evidence, layer: str, result: Tensor | None) -> dict[str, float]:
    """Weights whose sum is the mean time of PyTorch's calls of such a layer."""
    wanted = next(known.calls for known in FUSIBLE_LAYERS if known.name == layer)
    found = [
        call.id
        for call in evidence.work.get("torch", {}).values()
        if base_op(call.op) in wanted and (not call.inputs or result is None or call.inputs[0].shape == result.shape)
    ]  # fmt: skip
    return {call: 1 / len(found) for call in found}


def _same(evidence: Evidence, nodes: Sequence[str]) -> dict[str, float]:
    """The calls in the rows of some nodes: PyTorch runs the layer by single operators, too."""
    return weight_once(call for row in rows_holding(evidence, nodes) for call in row.torch_calls)


def excess_of(single: Iterable["SingleOperatorLayer"]) -> Terms:
    """What the layers take, less what they would take in one node."""
    terms = Terms()
    for apart in single:
        terms.add(weight_once(apart.nodes))
        terms.add(apart.peers, -1)
        terms.add_calls(apart.calls, -1)
    return terms


def layer_lines(evidence: Evidence, single: Iterable["SingleOperatorLayer"]) -> Iterator[EvidenceRow]:
    """One line a layer: its nodes and time, beside what it would take."""
    for apart in list(single)[:MOST_GROUPS]:
        spent = evidence.ledger.work("onnxruntime", apart.nodes).median
        whole_ns = evidence.ledger.weighted({"onnxruntime": apart.peers, "torch": apart.calls}).median
        text = f"{apart.layer}: {op_counts(evidence, 'onnxruntime', apart.nodes)} in {format_ns(spent)}, against "
        rows = ids(rows_holding(evidence, apart.nodes))
        yield EvidenceRow(
            text=f"{text}{format_ns(whole_ns)} {apart.measure}", rows=rows, value_ns=spent - whole_ns
        )
