"""What a rule claims is what its fix is predicted to save: finding and experiment show one figure."""

from msgspec.structs import replace

from attrib.analysis.match.compiled import is_compiled
from attrib.findings.protocol import Rule, RuleResult
from attrib.findings.runner import NEEDS
from attrib.model.experiment import Prediction
from attrib.verify.predict.nodes import executor, spent
from attrib.verify.predict.prediction import PEER_MARGIN, estimate, plus, widened
from attrib.verify.protocol import Situation

_CUT = "They also cut the graph that the provider compiles: what it would do better with the whole graph, no profile shows."


def verdict_of(situation: Situation, rule: Rule) -> RuleResult | None:
    """What a rule says here; None where evidence that it needs is missing."""
    evidence = situation.evidence
    if not all(NEEDS[need].met(evidence) for need in rule.needs):
        return None
    return rule.audit(evidence)


def claimed(situation: Situation, verdict: RuleResult) -> Prediction | None:
    """The claim of a verdict as a prediction; None where it claims nothing.

    What the claim holds beyond, or leaves of, the time of its nodes is told by peers: it may err. Nodes that go and leave
    nothing in their place also spare the executor.
    """
    if verdict.claim is None:
        return None
    works = situation.evidence.work.get("onnxruntime", {})
    nodes = [name for name in verdict.works if name in works]
    told = spent(situation, nodes).median - verdict.claim.median
    freed = executor(situation, len(nodes) if told <= 0 else 0)
    saving = widened(plus(verdict.claim, freed), PEER_MARGIN * abs(told))
    basis = " ".join(verdict.summary.split())
    return with_cuts(situation, estimate(situation, "onnxruntime", saving, basis, verdict.works))


def with_cuts(situation: Situation, found: Prediction) -> Prediction:
    """A prediction for nodes that go, `at_least` where a provider compiled the rest: they cut its graph."""
    works = situation.evidence.work.get("onnxruntime", {})
    if not any(is_compiled(work) for work in works.values()):
        return found
    return replace(found, kind="at_least", basis=f"{found.basis} {_CUT}")
