"""opset: the model exported in another opset."""

import shlex

from msgspec.structs import replace

from attrib.findings.rules.graph.decomposed_attention import WHOLE_ATTENTION_OPSET
from attrib.verify.experiments.change import NOT_EXPORTED, experiment, saw_graph, variant
from attrib.verify.predict.bounds import attention_glue
from attrib.verify.protocol import Inapplicable, Situation, Variant


def variants(situation: Situation) -> tuple[Variant, ...] | Inapplicable:
    """The first opset that has an Attention operator, where it is newer; the exporter's own, where the user chose one."""
    if situation.options.onnx is not None:
        return NOT_EXPORTED
    found = (*_whole_attention(situation), *_own_choice(situation))
    return found or Inapplicable(
        reason=f"opset {_opset(situation)} has the Attention operator already, and the exporter chose it"
    )


def _opset(situation: Situation) -> int:
    side = situation.manifest.sides["onnxruntime"]
    return situation.options.opset or side.opset


def _whole_attention(situation: Situation) -> tuple[Variant, ...]:
    if _opset(situation) >= WHOLE_ATTENTION_OPSET:
        return ()
    number = WHOLE_ATTENTION_OPSET
    predicted = attention_glue(situation) if saw_graph(situation) else None
    why = (
        "no attention is seen that runs node by node"
        if saw_graph(situation)
        else "the graph that ran is not known"
    )
    options = replace(situation.options, opset=number)
    return (variant(f"opset-{number}", f"Exported in opset {number}", options, predicted, why),)


def _own_choice(situation: Situation) -> tuple[Variant, ...]:
    """A capture records the opset that was written; that the user chose it, only the command says."""
    if situation.options.opset is None or not _names_opset(situation.manifest.command):
        return ()
    options = replace(situation.options, opset=None)
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
