"""What other ways to run PyTorch can save."""

from attrib.analysis.match.ops import base_op
from attrib.findings.evidence.attention import attention_regions
from attrib.findings.evidence.ledger_queries import calls_of, ids, nodes_of, side_ns
from attrib.model.estimate import Delta
from attrib.model.experiment import Prediction
from attrib.units import format_ns
from attrib.verify.predict.nodes import is_heavy, nodes, spent
from attrib.verify.predict.prediction import at_most, between, estimate, minus, plus, times
from attrib.verify.protocol import Situation
from attrib.wording import counted

_KEPT = frozenset({
    "linear", "addmm", "matmul", "baddbmm", "scaled_dot_product_attention", "conv1d", "conv2d", "convolution",
    "multi_head_attention_forward", "_native_multi_head_attention", "embedding",
})  # fmt: skip
"""Calls that a compiler leaves to the same libraries."""

_GUARD = frozenset({"IsNaN", "Where"})
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


def compiled(situation: Situation) -> Prediction | None:
    """Compilation takes dispatch and elementwise calls, and leaves products to the same library; None without calls."""
    calls = [
        work.id for work in situation.evidence.work.get("torch", {}).values() if base_op(work.op) not in _KEPT
    ]
    if not calls:
        return None
    small = situation.evidence.ledger.work("torch", calls)
    dispatch = dispatch_ns(situation)
    basis = (
        f"Dispatch takes {format_ns(dispatch.median)} and the {len(calls)} calls that are no products"
        f" {format_ns(small.median)}; products stay with the same library."
    )
    return at_most(situation, "torch", plus(dispatch, small), basis, calls)


def eager_attention(situation: Situation) -> Prediction | None:
    """Attention as single calls: what ONNX Runtime's single nodes took, and the dispatch of each call.

    Between two ends: PyTorch's kernels are as fast as ONNX Runtime's, and nothing is dispatched; or its products are slower
    by as much as its other products are, and each call is dispatched like the rest. None where ONNX Runtime ran no such
    nodes, or where PyTorch's calls are not known.
    """
    found = attention_regions(situation.evidence.ledger.rows)
    rows = [row for group in found.values() for row in group]
    known, inner = situation.evidence.work.get("torch", {}), set(nodes_of(rows))
    calls = [call for call in calls_of(rows) if call in known]
    works = [node for node in nodes(situation) if node.id in inner and node.op not in _GUARD]
    products = [node.id for node in works if is_heavy(node.op)]
    if not calls or not products:
        return None
    whole = situation.evidence.ledger.work("torch", calls)
    kernels = spent(situation, [node.id for node in works])
    slower = times(spent(situation, products), _product_ratio(situation) - 1)
    each = times(dispatch_ns(situation), 1 / len(known))
    dispatched = times(each, _EAGER_CALLS * len(found))
    fast = plus(whole, minus(kernels))
    saving = between(fast, plus(fast, minus(slower), minus(dispatched)))
    basis = (
        f"PyTorch's {counted(len(found), 'attention block')} take {format_ns(whole.median)}; as single nodes ONNX Runtime"
        f" took {format_ns(kernels.median)} for the same. PyTorch's products may take {format_ns(slower.median)} more, as"
        f" its others do, and the dispatch of {_EAGER_CALLS} calls for one {format_ns(dispatched.median)}."
    )
    return estimate(situation, "torch", saving, basis, calls)


def _product_ratio(situation: Situation) -> float:
    """PyTorch's time for the products that both engines ran over ONNX Runtime's; 1 where PyTorch was faster."""
    works = situation.evidence.work.get("onnxruntime", {})
    rows = [
        row
        for row in situation.evidence.ledger.rows
        if row.cause == "kernel" and any(is_heavy(works[name].op) for name in row.onnx_nodes)
    ]
    ours, theirs = side_ns(rows, "torch"), side_ns(rows, "onnxruntime")
    return max(ours / theirs, 1.0) if theirs > 0 else 1.0
