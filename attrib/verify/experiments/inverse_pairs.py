"""inverse-pairs: casts, transposes and reshapes that undo each other taken out of the graph."""

from attrib.findings.evidence.executed_graph import executed_graph
from attrib.findings.evidence.ledger_queries import op_counts
from attrib.findings.rules.graph.inverse_transposes import RULE as INVERSE_TRANSPOSES
from attrib.findings.rules.graph.redundant_casts import inverse_casts
from attrib.model.experiment import Prediction
from attrib.units import format_ns
from attrib.verify.experiments.change import NO_GRAPH, experiment, rewritten, saw_graph, variant
from attrib.verify.predict.claims import verdict_of
from attrib.verify.predict.nodes import vanishing
from attrib.verify.predict.prediction import estimate
from attrib.verify.protocol import Inapplicable, Situation, Variant

REWRITE = "drop-inverse-pairs"


def variants(situation: Situation) -> tuple[Variant, ...] | Inapplicable:
    """Without the pairs, where ONNX Runtime ran any."""
    if REWRITE in situation.options.optimize:
        return Inapplicable(reason=f"the capture used {REWRITE} already")
    if not saw_graph(situation):
        return NO_GRAPH
    nodes = paired(situation)
    if not nodes:
        return Inapplicable(
            reason="no Cast, Transpose or Reshape of the graph that ran is undone by a later one"
        )
    options = rewritten(situation.options, REWRITE)
    return (variant("inverse-pairs", "No inverse pairs", options, _predicted(situation, nodes)),)


def paired(situation: Situation) -> tuple[str, ...]:
    """Executed nodes of which one undoes the other."""
    ran = executed_graph(situation.evidence)
    verdict = verdict_of(situation, INVERSE_TRANSPOSES)
    moves = verdict.works if verdict is not None else ()
    names = {name for pair in inverse_casts(ran) for name in pair}
    casts = ran.ids(node for node in ran.graph.nodes if node.name in names)
    known = situation.evidence.work["onnxruntime"]
    return tuple(dict.fromkeys(name for name in (*moves, *casts) if name in known))


def _predicted(situation: Situation, nodes: tuple[str, ...]) -> Prediction:
    time = vanishing(situation, nodes)
    ops = op_counts(situation.evidence, "onnxruntime", nodes)
    basis = f"{ops} undo each other and take {format_ns(time.median)}, the executor's own time included."
    return estimate(situation, "onnxruntime", time, basis, nodes)


EXPERIMENT = experiment(
    "inverse-pairs",
    "No inverse pairs",
    "Takes out Cast, Transpose and Reshape nodes of which one undoes the other without losing anything, also"
    " across nodes to which the order of the axes is nothing.",
    "onnxruntime",
    variants,
    flags="--optimize drop-inverse-pairs",
    basis="the time of the pairs, and of the executor for them",
)
