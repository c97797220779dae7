"""attention: export the ONNX graph from the model's other attention implementation."""

from msgspec.structs import replace

from attrib.findings.evidence.ledger_queries import op_counts
from attrib.findings.rules.graph.nan_guard import RULE as NAN_GUARD
from attrib.model.capture_options import Attention
from attrib.units import format_ns
from attrib.verify.experiments.change import NOT_EXPORTED, experiment, variant
from attrib.verify.predict.claims import run_rule, with_cuts
from attrib.verify.predict.nodes import time_of_removal
from attrib.verify.predict.prediction import estimate
from attrib.verify.protocol import ExperimentContext, Inapplicable, Variant

OTHER: dict[Attention, Attention] = {"sdpa": "eager", "eager": "sdpa"}
NO_CHOICE = Inapplicable(reason="the model has no choice of attention implementations")


def has_choice(context: ExperimentContext) -> bool:
    """Whether the model named its attention implementation when it was loaded."""
    return bool(context.manifest.workload.attention)


def variants(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
    """The other implementation: eager instead of sdpa, or sdpa instead of eager."""
    if context.options.onnx is not None:
        return NOT_EXPORTED
    if not has_choice(context):
        return NO_CHOICE
    other = OTHER[context.options.attention]
    options = replace(context.options, attention=other)
    result = run_rule(context, NAN_GUARD) if other == "eager" else None
    predicted = None
    if result is not None and result.works:
        # Eager attention is the same products, mask and Softmax, without the guard.
        time = time_of_removal(context, result.works)
        basis = (
            f"Eager attention is exported without the guard behind Softmax"
            f" ({op_counts(context.evidence, 'onnxruntime', result.works)}), which takes {format_ns(time.median)}."
        )
        predicted = with_cuts(context, estimate(context, "onnxruntime", time, basis, result.works))
    why = "the profile does not show which nodes an exporter writes for the other implementation"
    return (variant(f"attention-{other}", f"Exported from {other} attention", options, predicted, why),)


EXPERIMENT = experiment(
    "attention",
    "Exported from another attention",
    "Exports the model with its eager attention instead of scaled_dot_product_attention, or the other way round:"
    " exporters write them differently, and only one has a guard against fully masked rows.",
    "onnxruntime",
    variants,
    flags="--attention NAME",
    basis="the guard behind Softmax, which eager attention lacks; none for the other direction, which no profile shows",
)
