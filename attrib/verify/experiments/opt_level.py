"""opt-level: another level of ONNX Runtime's graph optimization."""

from msgspec.structs import replace

from attrib.analysis.lineage.rewrites import Step
from attrib.capture.config.options import OptLevel
from attrib.findings.evidence.unfused_patterns import separate_residuals
from attrib.model.experiment import Prediction
from attrib.units import format_ns
from attrib.verify.experiments.change import experiment, saw_graph, variant
from attrib.verify.predict.bounds import glue_nodes
from attrib.verify.predict.prediction import estimate
from attrib.verify.predict.unfused import undone, written_by
from attrib.verify.protocol import Inapplicable, Situation, Variant
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


def variants(situation: Situation) -> tuple[Variant, ...] | Inapplicable:
    """From a lower level to `all`; from `all` to those whose optimizers did something, because a fusion can lose."""
    if situation.options.opt_level != "all":
        return (_raised(situation),)
    if not saw_graph(situation) or not situation.chain.steps:
        return tuple(_blind(situation, level) for level in _ADDED)
    written = written_by(situation)
    found = tuple(_lowered(situation, level) for level, added in _ADDED.items() if added & written.keys())
    return found or Inapplicable(
        reason="no node of the graph that ran was written by an optimizer above the basic level"
    )


def _raised(situation: Situation) -> Variant:
    """What fusions can take in bounds the gain, unless they lead to kernels of which this profile knows nothing."""
    options = replace(situation.options, opt_level="all")
    bound = glue_nodes(situation)
    sums = separate_residuals(situation.evidence.optimized) if situation.evidence.optimized else 0
    why = "no node is known that a fusion could take in"
    if bound is not None and sums:
        most = format_ns(bound.saving_ns.median)
        why = (
            f"{counted(sums, 'residual sum')} would become part of a layer norm, by a kernel that this profile does not hold"
            f" and that may cost more than both; what fusions can take in besides takes {most} at most"
        )
        bound = None
    return variant("opt-level-all", "Graph optimization: all", options, bound, why)


def _blind(situation: Situation, level: OptLevel) -> Variant:
    why = "the trace directory does not hold the graphs that show what the optimizers did"
    return variant(
        f"opt-level-{level}",
        f"Graph optimization: {level}",
        replace(situation.options, opt_level=level),
        None,
        why,
    )


def _lowered(situation: Situation, level: OptLevel) -> Variant:
    steps = [step for name, found in written_by(situation).items() if name in _ADDED[level] for step in found]
    options = replace(situation.options, opt_level=level)
    return variant(
        f"opt-level-{level}", f"Graph optimization: {level}", options, _undone(situation, level, steps)
    )


def _undone(situation: Situation, level: OptLevel, steps: list[Step]) -> Prediction:
    found = undone(situation, steps)
    names = sorted(_ADDED[level] & written_by(situation).keys())
    come = found.instead_ns
    basis = (
        f"What {' and '.join(names)} wrote takes {format_ns(found.written_ns)}, products left out; told by other"
        f" nodes of the run, what was there before would take {format_ns(come.low)} to {format_ns(come.high)}."
    )
    return estimate(situation, "onnxruntime", found.saving, basis, found.written)


EXPERIMENT = experiment(
    "opt-level",
    "Another graph optimization level",
    "Opens the same graph with another `graph_optimization_level`: all where it was lower; extended and basic"
    " where it was all, because a fused kernel can be slower than what it replaces.",
    "onnxruntime",
    variants,
    flags="--opt-level LEVEL",
    basis="what a higher level added, told by other nodes of the run; from a lower level, at most what fusions can take in",
)
