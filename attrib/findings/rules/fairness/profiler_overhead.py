"""profiler-overhead: recording changed the steps so much that the shares are rough."""

from attrib.findings.evidence.advice import more_work, phrase
from attrib.findings.evidence.ledger_queries import ids, rows_of, side_ns
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.manifest import ENGINE_NAMES, ROLES
from attrib.units import format_ns, format_percent

SHARE_LIMIT = 0.10
"""Share of a plain step that the calibration did not explain. Below, the larger causes keep their order."""


def audit(evidence: Evidence) -> RuleResult:
    """Compare the row `profiler overhead` of each side with its plain step."""
    rows = rows_of(evidence, "profiler_overhead")
    plain = {"torch": evidence.latency.torch_ns, "onnxruntime": evidence.latency.onnxruntime_ns}
    steps = {role: max(estimate.median if estimate else 0, 1) for role, estimate in plain.items()}
    left = {role: side_ns(rows, role) for role in ROLES}
    shares = {role: abs(left[role]) / steps[role] for role in ROLES}
    large = [role for role in ROLES if shares[role] > SHARE_LIMIT]
    worst = max(ROLES, key=lambda role: shares[role])
    texts = {
        role: f"{ENGINE_NAMES[role]}: {format_ns(left[role], sign=True)} ({format_percent(shares[role])} of its plain step)"
        for role in ROLES
    }
    rough = " and ".join(
        f"{ENGINE_NAMES[role]} (± {format_percent(shares[role])} of the step)" for role in large
    )
    return RuleResult(
        failed=bool(large),
        detail=f"{format_ns(abs(left[worst]))} of a step of {ENGINE_NAMES[worst]} ({format_percent(shares[worst])})",
        summary="Plain minus profiled steps, after the calibrated cost of recording was taken out of these:"
        f" {'; '.join(texts.values())}."
        + (
            f" Shares of {rough} are rough. The headline is not affected: it rests on plain steps."
            if large
            else ""
        ),
        evidence=tuple(EvidenceRow(text=texts[role], rows=ids(rows), value_ns=left[role]) for role in large),
        fix=phrase(
            "Record larger calls, so that the cost of recording is a smaller share: {}.", more_work(evidence)
        )
        or "Record larger calls, so that the cost of recording is a smaller share: larger inputs of the same model.",
    )


RULE = Rule(
    id="profiler-overhead",
    passed="The profilers changed little: the shares can be trusted",
    failed="Not explained: {}",
    example="15 ms of a step of PyTorch (18 %)",
    about=(
        "Recording costs time for each operator: nothing on BERT-base, several times the step on a tiny model (445 µs"
        " became 2,896 µs here). attrib takes the calibrated cost out of each operator and puts the rest, positive or"
        " negative, into a row of its own, which is in no share. The rule says where that rest is so large that the shares"
        " are rough. The headline rests on plain steps, which no profiler touches."
    ),
    cause=None,
    needs=("delta", "partitions"),
    direction="any",
    audit=audit,
    tier="cause",
    catalog=("C24",),
    unproved="Steps without a profiler are the headline already: there is nothing left to take away.",
)
