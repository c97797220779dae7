"""exporter: export the model with torch's other exporter."""

from msgspec.structs import replace

from attrib.model.capture_options import Exporter
from attrib.verify.experiments.change import NOT_EXPORTED, experiment, saw_graph, variant
from attrib.verify.predict.bounds import moving_nodes
from attrib.verify.protocol import ExperimentContext, Inapplicable, Variant

OTHER: dict[Exporter, Exporter] = {"dynamo": "torchscript", "torchscript": "dynamo"}
_COMMON_OPSETS = range(17, 24)
"""Opsets that both exporters of torch 2.13 write (`attrib.capture.export.engine.EXPORTERS`)."""


def variants(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
    """The other exporter, with the same opset if it can write that one."""
    options = context.options
    if options.onnx is not None:
        return NOT_EXPORTED
    other = OTHER[options.exporter]
    opset = options.opset if options.opset in _COMMON_OPSETS else None
    changed = replace(options, exporter=other, opset=opset)
    predicted = moving_nodes(context) if saw_graph(context) else None
    why = "the profile does not show which nodes another exporter writes"
    return (variant("exporter", f"Exported by {other}", changed, predicted, why),)


EXPERIMENT = experiment(
    "exporter",
    "The other exporter",
    "Exports the model with torch's other exporter (dynamo or TorchScript), which writes the same products with"
    " other nodes around them.",
    "onnxruntime",
    variants,
    flags="--exporter NAME",
    basis="at most the nodes that move, convert or measure data",
)
