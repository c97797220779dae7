"""Predictions from the claims of rules, so that a finding and the experiment that proves it show one figure."""

from msgspec.structs import replace

from attrib.analysis.match.compiled import is_compiled
from attrib.findings.protocol import Rule, RuleResult
from attrib.findings.runner import NEEDS, claim_of, summary_of
from attrib.model.experiment import Prediction
from attrib.verify.predict.nodes import executor, time_of
from attrib.verify.predict.prediction import PEER_MARGIN, at_most, estimate, plus, widen
from attrib.verify.protocol import ExperimentContext

_CUT = "They also cut the graph that the provider compiles; a profile does not show what it would gain from the whole graph."


def run_rule(context: ExperimentContext, rule: Rule) -> RuleResult | None:
    """Run a rule; None where evidence that it needs is missing."""
    evidence = context.evidence
    if not all(NEEDS[need].met(evidence) for need in rule.all_needs):
        return None
    return rule.audit(evidence)


def predict_claim(context: ExperimentContext, result: RuleResult) -> Prediction | None:
    """Predict the claim of a result; None where it claims nothing.

    Where the claim differs from the time of its nodes, the difference comes from other nodes of the run, and may be wrong.
    Nodes that are removed without a replacement also save the executor's time.
    """
    if result.claim is None:
        return None
    works, claim = context.evidence.work.get("onnxruntime", {}), claim_of(result, context.evidence)
    nodes = [name for name in result.works if name in works]
    told = time_of(context, nodes).median - claim.median
    freed = executor(context, len(nodes) if told <= 0 else 0)
    saving = widen(plus(claim, freed), PEER_MARGIN * abs(told))
    basis = " ".join(summary_of(result, claim).split())
    return with_cuts(context, estimate(context, "onnxruntime", saving, basis, result.works))


def bound_by_claim(
    context: ExperimentContext, result: RuleResult, works: tuple[str, ...]
) -> Prediction | None:
    """Predict at most the claim of a result, which is about these works; None where it claims nothing."""
    if result.claim is None:
        return None
    claim = claim_of(result, context.evidence)
    return at_most(context, "onnxruntime", claim, " ".join(summary_of(result, claim).split()), works)


def with_cuts(context: ExperimentContext, found: Prediction) -> Prediction:
    """Make a prediction for removed nodes `at_least` where a provider compiled the rest: such nodes cut its graph."""
    works = context.evidence.work.get("onnxruntime", {})
    if not any(is_compiled(work) for work in works.values()):
        return found
    return replace(found, kind="at_least", basis=f"{found.basis} {_CUT}")
