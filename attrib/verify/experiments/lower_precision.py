"""fp16, bf16, int8-dynamic, int8-qdq: compute the graph in fewer bits, which changes the numbers."""

from msgspec.structs import replace

from attrib.findings.evidence.kernels import MATRIX_NODES
from attrib.model.experiment import Prediction
from attrib.model.work import Work
from attrib.rewrite.registry import lowest_precision
from attrib.verify.experiments.change import Variants, experiment, on_cpu, saw_graph, variant, with_rewrite
from attrib.verify.predict.bounds import products_of_weights
from attrib.verify.protocol import Experiment, ExperimentContext, Inapplicable, Variant

_NO_BF16 = Inapplicable(
    reason="ONNX Runtime's CPU provider has no bfloat16 kernels for a transformer's products"
)


def fp16(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
    """The graph converted to float16."""
    if why := _lower_already(context):
        return why
    unpredicted = (
        "the CPU provider has few float16 kernels and needs casts around the other nodes; a profile of the float32"
        " graph does not show what the casts cost, or which fusions they prevent"
        if on_cpu(context)
        else "a profile of float32 does not show how much faster this GPU computes in float16"
    )
    return (variant("fp16", "float16", with_rewrite(context.options, "float16"), None, unpredicted),)


def bf16(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
    """The model exported in bfloat16, where a provider can run it."""
    if on_cpu(context):
        return _NO_BF16
    if why := _lower_already(context):
        return why
    options = replace(context.options, precision="bf16")
    return (
        variant(
            "bf16",
            "bfloat16",
            options,
            None,
            "a profile of float32 does not show how much faster bfloat16 is here",
        ),
    )


def _lower_already(context: ExperimentContext) -> Inapplicable | None:
    options = context.options
    now = lowest_precision(options.precision, options.optimize)
    return Inapplicable(reason=f"the capture computes in {now} already") if now != "fp32" else None


def _int8(rewrite: str, title: str, *, predicted: bool) -> Variants:
    def variants(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
        if why := _lower_already(context):
            return why
        bound = weight_products(context) if predicted and saw_graph(context) else None
        why_not = (
            "the pairs of QuantizeLinear and DequantizeLinear go into integer kernels only where ONNX Runtime's"
            " patterns fit; elsewhere they cost more than the products gain"
            if not predicted
            else "no product of activations and weights is seen"
        )
        return (variant(rewrite, title, with_rewrite(context.options, rewrite), bound, why_not),)

    return variants


def weight_products(context: ExperimentContext) -> Prediction | None:
    """Bound the saving by the products of which one factor is a weight: those that quantization replaces."""
    graph = context.evidence.optimized
    weighted: set[str] = set()
    if graph is not None:
        weighted = {node.name for node in graph.nodes if not graph.constants.isdisjoint(node.inputs[1:2])}

    def reads_weight(work: Work) -> bool:
        return work.op in MATRIX_NODES and work.id in weighted

    return products_of_weights(context, reads_weight)


EXPERIMENTS: tuple[Experiment, ...] = (
    experiment(
        "fp16",
        "float16",
        "Converts the graph to float16: twice the rate on a GPU, casts around most nodes on a CPU.",
        "onnxruntime",
        fp16,
        changes_numbers=True,
        flags="--optimize float16",
        basis="none: a profile of float32 shows neither the casts nor the speed of another precision",
    ),
    experiment(
        "bf16",
        "bfloat16",
        "Exports the model in bfloat16, for a provider that has kernels for it.",
        "onnxruntime",
        bf16,
        changes_numbers=True,
        flags="--precision bf16",
        basis="none: a profile of float32 does not show the speed of another precision",
    ),
    experiment(
        "int8-dynamic",
        "int8, dynamic",
        "Stores weights as int8 and quantizes activations in every step: products run on integers.",
        "onnxruntime",
        _int8("int8-dynamic", "int8, dynamic", predicted=True),
        changes_numbers=True,
        flags="--optimize int8-dynamic",
        basis="at most the products of activations and weights",
    ),
    experiment(
        "int8-qdq",
        "int8, static (QDQ)",
        "Quantizes weights and activations with scales from a calibration, as QuantizeLinear and DequantizeLinear pairs.",
        "onnxruntime",
        _int8("int8-qdq", "int8, static (QDQ)", predicted=False),
        changes_numbers=True,
        flags="--optimize int8-qdq",
        basis="none: whether pairs become integer kernels, only the optimized graph shows",
    ),
)
