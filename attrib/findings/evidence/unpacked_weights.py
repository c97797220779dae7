"""Products whose weights a caller may replace: ONNX Runtime cannot bring them into the order that its kernels read best."""

from attrib.analysis.attribution.roofline.ops import cost_of
from attrib.analysis.attribution.roofline.peaks import machine_limits
from attrib.analysis.attribution.roofline.roofline import limit_of
from attrib.findings.evidence.executed_graph import executed_graph
from attrib.findings.protocol import Evidence
from attrib.model.execution_providers import CPU_PROVIDER

PACKING_OPS = frozenset(
    {"Conv", "ConvTranspose", "FusedConv", "FusedGemm", "FusedMatMul", "Gemm", "GRU", "LSTM", "MatMul"}
)
"""Ops whose kernels on a CPU pack a constant weight when the session is made; the channels of Conv are blocked only then."""

WEIGHT = 1
"""The input of each of them that is packed."""


def beyond_the_peak(evidence: Evidence) -> dict[str, float]:
    """The nodes of the run whose weight may be replaced, by id, each with the share of its time beyond the machine's peak.

    The peak is the highest rate of products and of memory that the capture measured: no order of the weights makes the
    node faster than that, so the share of its time beyond is the most that packing can save.

    Returns:
        Nothing where no weight may be replaced, or no peak of a CPU was measured; no node whose cost is unknown, or that ran
        elsewhere.
    """
    graph, manifest = evidence.optimized, evidence.manifest
    peaks = machine_limits(manifest.sides).get("onnxruntime") if manifest else None
    if graph is None or not graph.overridable or peaks is None or peaks.device != "cpu":
        return {}
    ran = executed_graph(evidence)
    found = {}
    for node in graph.nodes:
        work = ran.work(node)
        weight = node.inputs[WEIGHT] if len(node.inputs) > WEIGHT else ""
        if work is None or node.op not in PACKING_OPS or weight not in graph.overridable:
            continue
        if work.provider not in ("", CPU_PROVIDER):
            continue
        cost, spent = cost_of(work), evidence.ledger.work("onnxruntime", [work.id]).median
        limit = limit_of([cost], peaks) if cost is not None else None
        if limit is not None and spent > 0:
            found[work.id] = max(1 - limit.ns / spent, 0.0)
    return found
