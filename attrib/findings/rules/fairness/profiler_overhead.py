"""profiler-overhead: recording changed the steps so much that the shares are rough."""

from attrib.findings.evidence.ledger_queries import ENGINE_NAMES, ids, rows_of
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.manifest import ROLES, Role
from attrib.units import format_ns, format_percent

SHARE_LIMIT = 0.10
"""Share of a plain step that the calibration did not explain. Below, the larger causes keep their order."""


def audit(evidence: Evidence) -> RuleResult:
    """Compare the row `profiler overhead` of each side with its plain step."""
    rows = rows_of(evidence, "profiler_overhead")
    left = {
        role: sum(row.torch_ns if role == "torch" else row.onnxruntime_ns for row in rows) for role in ROLES
    }
    shares = {role: abs(left[role]) / max(_plain(evidence, role), 1) for role in ROLES}
    large = [role for role in ROLES if shares[role] > SHARE_LIMIT]
    worst = max(ROLES, key=lambda role: shares[role])
    texts = {
        role: f"{ENGINE_NAMES[role]}: {format_ns(left[role], sign=True)} ({format_percent(shares[role])} of its plain step)"
        for role in ROLES
    }
    return RuleResult(
        failed=bool(large),
        detail=f"{format_percent(shares[worst])} of the step of {ENGINE_NAMES[worst]}",
        summary="Left over after the calibrated cost of recording was taken out: "
        + "; ".join(texts.values())
        + ". "
        + ("Shares of that engine are as rough as that; the headline holds none of it." if large else ""),
        evidence=tuple(EvidenceRow(text=texts[role], rows=ids(rows), value_ns=left[role]) for role in large),
        fix="Profile more work a call, so that recording weighs less: a larger `--batch-size` or `--seq-len`, "
        "or fewer calls "
        "(`--layers`); more `--iterations` where single blocks scatter.",
    )


def _plain(evidence: Evidence, role: Role) -> int:
    estimate = evidence.latency.torch_ns if role == "torch" else evidence.latency.onnxruntime_ns
    return estimate.median if estimate is not None else 0


RULE = Rule(
    id="profiler-overhead",
    passed="The profilers changed little: the shares can be trusted",
    failed="The profilers left {} unexplained",
    example="18 % of the step of PyTorch",
    about=(
        "Recording costs time for each operator: nothing on BERT-base, several times the step on a tiny model "
        "(445 µs became "
        "2,896 µs here). attrib takes the calibrated cost out of each operator and puts the rest, positive or "
        "negative, into a row "
        "of its own, which is in no share. The rule says where that rest is so large that the shares are rough; the "
        "headline rests on plain steps and is not touched."
    ),
    cause=None,
    needs=("delta", "partitions"),
    direction="any",
    audit=audit,
    tier="cause",
    catalog=("C24",),
    unproved="Steps without a profiler are the headline already: there is nothing left to take away.",
)
