"""Predictions for other ways to run PyTorch."""

from attrib.analysis.match.ops import base_op
from attrib.findings.evidence.attention import attention_regions
from attrib.findings.evidence.ledger_queries import calls_of, ids, nodes_of, side_ns
from attrib.model.estimate import Delta
from attrib.model.experiment import Prediction
from attrib.units import format_ns
from attrib.verify.predict.nodes import is_heavy, nodes, time_of
from attrib.verify.predict.prediction import at_most, between, estimate, minus, plus, times
from attrib.verify.protocol import ExperimentContext
from attrib.wording import counted

_KEPT = frozenset({
    "linear", "addmm", "matmul", "baddbmm", "scaled_dot_product_attention", "conv1d", "conv2d", "convolution",
    "multi_head_attention_forward", "_native_multi_head_attention", "embedding",
})  # fmt: skip
"""Calls that a compiler leaves to the same libraries."""

_GUARD = frozenset({"IsNaN", "Where"})
_EAGER_CALLS = 6
"""Calls of eager attention in transformers: two products, scale, mask, Softmax, a transposition."""


def dispatch_ns(context: ExperimentContext) -> Delta:
    """PyTorch's time outside calls; what marking modules costs it (`profiler overhead`) taken out."""
    rows = context.evidence.ledger.rows
    chosen = [
        row
        for row in rows
        if (row.cause == "framework" and row.torch_ns > 0)
        or (row.cause == "profiler_overhead" and row.torch_ns < 0)
    ]
    time = sum(row.torch_ns for row in chosen)
    total = context.evidence.ledger.total(ids(row for row in chosen if not row.onnxruntime_ns))
    half = (total.high - total.low) // 2
    return Delta(median=max(time, 0), low=max(time - half, 0), high=max(time + half, 0))


def predict_compilation(context: ExperimentContext) -> Prediction | None:
    """Predict compilation: it saves dispatch and elementwise calls at most, products stay; None without calls."""
    calls = [
        work.id for work in context.evidence.work.get("torch", {}).values() if base_op(work.op) not in _KEPT
    ]
    if not calls:
        return None
    small = context.evidence.ledger.work("torch", calls)
    dispatch = dispatch_ns(context)
    basis = (
        f"Dispatch takes {format_ns(dispatch.median)} and the {len(calls)} calls that are no products"
        f" {format_ns(small.median)}; products stay with the same library."
    )
    return at_most(context, "torch", plus(dispatch, small), basis, calls)


def eager_attention(context: ExperimentContext) -> Prediction | None:
    """Predict attention as single calls from ONNX Runtime's single nodes and the dispatch of each call.

    Between two ends: PyTorch's kernels are as fast as ONNX Runtime's, and nothing is dispatched; or its products are slower
    by as much as its other products are, and each call is dispatched like the rest. None where ONNX Runtime ran no such
    nodes, or where PyTorch's calls are not known.
    """
    found = attention_regions(context.evidence.ledger.rows)
    rows = [row for group in found.values() for row in group]
    known, inner = context.evidence.work.get("torch", {}), set(nodes_of(rows))
    calls = [call for call in calls_of(rows) if call in known]
    works = [node for node in nodes(context) if node.id in inner and node.op not in _GUARD]
    products = [node.id for node in works if is_heavy(node.op)]
    if not calls or not products:
        return None
    whole = context.evidence.ledger.work("torch", calls)
    kernels = time_of(context, [node.id for node in works])
    # PyTorch's time for the products that both engines ran over ONNX Runtime's; 1 where PyTorch was faster.
    executed = context.evidence.work.get("onnxruntime", {})
    compared = [
        row
        for row in context.evidence.ledger.rows
        if row.cause == "kernel" and any(is_heavy(executed[name].op) for name in row.onnx_nodes)
    ]
    ours, theirs = side_ns(compared, "torch"), side_ns(compared, "onnxruntime")
    slower = times(time_of(context, products), max(ours / theirs, 1.0) - 1 if theirs > 0 else 0.0)
    each = times(dispatch_ns(context), 1 / len(known))
    dispatched = times(each, _EAGER_CALLS * len(found))
    fast = plus(whole, minus(kernels))
    saving = between(fast, plus(fast, minus(slower), minus(dispatched)))
    basis = (
        f"PyTorch's {counted(len(found), 'attention block')} take {format_ns(whole.median)}; as single nodes ONNX Runtime"
        f" took {format_ns(kernels.median)} for the same. PyTorch's products may take {format_ns(slower.median)} more, as"
        f" its others do, and the dispatch of {_EAGER_CALLS} calls for one {format_ns(dispatched.median)}."
    )
    return estimate(context, "torch", saving, basis, calls)
