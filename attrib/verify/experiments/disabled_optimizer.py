"""disabled-optimizer: run ONNX Runtime without one of its graph optimizers."""

from msgspec.structs import replace

from attrib.analysis.lineage.rewrites import UNKNOWN
from attrib.findings.evidence.executed_graph import executed_graph
from attrib.findings.evidence.ledger_queries import delta_ns, rows_holding
from attrib.units import format_ns
from attrib.verify.experiments.change import NO_GRAPH, experiment, saw_graph, variant
from attrib.verify.predict.prediction import estimate
from attrib.verify.predict.unfused import Unfused, saving_of_undoing, written_by
from attrib.verify.protocol import ExperimentContext, Inapplicable, Variant

MOST = 6
"""Variants of one run at most: each takes a session and a measurement."""

_NEEDED = frozenset({UNKNOWN, "InsertCastTransformer", "MemcpyTransformer"})
"""Optimizers that cannot be left out: their name is not known, or a session cannot run without them."""


def variants(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
    """With all optimizers where some were left out; without each whose nodes look slower than what they replaced."""
    again: tuple[Variant, ...] = ()
    if left_out := context.options.disabled_optimizers:
        options = replace(context.options, disabled_optimizers=())
        why = f"a profile without {' and '.join(left_out)} does not show what they would write"
        again = (variant("with-all-optimizers", "With all optimizers", options, None, why),)
    without = _leave_out_suspects(context)
    if isinstance(without, Inapplicable):
        return again or without
    return (*again, *without)


def _leave_out_suspects(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
    """Without each optimizer whose nodes cost more than PyTorch's calls, or more than what they replaced would."""
    if not saw_graph(context) or not context.chain.steps:
        return NO_GRAPH
    written = {name: steps for name, steps in written_by(context).items() if name not in _NEEDED}
    if not written:
        return Inapplicable(
            reason="no node of the graph that ran was written by an optimizer that can be left out"
        )
    ran = executed_graph(context.evidence)
    found: dict[str, Unfused] = {}
    for name, steps in written.items():
        unfused = saving_of_undoing(context, steps)
        suspect = unfused.saving.median > 0
        if not suspect and context.evidence.latency.torch_ns is not None:
            nodes = ran.ids(ran.graph.nodes[j] for step in steps for j in step.after)
            suspect = delta_ns(rows_holding(context.evidence, nodes)) > 0
        if suspect:
            found[name] = unfused
    chosen = sorted(found, key=lambda name: (-found[name].saving.median, name))[:MOST]
    made = []
    for name in chosen:
        unfused = found[name]
        options = replace(context.options, disabled_optimizers=(*context.options.disabled_optimizers, name))
        basis = (
            f"The nodes that it wrote in {unfused.steps} places take {format_ns(unfused.written_ns)}, products left out;"
            f" judging by other nodes of the run, {unfused.ops} would take {format_ns(unfused.instead_ns.low)} to"
            f" {format_ns(unfused.instead_ns.high)}."
        )
        predicted = estimate(context, "onnxruntime", unfused.saving, basis, unfused.written)
        made.append(variant(f"without-{name.replace('_', '-')}", f"Without {name}", options, predicted))
    return tuple(made) or Inapplicable(
        reason=f"what {', '.join(sorted(written))} wrote is faster than PyTorch's calls, and than what it replaced"
    )


EXPERIMENT = experiment(
    "disabled-optimizer",
    "Without one graph optimizer",
    "Leaves out one of ONNX Runtime's optimizers, for each that wrote nodes which are slower than PyTorch's calls"
    " or than what they replaced: a fused kernel can lose.",
    "onnxruntime",
    variants,
    flags="--disable-optimizer NAME",
    basis="the nodes that it wrote, less what they replaced, estimated from other nodes of the run",
)
