"""opset: the model exported in another opset."""

import shlex

from msgspec.structs import replace

from attrib.findings.rules.graph.decomposed_attention import WHOLE_ATTENTION_OPSET
from attrib.verify.experiments.change import NOT_EXPORTED, experiment, saw_graph, variant
from attrib.verify.predict.bounds import attention_glue
from attrib.verify.protocol import ExperimentContext, Inapplicable, Variant


def variants(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
    """The first opset that has an Attention operator, where it is newer; the exporter's own, where the user chose one."""
    if context.options.onnx is not None:
        return NOT_EXPORTED
    found = (*_whole_attention(context), *_own_choice(context))
    return found or Inapplicable(
        reason=f"opset {_opset(context)} has the Attention operator already, and the exporter chose it"
    )


def _opset(context: ExperimentContext) -> int:
    side = context.manifest.sides["onnxruntime"]
    return context.options.opset or side.opset


def _whole_attention(context: ExperimentContext) -> tuple[Variant, ...]:
    if _opset(context) >= WHOLE_ATTENTION_OPSET:
        return ()
    number = WHOLE_ATTENTION_OPSET
    predicted = attention_glue(context) if saw_graph(context) else None
    why = (
        "no attention is seen that runs node by node"
        if saw_graph(context)
        else "the graph that ran is not known"
    )
    options = replace(context.options, opset=number)
    return (variant(f"opset-{number}", f"Exported in opset {number}", options, predicted, why),)


def _own_choice(context: ExperimentContext) -> tuple[Variant, ...]:
    """A capture records the opset that was written; that the user chose it, only the command says."""
    if context.options.opset is None or not _names_opset(context.manifest.command):
        return ()
    options = replace(context.options, opset=None)
    why = "which opset the exporter chooses is known only when it has exported"
    return (variant("opset-default", "Exported in the exporter's own opset", options, None, why),)


def _names_opset(command: str) -> bool:
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    return any(word == "--opset" or word.startswith("--opset=") for word in words)


EXPERIMENT = experiment(
    "opset",
    "Another opset",
    f"Exports the model in opset {WHOLE_ATTENTION_OPSET}, in which ONNX has an Attention operator, so that the"
    " exporter need not take attention apart; or in the exporter's own opset.",
    "onnxruntime",
    variants,
    flags="--opset N",
    basis="at most what lies between the products and Softmax of attention",
)
