"""disabled-optimizer: ONNX Runtime without one of its graph optimizers."""

from msgspec.structs import replace

from attrib.analysis.lineage.rewrites import UNKNOWN, Step
from attrib.findings.evidence.executed_graph import executed_graph
from attrib.findings.evidence.ledger_queries import delta_ns, rows_holding
from attrib.model.experiment import Prediction
from attrib.units import format_ns
from attrib.verify.experiments.change import NO_GRAPH, experiment, saw_graph, variant
from attrib.verify.predict.prediction import estimate
from attrib.verify.predict.unfused import Unfused, undone, written_by
from attrib.verify.protocol import Inapplicable, Situation, Variant

MOST = 6
"""Variants of one run: each is a session and a measurement."""

_NEEDED = frozenset({UNKNOWN, "InsertCastTransformer", "MemcpyTransformer"})
"""Not known by name, or without which a session cannot run at all."""


def variants(situation: Situation) -> tuple[Variant, ...] | Inapplicable:
    """With all optimizers where some were left out; without each whose nodes look slower than what they replaced."""
    again = _with_all(situation)
    without = _without_suspects(situation)
    if isinstance(without, Inapplicable):
        return again or without
    return (*again, *without)


def _with_all(situation: Situation) -> tuple[Variant, ...]:
    left_out = situation.options.disabled_optimizers
    if not left_out:
        return ()
    why = f"what {' and '.join(left_out)} would write is in no profile that was taken without"
    return (
        variant(
            "with-all-optimizers",
            "With all optimizers",
            replace(situation.options, disabled_optimizers=()),
            None,
            why,
        ),
    )


def _without_suspects(situation: Situation) -> tuple[Variant, ...] | Inapplicable:
    """Without each optimizer whose nodes cost more than PyTorch's calls, or more than what they replaced would."""
    if not saw_graph(situation) or not situation.chain.steps:
        return NO_GRAPH
    written = {name: steps for name, steps in written_by(situation).items() if name not in _NEEDED}
    if not written:
        return Inapplicable(
            reason="no node of the graph that ran was written by an optimizer that can be left out"
        )
    found = {name: undone(situation, steps) for name, steps in written.items()}
    suspects = [name for name, steps in written.items() if _suspect(situation, steps, found[name])]
    chosen = sorted(suspects, key=lambda name: (-found[name].saving.median, name))[:MOST]
    return tuple(_without(situation, name, found[name]) for name in chosen) or Inapplicable(
        reason=f"what {', '.join(sorted(written))} wrote is faster than PyTorch's calls, and than what it replaced"
    )


def _suspect(situation: Situation, steps: tuple[Step, ...], found: Unfused) -> bool:
    if found.saving.median > 0:
        return True
    if situation.evidence.latency.torch_ns is None:
        return False
    ran = executed_graph(situation.evidence)
    written = ran.ids(ran.graph.nodes[j] for step in steps for j in step.after)
    return delta_ns(rows_holding(situation.evidence, written)) > 0


def _without(situation: Situation, name: str, found: Unfused) -> Variant:
    options = replace(situation.options, disabled_optimizers=(*situation.options.disabled_optimizers, name))
    return variant(
        f"without-{name.replace('_', '-')}", f"Without {name}", options, _predicted(situation, found)
    )


def _predicted(situation: Situation, found: Unfused) -> Prediction:
    basis = (
        f"The nodes that it wrote in {found.steps} places take {format_ns(found.written_ns)}, products left out;"
        f" told by other nodes of the run, {found.ops} would take {format_ns(found.instead_ns.low)} to"
        f" {format_ns(found.instead_ns.high)}."
    )
    return estimate(situation, "onnxruntime", found.saving, basis, found.written)


EXPERIMENT = experiment(
    "disabled-optimizer",
    "Without one graph optimizer",
    "Leaves out one of ONNX Runtime's optimizers, for each that wrote nodes which are slower than PyTorch's calls"
    " or than what they replaced: a fused kernel can lose.",
    "onnxruntime",
    variants,
    flags="--disable-optimizer NAME",
    basis="the nodes that it wrote, less what they replaced, told by other nodes of the run",
)
