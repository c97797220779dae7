"""Layers that ONNX Runtime could run as one node and runs by single operators, and what each would take in one node."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator

import msgspec

from attrib.analysis.lineage.graph import Graph
from attrib.analysis.match.ops import base_op
from attrib.findings.evidence.absorbable import LEVELS
from attrib.findings.evidence.attention import attention_regions
from attrib.findings.evidence.executed_graph import ExecutedGraph, executed_graph
from attrib.findings.evidence.ledger_queries import (
    MOST_GROUPS,
    ids,
    nodes_ns,
    op_counts,
    ops_behind,
    rows_holding,
    rows_of,
)
from attrib.findings.evidence.reference_cost import (
    Terms,
    weight_once,
    weights_by_elements,
    weights_of_equal_size,
)
from attrib.findings.evidence.unfused_patterns import UnfusedLayer, find_unfused_layers
from attrib.findings.protocol import Evidence
from attrib.model.document import EvidenceRow, LedgerRow
from attrib.units import format_ns
from attrib.wording import listed


class FusibleLayer(msgspec.Struct, frozen=True):
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


FUSIBLE_LAYERS = (
    FusibleLayer(
        "LayerNorm",
        frozenset({"layer_norm", "rms_norm"}),
        frozenset({
            "LayerNormalization", "SkipLayerNormalization", "EmbedLayerNormalization", "SimplifiedLayerNormalization",
            "SkipSimplifiedLayerNormalization", "RMSNormalization",
        }),
        frozenset({"ReduceMean", "Pow", "Sqrt"}),
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
)  # fmt: skip

WITH_ADDITION = frozenset({"SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "BiasGelu"})
"""Fused nodes that hold the addition before the layer as well."""

COUNTED_FUSIONS = (
    "EmbedLayerNormalization", "SkipLayerNormalization", "LayerNormalization", "BiasGelu", "Gelu", "FastGelu",
    "FusedMatMul", "Gemm",
)  # fmt: skip
"""Counts that ORT's maintainers ask for first (microsoft/onnxruntime#8636): a BERT-base that is fused in full has
one EmbedLayerNormalization, 12 Attention, 12 BiasGelu and 24 SkipLayerNormalization."""

IN_ONE_NODE = "in one node of this graph"

CORES = frozenset({"Erf", "Tanh"})
"""Nodes that do most of what a fused node would: the others of the layer are passes over memory."""

GELU_PATTERN = Counter({"Div": 1, "Erf": 1, "Add": 1, "Mul": 2})
"""`x (1 + erf(x / root)) / 2`, as gelu_fusion.cc has it."""

NORM_PATTERN = frozenset({"ReduceMean", "Pow", "Add", "Sqrt", "Div", "Mul"})
"""What layer_norm_fusion.cc asks for, beside the Sub of a mean: a square by Mul and a Reciprocal it does not know."""


class SingleOperatorLayer(msgspec.Struct, frozen=True):
    """A layer that runs by single operators, and what it would take in one node.

    Attributes:
        layer: `LayerNorm` or `GELU`.
        nodes: Ids of its executed nodes.
        peers: Weights of executed nodes whose sum is the time that one fused node would take.
        calls: Weights of PyTorch calls with that meaning, where no node tells.
        measure: Where these are from, for the reader.
    """

    layer: str
    nodes: tuple[str, ...]
    peers: dict[str, float]
    calls: dict[str, float]
    measure: str


def find_single_operator_layers(evidence: Evidence) -> tuple[SingleOperatorLayer, ...]:
    """Layers that the graph that ran computes by single operators, each with what it would take in one node."""
    if evidence.optimized is None:
        return ()
    ran = executed_graph(evidence)
    return tuple(_with_cost(ran, found) for found in find_unfused_layers(ran) if ran.ids(found.nodes))


def find_layers_left_apart(
    evidence: Evidence, level: str, without: Collection[str]
) -> tuple[SingleOperatorLayer, ...]:
    """Layers that one of ONNX Runtime's own fusions would have made one node, had the session been allowed it.

    Only of the form that the fusion knows: any other would have stayed apart at every level.

    Args:
        evidence: What the directory holds.
        level: The level that was allowed.
        without: Optimizers that were left out, with or without their level (`GeluFusion`, `GeluFusionL2`).
    """
    if evidence.optimized is None or "onnxruntime" not in evidence.partitions:
        return ()
    low = LEVELS.index(level) < LEVELS.index("extended")
    out = {name.removesuffix("L1").removesuffix("L2") for name in without}
    ran = executed_graph(evidence)
    return tuple(
        _with_cost(ran, found)
        for found in find_unfused_layers(ran)
        if (fusion := fusion_of(found)) and (low or fusion in out) and ran.ids(found.nodes)
    )


def fusion_of(found: UnfusedLayer) -> str:
    """The optimizer of ONNX Runtime whose pattern a layer is (onnxruntime/core/optimizer); empty where none knows it."""
    ops = Counter(node.op for node in found.nodes if node.op != "Cast")
    if found.layer == "GELU":
        return "GeluFusion" if ops == GELU_PATTERN else ""
    if not NORM_PATTERN <= ops.keys() <= NORM_PATTERN | {"Sub"}:
        return ""
    return "LayerNormFusion" if ops["Sub"] else "SimplifiedLayerNormFusion"


def _with_cost(ran: ExecutedGraph, found: UnfusedLayer) -> SingleOperatorLayer:
    """The layer with its reference cost: of fused nodes in this graph, else of its own core, else of PyTorch's calls."""
    layer = next(known for known in FUSIBLE_LAYERS if known.name == found.layer)
    works = tuple(ran.evidence.work["onnxruntime"].values())
    result = ran.result(found.nodes[-1])
    peers: dict[str, float] = {}
    if result is not None:
        peers = weights_of_equal_size(works, result, lambda work: work.op in layer.fused)
        peers = peers or weights_by_elements(works, result, lambda work: work.op in layer.fused)
    nodes = list(found.nodes)
    add = ran.maker(found.source)
    if add is not None and add.op == "Add" and {w.op for w in works if w.id in peers} & WITH_ADDITION:
        nodes.insert(0, add)  # the fused node would hold it as well
    executed = ran.ids(nodes)
    core = ran.ids(node for node in found.nodes if node.op in CORES)
    if peers:
        return SingleOperatorLayer(found.layer, executed, peers, {}, IN_ONE_NODE)
    if core:
        return SingleOperatorLayer(found.layer, executed, weight_once(core), {}, f"of its {found.core}")
    same = [
        call.id
        for call in ran.evidence.work.get("torch", {}).values()
        if base_op(call.op) in layer.calls
        and (not call.inputs or result is None or call.inputs[0].shape == result.shape)
    ]
    # without such a call PyTorch runs the layer by single operators, too
    own = (call for row in rows_holding(ran.evidence, executed) for call in row.torch_calls)
    calls = {call: 1 / len(same) for call in same} or weight_once(own)
    return SingleOperatorLayer(found.layer, executed, {}, calls, "in PyTorch")


def decomposed_layers(evidence: Evidence) -> dict[str, list[LedgerRow]]:
    """Decomposed rows by the name of the layer that they are; attention has a rule of its own."""
    decomposed = rows_of(evidence, "decomposed")
    attention = attention_regions(decomposed)
    found: dict[str, list[LedgerRow]] = defaultdict(list)
    for row in decomposed:
        calls = {base_op(op) for op in ops_behind(evidence, row)}
        nodes = set(row.onnx_ops)
        fitting = (
            layer
            for layer in FUSIBLE_LAYERS
            if calls & layer.calls and nodes & layer.parts and not nodes & layer.fused
        )
        layer = None if row.region in attention else next(fitting, None)
        if layer is not None:
            found[layer.name].append(row)
    return dict(sorted(found.items()))


def fused_counts(graph: Graph | None) -> str:
    """A sentence with the counts that tell what was fused."""
    if graph is None:
        return "No layer norm, GELU or linear layer runs as separate nodes."
    counts = Counter(node.op for node in graph.nodes)
    present = [f"{counts[op]} {op}" for op in COUNTED_FUSIONS if counts[op]]
    return f"The optimized graph holds {listed(present, len(present)) or 'none of the operators that fuse'}."


def excess_of(layers: Iterable[SingleOperatorLayer]) -> Terms:
    """What the layers take, less what they would take in one node each."""
    terms = Terms()
    for layer in layers:
        terms.add(weight_once(layer.nodes))
        terms.add(layer.peers, -1)
        terms.add_calls(layer.calls, -1)
    return terms


def layer_lines(evidence: Evidence, layers: Iterable[SingleOperatorLayer]) -> Iterator[EvidenceRow]:
    """One line a layer: its nodes and their time, beside what it would take in one node."""
    for layer in list(layers)[:MOST_GROUPS]:
        spent = nodes_ns(evidence, layer.nodes)
        fused = evidence.ledger.weigh({"onnxruntime": layer.peers, "torch": layer.calls}).median
        ops = op_counts(evidence, "onnxruntime", layer.nodes)
        yield EvidenceRow(
            text=f"{layer.layer}: {ops} in {format_ns(spent)}, against {format_ns(fused)} {layer.measure}",
            rows=ids(rows_holding(evidence, layer.nodes)),
            value_ns=spent - fused,
        )
