"""prune-heads: leave out a share of the attention heads, which changes the model."""

from attrib.verify.experiments.change import NO_GRAPH, experiment, saw_graph, variant, with_rewrite
from attrib.verify.predict.heads import heads_of, without_heads
from attrib.verify.protocol import ExperimentContext, Inapplicable, Variant

REWRITE = "prune-heads"
SHARE = 0.25
"""Share of the heads that `attrib.rewrite.surgery.prune_heads` leaves out."""


def variants(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
    """Fewer heads, where there are several."""
    if REWRITE in context.options.optimize:
        return Inapplicable(reason=f"the capture used {REWRITE} already")
    if not saw_graph(context):
        return NO_GRAPH
    if heads_of(context)[0] <= 1:
        return Inapplicable(reason="no attention with several heads is seen in the graph that ran")
    options = with_rewrite(context.options, REWRITE)
    return (variant(REWRITE, "A quarter fewer heads", options, without_heads(context, SHARE)),)


EXPERIMENT = experiment(
    "prune-heads",
    "Fewer attention heads",
    "Leaves out the quarter of the attention heads whose weights are smallest, to show what pruning could save;"
    " only the model's accuracy can say whether it is still good enough.",
    "onnxruntime",
    variants,
    changes_numbers=True,
    flags="--optimize prune-heads",
    basis="a quarter of the products and of Softmax of attention",
)
