"""onnxscript, ort-transformers, onnxslim: let another tool rewrite the graph before ONNX Runtime opens it."""

from collections.abc import Callable

from attrib.model.experiment import Prediction
from attrib.verify.experiments.change import Variants, experiment, saw_graph, variant, with_rewrite
from attrib.verify.predict.bounds import glue_nodes, moving_nodes
from attrib.verify.protocol import Experiment, ExperimentContext, Inapplicable, Variant

Bound = Callable[[ExperimentContext], Prediction | None]


def rewriting(rewrite: str, title: str, bound: Bound, covers: tuple[str, ...] = ()) -> Variants:
    """The one variant of an offline rewrite; `covers` are rewrites that do the same and more."""

    def variants(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
        used = next((name for name in context.options.optimize if name in (rewrite, *covers)), None)
        if used:
            return Inapplicable(reason=f"the capture used {used} already")
        predicted = bound(context) if saw_graph(context) else None
        why = (
            "no node is left that it could take in"
            if saw_graph(context)
            else "the graph that ran is not known"
        )
        return (variant(rewrite, title, with_rewrite(context.options, rewrite), predicted, why),)

    return variants


EXPERIMENTS: tuple[Experiment, ...] = (
    experiment(
        "onnxscript",
        "Fused by onnxscript",
        "Rewrites the exported graph with onnxscript's `optimize_for_ort`, which fuses attention, norms and GELU,"
        " and knows what the dynamo exporter writes.",
        "onnxruntime",
        rewriting("onnxscript", "Fused by onnxscript", glue_nodes),
        packages=("onnxscript",),
        flags="--optimize onnxscript",
        basis="at most the nodes that fusions can take in",
    ),
    experiment(
        "ort-transformers",
        "Fused by onnxruntime.transformers",
        "Rewrites the exported graph with `onnxruntime.transformers.optimizer`, whose fusions know the"
        " architectures of transformers and need the patterns of the TorchScript exporter.",
        "onnxruntime",
        rewriting(
            "ort-transformers",
            "Fused by onnxruntime.transformers",
            glue_nodes,
            ("optimum-o2", "optimum-o3", "optimum-o4"),
        ),
        flags="--optimize ort-transformers",
        basis="at most the nodes that fusions can take in",
    ),
    experiment(
        "onnxslim",
        "Simplified by onnxslim",
        "Folds and removes nodes with onnxslim, before ONNX Runtime does so with its own rules.",
        "onnxruntime",
        rewriting("onnxslim", "Simplified by onnxslim", moving_nodes),
        packages=("onnxslim",),
        flags="--optimize onnxslim",
        basis="at most the nodes that move, convert or measure data",
    ),
)
