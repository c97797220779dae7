"""opt-level: run another level of ONNX Runtime's graph optimization."""

from msgspec.structs import replace

from attrib.findings.evidence.unfused_patterns import separate_residuals
from attrib.model.capture_options import OptLevel
from attrib.model.experiment import Prediction
from attrib.units import format_ns
from attrib.verify.experiments.change import experiment, saw_graph, variant
from attrib.verify.predict.bounds import glue_nodes
from attrib.verify.predict.prediction import estimate
from attrib.verify.predict.unfused import saving_of_undoing, written_by
from attrib.verify.protocol import ExperimentContext, Inapplicable, Variant
from attrib.wording import counted

LEVELS: tuple[OptLevel, ...] = ("disabled", "basic", "extended", "all")

ABOVE_BASIC = frozenset({
    "AttentionFusion", "BiasDropoutFusion", "BiasGeluFusion", "BiasSoftmaxFusion", "ConvActivationFusion",
    "DynamicQuantizeMatMulFusion", "EmbedLayerNormFusion", "FastGeluFusion", "GemmActivationFusion",
    "GroupQueryAttentionFusion", "MatMulActivationFusion", "MatMulIntegerToFloatFusion", "MatMulScaleFusion",
    "MatmulTransposeFusion", "QDQSelectorActionTransformer", "QuickGeluFusion", "SimplifiedLayerNormFusion",
    "SkipLayerNormFusion",
})  # fmt: skip
ABOVE_EXTENDED = frozenset({"NchwcTransformer", "NhwcTransformer"})
"""Optimizers that a level adds (`graph_transformer_utils.cc`, ONNX Runtime 1.20 to 1.31), of those that leave marks."""

_ADDED: dict[OptLevel, frozenset[str]] = {
    "extended": ABOVE_EXTENDED,
    "basic": ABOVE_EXTENDED | ABOVE_BASIC,
}


def variants(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
    """From a lower level to `all`; from `all` to those whose optimizers did something, because a fusion can lose."""
    if context.options.opt_level != "all":
        return (_raise_level(context),)
    if not saw_graph(context) or not context.chain.steps:
        why = "the trace directory does not hold the graphs that show what the optimizers did"
        return tuple(_at_level(context, level, None, why) for level in _ADDED)
    written = written_by(context)
    found = tuple(_lower_level(context, level) for level, added in _ADDED.items() if added & written.keys())
    return found or Inapplicable(
        reason="no node of the graph that ran was written by an optimizer above the basic level"
    )


def _at_level(
    context: ExperimentContext, level: OptLevel, predicted: Prediction | None, unpredicted: str = ""
) -> Variant:
    options = replace(context.options, opt_level=level)
    return variant(f"opt-level-{level}", f"Graph optimization: {level}", options, predicted, unpredicted)


def _raise_level(context: ExperimentContext) -> Variant:
    """The level `all`: the nodes that fusions can take in bound the saving, unless a fused kernel is not in the profile."""
    bound = glue_nodes(context)
    sums = separate_residuals(context.evidence.optimized) if context.evidence.optimized else 0
    why = "no node is known that a fusion could take in"
    if bound is not None and sums:
        most = format_ns(bound.saving_ns.median)
        why = (
            f"{counted(sums, 'residual sum')} would become part of a layer norm, by a kernel that this profile does not show"
            f" and that may cost more than both; what fusions can take in besides takes {most} at most"
        )
        bound = None
    return _at_level(context, "all", bound, why)


def _lower_level(context: ExperimentContext, level: OptLevel) -> Variant:
    """A lower level: undo the steps of the optimizers that the present level adds."""
    written = written_by(context)
    added = _ADDED[level] & written.keys()
    found = saving_of_undoing(
        context, [step for name, own in written.items() if name in added for step in own]
    )
    come = found.instead_ns
    basis = (
        f"What {' and '.join(sorted(added))} wrote takes {format_ns(found.written_ns)}, products left out; judging by"
        f" other nodes of the run, what was there before would take {format_ns(come.low)} to {format_ns(come.high)}."
    )
    predicted = estimate(context, "onnxruntime", found.saving, basis, found.written)
    return _at_level(context, level, predicted)


EXPERIMENT = experiment(
    "opt-level",
    "Another graph optimization level",
    "Opens the same graph with another `graph_optimization_level`: all where it was lower; extended and basic"
    " where it was all, because a fused kernel can be slower than what it replaces.",
    "onnxruntime",
    variants,
    flags="--opt-level LEVEL",
    basis="what a higher level added, estimated from other nodes of the run; from a lower level, at most what fusions can"
    " take in",
)
