"""What a rule claims is what its fix is predicted to save: finding and experiment show one figure."""

from msgspec.structs import replace

from attrib.analysis.match.compiled import is_compiled
from attrib.findings.protocol import Rule, Verdict
from attrib.findings.runner import NEEDS
from attrib.model.experiment import Prediction
from attrib.verify.predict.nodes import executor, time_of
from attrib.verify.predict.prediction import PEER_MARGIN, estimate, plus, widen
from attrib.verify.protocol import ExperimentContext

_CUT = "They also cut the graph that the provider compiles: what it would do better with the whole graph, no profile shows."


def verdict_of(context: ExperimentContext, rule: Rule) -> Verdict | None:
    """What a rule says here; None where evidence that it needs is missing."""
    evidence = context.evidence
    if not all(NEEDS[need].met(evidence) for need in rule.needs):
        return None
    return rule.audit(evidence)


def predict_claim(context: ExperimentContext, verdict: Verdict) -> Prediction | None:
    """The claim of a verdict as a prediction; None where it claims nothing.

    What the claim holds beyond, or leaves of, the time of its nodes is told by peers: it may err. Nodes that go and leave
    nothing in their place also spare the executor.
    """
    if verdict.claim is None:
        return None
    works = context.evidence.work.get("onnxruntime", {})
    nodes = [name for name in verdict.works if name in works]
    told = time_of(context, nodes).median - verdict.claim.median
    freed = executor(context, len(nodes) if told <= 0 else 0)
    saving = widen(plus(verdict.claim, freed), PEER_MARGIN * abs(told))
    basis = " ".join(verdict.summary.split())
    return with_cuts(context, estimate(context, "onnxruntime", saving, basis, verdict.works))


def with_cuts(context: ExperimentContext, found: Prediction) -> Prediction:
    """A prediction for nodes that go, `at_least` where a provider compiled the rest: they cut its graph."""
    works = context.evidence.work.get("onnxruntime", {})
    if not any(is_compiled(work) for work in works.values()):
        return found
    return replace(found, kind="at_least", basis=f"{found.basis} {_CUT}")
