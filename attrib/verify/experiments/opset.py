"""opset: export the model in another opset."""

import shlex

from msgspec.structs import replace

from attrib.findings.evidence.attention import WHOLE_ATTENTION_OPSET
from attrib.verify.experiments.change import NOT_EXPORTED, experiment, saw_graph, variant
from attrib.verify.predict.bounds import attention_glue
from attrib.verify.protocol import ExperimentContext, Inapplicable, Variant


def variants(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
    """The first opset that has an Attention operator, where it is newer; the exporter's own, where the user chose one."""
    options = context.options
    if options.onnx is not None:
        return NOT_EXPORTED
    now = options.opset or context.manifest.sides["onnxruntime"].opset
    found = []
    if now < WHOLE_ATTENTION_OPSET:
        number, seen = WHOLE_ATTENTION_OPSET, saw_graph(context)
        predicted = attention_glue(context) if seen else None
        why = "no attention is seen that runs node by node" if seen else "the graph that ran is not known"
        newer = replace(options, opset=number)
        found.append(variant(f"opset-{number}", f"Exported in opset {number}", newer, predicted, why))
    # A capture records the opset that was written; whether the user chose it, only the command says.
    if options.opset is not None and _names_opset(context.manifest.command):
        own = replace(options, opset=None)
        why = "which opset the exporter chooses is known only when it has exported"
        found.append(variant("opset-default", "Exported in the exporter's own opset", own, None, why))
    return tuple(found) or Inapplicable(
        reason=f"opset {now} has the Attention operator already, and the exporter chose it"
    )


def _names_opset(command: str) -> bool:
    """Whether a command line has the option `--opset`."""
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
