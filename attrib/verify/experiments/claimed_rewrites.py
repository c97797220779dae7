"""initializer-inputs, nan-guard, einsum, batch-norms, duplicates and others: surgery that a rule has priced."""

from attrib.findings.evidence.unpacked_weights import beyond_the_peak
from attrib.findings.protocol import Rule
from attrib.findings.rules.graph.blocked_optimization import RULE as BLOCKED_OPTIMIZATION
from attrib.findings.rules.graph.duplicated_work import RULE as DUPLICATED_WORK
from attrib.findings.rules.graph.einsum_products import RULE as EINSUM_PRODUCTS
from attrib.findings.rules.graph.nan_guard import RULE as NAN_GUARD
from attrib.findings.rules.graph.unfolded_batch_norms import RULE as UNFOLDED_BATCH_NORMS
from attrib.findings.rules.graph.unused_outputs import RULE as UNUSED_OUTPUTS
from attrib.findings.rules.kernels.double_precision import RULE as DOUBLE_PRECISION
from attrib.verify.experiments.change import NO_GRAPH, Variants, experiment, variant, with_rewrite
from attrib.verify.predict.claims import bound_by_claim, predict_claim, run_rule
from attrib.verify.protocol import Experiment, ExperimentContext, Inapplicable, Variant


def surgery(name: str, rewrite: str, title: str, rule: Rule, without: str) -> Variants:
    """Make the one variant of a rewrite; it applies where the rule finds something to take out."""

    def variants(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
        if rewrite in context.options.optimize:
            return Inapplicable(reason=f"the capture used {rewrite} already")
        result = run_rule(context, rule)
        if result is None:
            return NO_GRAPH
        if not result.rows:
            return Inapplicable(reason=without)
        why = "the graph has no other nodes to compare them with"
        options = with_rewrite(context.options, rewrite)
        return (variant(name, title, options, predict_claim(context, result), why),)

    return variants


def initializer_inputs(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
    """Initializers as constants, where a caller may replace some."""
    rewrite = "drop-initializer-inputs"
    if rewrite in context.options.optimize:
        return Inapplicable(reason=f"the capture used {rewrite} already")
    loaded = context.evidence.loaded
    if loaded is None:
        return NO_GRAPH
    if not loaded.overridable:
        return Inapplicable(reason="no initializer of the graph is an input as well")
    result = run_rule(context, BLOCKED_OPTIMIZATION)
    unpacked = tuple(beyond_the_peak(context.evidence)) if result is not None else ()
    predicted = None
    if result is not None and unpacked:
        predicted = bound_by_claim(context, result, (*result.works, *unpacked))
    elif result is not None and result.rows:
        predicted = predict_claim(context, result)
    why = "no node of the run reads a weight that could be packed, and none would be computed beforehand"
    options = with_rewrite(context.options, rewrite)
    return (variant("initializer-inputs", "Initializers as constants", options, predicted, why),)


EXPERIMENTS: tuple[Experiment, ...] = (
    experiment(
        "initializer-inputs",
        "Initializers as constants",
        "Takes the initializers out of the graph's inputs: a caller who may replace them keeps ONNX Runtime from folding"
        " what is computed from them and from packing weights.",
        "onnxruntime",
        initializer_inputs,
        flags="--optimize drop-initializer-inputs",
        basis="the nodes that would be computed beforehand or merged, and what products with weights that may not be packed"
        " take beyond the peak of the machine",
    ),
    experiment(
        "nan-guard",
        "No guard behind Softmax",
        "Drops IsNaN and Where behind every Softmax that the workload's own mask never needs: no row is masked out"
        " entirely, which the rewrite checks on the inputs.",
        "onnxruntime",
        surgery(
            "nan-guard",
            "drop-nan-guard",
            "No guard behind Softmax",
            NAN_GUARD,
            "no Softmax of the graph that ran is followed by a guard",
        ),
        flags="--optimize drop-nan-guard",
        basis="the time of the guard, and of the executor for it",
    ),
    experiment(
        "double-islands",
        "Double computed in float",
        "Computes islands of float64 between casts from and to float32 in float32, and checks that the outputs"
        " stay within the tolerance.",
        "onnxruntime",
        surgery(
            "double-islands",
            "double-to-float",
            "Double computed in float",
            DOUBLE_PRECISION,
            "ONNX Runtime computes nothing in double that PyTorch does not compute in double as well",
        ),
        flags="--optimize double-to-float",
        basis="the casts, and what double takes beyond float, estimated from other nodes of the run",
    ),
    experiment(
        "einsum",
        "Einsum as MatMul",
        "Writes Einsum nodes that are matrix products as MatMul, for which ONNX Runtime has a tuned kernel and fusions.",
        "onnxruntime",
        surgery(
            "einsum",
            "einsum-to-matmul",
            "Einsum as MatMul",
            EINSUM_PRODUCTS,
            "no matrix product of the graph that ran is computed by Einsum",
        ),
        flags="--optimize einsum-to-matmul",
        basis="what Einsum takes beyond the rate of the other products of the run",
    ),
    experiment(
        "batch-norms",
        "Batch norms in the weights",
        "Folds batch norms of constant statistics into the product of matrices before or behind them, and checks that the"
        " outputs stay within the tolerance.",
        "onnxruntime",
        surgery(
            "batch-norms",
            "fold-batch-norms",
            "Batch norms in the weights",
            UNFOLDED_BATCH_NORMS,
            "no batch norm of the graph that ran stands beside a product whose weights could hold it",
        ),
        flags="--optimize fold-batch-norms",
        basis="the time of the batch norms, and of the executor for them",
    ),
    experiment(
        "duplicates",
        "Duplicates merged",
        "Lets one node serve where several compute the same from the same, equal weights under different names"
        " included, which ONNX Runtime's own rules do not compare.",
        "onnxruntime",
        surgery(
            "duplicates",
            "merge-duplicates",
            "Duplicates merged",
            DUPLICATED_WORK,
            "no two nodes of the graph that ran compute the same",
        ),
        flags="--optimize merge-duplicates",
        basis="the time of the duplicates, and of the executor for them",
    ),
    experiment(
        "unused-outputs",
        "Only the outputs that PyTorch returns",
        "Drops the outputs that PyTorch's model does not return, with what only they need: no copy out of the"
        " session, and no work for them.",
        "onnxruntime",
        surgery(
            "unused-outputs",
            "drop-unused-outputs",
            "Only the outputs that PyTorch returns",
            UNUSED_OUTPUTS,
            "the graph returns nothing but what PyTorch returns",
        ),
        flags="--optimize drop-unused-outputs",
        basis="the nodes that only serve them, and the copies at the rate of nodes that copy",
    ),
)
