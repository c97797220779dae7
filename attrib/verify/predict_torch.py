"""What other ways to run PyTorch can save."""

from attrib.findings.attention import attention_regions
from attrib.findings.select import calls_of, ids, nodes_of
from attrib.match.ops import base_op
from attrib.model.estimate import Delta
from attrib.model.experiment import Prediction
from attrib.units import format_ns
from attrib.verify.predict import at_most, between, estimate, minus, plus, times
from attrib.verify.predict_nodes import is_heavy, nodes, spent
from attrib.verify.protocol import Situation

_KEPT = frozenset({
    "linear", "addmm", "matmul", "baddbmm", "scaled_dot_product_attention", "conv1d", "conv2d", "convolution",
    "multi_head_attention_forward", "_native_multi_head_attention", "embedding",
})  # fmt: skip
"""Calls that a compiler leaves to the same libraries."""

_EAGER_CALLS = 6
"""Calls of eager attention in transformers: two products, scale, mask, Softmax, a transposition."""


def dispatch_ns(situation: Situation) -> Delta:
    """PyTorch's time outside calls; what marking modules costs it (`profiler overhead`) taken out."""
    rows = situation.evidence.ledger.rows
    chosen = [
        row
        for row in rows
        if (row.cause == "framework" and row.torch_ns > 0)
        or (row.cause == "profiler_overhead" and row.torch_ns < 0)
    ]
    time = sum(row.torch_ns for row in chosen)
    total = situation.evidence.ledger.total(ids(row for row in chosen if not row.onnxruntime_ns))
    half = (total.high - total.low) // 2
    return Delta(median=max(time, 0), low=max(time - half, 0), high=max(time + half, 0))


def compiled(situation: Situation) -> Prediction:
    """Compilation takes dispatch and elementwise calls, and leaves products to the same library."""
    calls = [
        work.id for work in situation.evidence.work.get("torch", {}).values() if base_op(work.op) not in _KEPT
    ]
    small = situation.evidence.ledger.work("torch", calls)
    dispatch = dispatch_ns(situation)
    basis = (
        f"Dispatch takes {format_ns(dispatch.median)} and the {len(calls)} calls that are no products"
        f" {format_ns(small.median)}; products stay with the same library."
    )
    return at_most(situation, "torch", plus(dispatch, small), basis, calls)


def eager_attention(situation: Situation) -> Prediction | None:
    """Attention as single calls: ONNX Runtime ran its nodes singly, and each call is dispatched; None where it did not."""
    found = attention_regions(situation.evidence.ledger.rows)
    rows = [row for group in found.values() for row in group]
    calls, inner = calls_of(rows), set(nodes_of(rows))
    attention = [name for name in calls if name in situation.evidence.work.get("torch", {})]
    works = [node for node in nodes(situation) if node.id in inner]
    if not attention or not any(is_heavy(node.op) for node in works):
        return None
    whole = situation.evidence.ledger.work("torch", attention)
    kernels = spent(situation, [node.id for node in works if node.op not in ("IsNaN", "Where")])
    each = times(dispatch_ns(situation), 1 / max(len(situation.evidence.work["torch"]), 1))
    dispatched = times(each, _EAGER_CALLS * len(found))
    saving = between(plus(whole, minus(kernels)), plus(whole, minus(kernels), minus(dispatched)))
    basis = (
        f"PyTorch's {len(found)} calls take {format_ns(whole.median)}; as single nodes ONNX Runtime took"
        f" {format_ns(kernels.median)} for the same, and {_EAGER_CALLS} calls instead of one add up to"
        f" {format_ns(dispatched.median)} of dispatch."
    )
    return estimate(situation, "torch", saving, basis, attention)
