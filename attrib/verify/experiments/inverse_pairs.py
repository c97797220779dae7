"""inverse-pairs: take casts, transposes and reshapes that undo each other out of the graph."""

from attrib.findings.evidence.executed_graph import executed_graph
from attrib.findings.evidence.ledger_queries import op_counts
from attrib.findings.rules.graph.inverse_transposes import RULE as INVERSE_TRANSPOSES
from attrib.findings.rules.graph.redundant_casts import inverse_casts
from attrib.units import format_ns
from attrib.verify.experiments.change import NO_GRAPH, experiment, saw_graph, variant, with_rewrite
from attrib.verify.predict.claims import run_rule
from attrib.verify.predict.nodes import time_of_removal
from attrib.verify.predict.prediction import estimate
from attrib.verify.protocol import ExperimentContext, Inapplicable, Variant

REWRITE = "drop-inverse-pairs"


def variants(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
    """The graph without such pairs, where ONNX Runtime ran any."""
    if REWRITE in context.options.optimize:
        return Inapplicable(reason=f"the capture used {REWRITE} already")
    if not saw_graph(context):
        return NO_GRAPH
    nodes = find_pairs(context)
    if not nodes:
        return Inapplicable(
            reason="no Cast, Transpose or Reshape of the graph that ran is undone by a later one"
        )
    options = with_rewrite(context.options, REWRITE)
    time = time_of_removal(context, nodes)
    ops = op_counts(context.evidence, "onnxruntime", nodes)
    basis = f"{ops} undo each other and take {format_ns(time.median)}, the executor's own time included."
    predicted = estimate(context, "onnxruntime", time, basis, nodes)
    return (variant("inverse-pairs", "No inverse pairs", options, predicted),)


def find_pairs(context: ExperimentContext) -> tuple[str, ...]:
    """Find the executed nodes of which one undoes the other."""
    ran = executed_graph(context.evidence)
    result = run_rule(context, INVERSE_TRANSPOSES)
    moves = result.works if result is not None else ()
    names = {name for pair in inverse_casts(ran) for name in pair}
    casts = ran.ids(node for node in ran.graph.nodes if node.name in names)
    known = context.evidence.work["onnxruntime"]
    return tuple(dict.fromkeys(name for name in (*moves, *casts) if name in known))


EXPERIMENT = experiment(
    "inverse-pairs",
    "No inverse pairs",
    "Takes out Cast, Transpose and Reshape nodes of which one undoes the other without losing anything, also"
    " if there are nodes between them that work on any layout.",
    "onnxruntime",
    variants,
    flags="--optimize drop-inverse-pairs",
    basis="the time of the pairs, and of the executor for them",
)
