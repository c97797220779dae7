"""unfused-quantization: time that goes into quantizing and dequantizing, and into integer kernels that do not pay."""

from collections.abc import Iterable, Iterator

from attrib.analysis.lineage.graph import GraphNode
from attrib.findings.evidence.executed_graph import ExecutedGraph, executed_graph
from attrib.findings.evidence.ledger_queries import both_times, ids, nodes_of, op_counts, rows_holding
from attrib.findings.evidence.reference_cost import Terms, weight_once
from attrib.findings.evidence.significance import is_certain
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow, LedgerRow
from attrib.units import format_ns
from attrib.wording import counted, listed

CONVERSIONS = ("DequantizeLinear", "QuantizeLinear", "DynamicQuantizeLinear")
INTEGER = frozenset({
    "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QLinearMatMul", "QGemm", "QAttention", "ConvInteger",
    "QLinearConv", "QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearSoftmax", "QEmbedLayerNormalization",
    "QSkipLayerNormalization", "QGelu", "MatMulNBits",
})  # fmt: skip
"""Nodes that compute on integers."""


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the conversions, and the integer kernels where they are slower than PyTorch's calls."""
    ran = executed_graph(evidence)
    conversions = [node for node in ran.graph.nodes if node.op in CONVERSIONS and ran.ids([node])]
    integer = [row for row in evidence.ledger.rows if not INTEGER.isdisjoint(row.onnx_ops)]
    if not conversions and not integer:
        return RuleResult(failed=False, summary="Nothing is quantized.")
    nodes = ran.ids(conversions)
    slow = integer if _costs(evidence, integer) else []
    rows = {row.id: row for row in (*rows_holding(evidence, nodes), *slow)}
    terms = Terms()
    terms.add(weight_once(nodes))
    terms.add(weight_once(name for name in nodes_of(slow) if name not in nodes))
    terms.add_calls(weight_once(call for row in slow for call in row.torch_calls))
    calls = {call: -weight for call, weight in terms.calls.items()}
    spent = evidence.ledger.work("onnxruntime", nodes).median
    return RuleResult(
        failed=True,
        rows=tuple(rows),
        claim=evidence.ledger.weighted({"onnxruntime": terms.nodes, "torch": calls}),
        works=tuple(dict.fromkeys((*terms.nodes, *calls))),
        detail=_detail(len(nodes), spent, slow),
        summary=f"{op_counts(evidence, 'onnxruntime', nodes) or 'No conversions'}: {format_ns(spent)} of a step;"
        f" {counted(len(nodes_of(integer)), 'node')} of integer arithmetic: {both_times(integer)}.",
        evidence=(*_lines(ran, conversions), *_integer_lines(integer)),
        fix=_fix(ran, conversions, bool(slow)),
    )  # fmt: skip


def _costs(evidence: Evidence, integer: Iterable[LedgerRow]) -> bool:
    """Whether the integer kernels take longer than PyTorch's calls for certain, all of them together."""
    total = evidence.ledger.total(ids(integer))
    return total.median > 0 and is_certain(total, 1)


def _detail(nodes: int, spent: int, slow: list[LedgerRow]) -> str:
    parts = [f"{counted(nodes, 'node')} convert to and from integers ({format_ns(spent)})"] if nodes else []
    return ", ".join([*parts, *(["integer kernels are slower than PyTorch's"] if slow else [])])


def _kind(ran: ExecutedGraph, node: GraphNode) -> str:
    """What a conversion converts: weights in every run, or activations."""
    source = node.inputs[0] if node.inputs else ""
    if node.op == "DequantizeLinear" and ran.is_constant(source):
        return "weights that are dequantized anew in every run"
    return (
        "activations that are quantized with a range found in every run"
        if node.op.startswith("Dyn")
        else "activations"
    )


def _lines(ran: ExecutedGraph, conversions: Iterable[GraphNode]) -> Iterator[EvidenceRow]:
    groups: dict[str, list[GraphNode]] = {}
    for node in conversions:
        groups.setdefault(_kind(ran, node), []).append(node)
    for kind, group in groups.items():
        nodes = ran.ids(group)
        spent = ran.evidence.ledger.work("onnxruntime", nodes).median
        sizes = sorted(
            ((ran.result(node), node.name) for node in group), key=lambda pair: -_elements(pair[0])
        )
        shown = listed([f"{name} ({tensor})" for tensor, name in sizes[:2]], 2)
        text = f"{kind}: {op_counts(ran.evidence, 'onnxruntime', nodes)} in {format_ns(spent)}, the largest {shown}"
        yield EvidenceRow(text=text, rows=ids(rows_holding(ran.evidence, nodes)), value_ns=spent)


def _elements(tensor: object) -> int:
    return getattr(tensor, "elements", 0)


def _integer_lines(integer: list[LedgerRow]) -> tuple[EvidenceRow, ...]:
    if not integer:
        return ()
    value = sum(row.delta_ns for row in integer)
    text = f"integer arithmetic: {both_times(integer)}"
    return (EvidenceRow(text=text, rows=ids(integer), value_ns=value),)


def _fix(ran: ExecutedGraph, conversions: list[GraphNode], slow: bool) -> str:
    if any("weights" in _kind(ran, node) for node in conversions):
        return (
            "Do not quantize what is only looked up or read once: exclude embeddings (`op_types_to_quantize=['MatMul',"
            " 'Gemm']` of `onnxruntime.quantization`), or use the QOperator format (`attrib profile --optimize"
            " int8-qoperator`)."
        )
    if slow:
        return (
            "This processor runs integer products no faster than float: keep fp32, or quantize symmetrically (S8S8)"
            " where it has VNNI or AMX."
        )
    return (
        "Quantize with fixed ranges (`attrib profile --optimize int8-qdq`), so that the conversions are fused into the"
        " integer nodes; or keep fp32 for the layers with little arithmetic."
    )


RULE = Rule(
    id="unfused-quantization",
    passed="No measurable time is lost to quantization",
    failed="{}",
    example="25 nodes convert to and from integers (1.2 ms)",
    about=(
        "Integer arithmetic saves time only where the conversions around it are fused away. A DequantizeLinear of weights"
        " that no integer kernel takes in runs in every step (a whole embedding table, for a handful of rows);"
        " DynamicQuantizeLinear passes twice over every activation; under a provider without integer kernels nodes fall back"
        " to the CPU (12 to 232 ms in microsoft/onnxruntime#10267). The rule adds up the conversions, and the integer"
        " kernels where they take longer than PyTorch's calls."
    ),
    cause="quantize",
    needs=("delta", "partitions", "optimized"),
    direction="slower",
    audit=audit,
    tier="cause",
    catalog=("C12",),
    experiments=("int8-dynamic", "int8-qdq"),
)
