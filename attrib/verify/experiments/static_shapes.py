"""static-shapes: export a graph for the sizes of the workload, where it has symbolic dimensions."""

from msgspec.structs import replace

from attrib.verify.experiments.change import NOT_EXPORTED, experiment, saw_graph, variant
from attrib.verify.predict.bounds import moving_nodes
from attrib.verify.protocol import ExperimentContext, Inapplicable, Variant


def variants(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
    """Fixed sizes, where they were symbolic."""
    if context.options.onnx is not None:
        return NOT_EXPORTED
    if not context.options.dynamic_shapes:
        return Inapplicable(reason="the graph was exported with fixed sizes already")
    options = replace(context.options, dynamic_shapes=False)
    predicted = moving_nodes(context) if saw_graph(context) else None
    why = "no node moves data or computes shapes, or the graph that ran is not known"
    return (variant("static-shapes", "Exported with fixed sizes", options, predicted, why),)


EXPERIMENT = experiment(
    "static-shapes",
    "Fixed sizes",
    "Exports the model for the sizes of the workload: shapes become constants, what computes them is folded, and"
    " fusions that must know sizes apply.",
    "onnxruntime",
    variants,
    flags="leave out --dynamic-shapes",
    basis="at most the nodes that move, convert or measure data",
)
