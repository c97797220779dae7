"""slower-fusion: fused nodes that take longer than the calls of PyTorch that they cover."""

from attrib.findings.evidence.fusions import fusion_line, group_by_fusion, optimizers_of
from attrib.findings.evidence.ledger_queries import MOST_GROUPS, both_times, ids, nodes_of, rows_of
from attrib.findings.evidence.significance import is_certain
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.wording import counted, listed


def audit(evidence: Evidence) -> RuleResult:
    """Find the kinds of fusions that cost time."""
    groups = group_by_fusion(evidence, rows_of(evidence, "fused"))
    totals = [evidence.ledger.total(ids(group)) for _, group in groups]
    slow = [
        pair
        for pair, total in zip(groups, totals, strict=True)
        if total.median > 0 and is_certain(total, len(groups), evidence.launches)
    ]
    if not slow:
        kinds = counted(len(groups), "kind of fusion", "kinds of fusions")
        return RuleResult(
            failed=False, summary=f"{kinds} compared with PyTorch's calls: none is slower for certain."
        )
    rows = tuple(row for _, group in slow for row in group)
    names = optimizers_of(evidence, rows)
    flags = " ".join(f"--disable-optimizer {name}" for name in names) or "--disable-optimizer NAME"
    value = ";".join(names) or "NAME"
    return RuleResult(
        failed=True,
        rows=ids(rows),
        detail=counted(len(nodes_of(rows)), "fused node takes", "fused nodes take"),
        summary=f"{listed([kind for kind, _ in slow])}: {both_times(rows)}. "
        + (f"They were made by {listed(names)}." if names else "Which optimizer made them is not known."),
        evidence=tuple(fusion_line(evidence, kind, group) for kind, group in slow[:MOST_GROUPS]),
        fix=f"See whether the parts are faster: `attrib profile {flags}`, in code"
        f" `session_options.add_session_config_entry('optimization.disable_specified_optimizers', '{value}')`.",
    )


RULE = Rule(
    id="slower-fusion",
    passed="No fused node takes longer than the calls that it covers",
    failed="{} longer than the calls that they cover",
    example="5 fused nodes take",
    about=(
        "A fused kernel saves passes over memory, but it is another kernel, and may be the worse one: CPU MultiHeadAttention"
        " took 0.88 s where its parts, like PyTorch, took 0.26 s (microsoft/onnxruntime#19924). The rule groups the ledger"
        " rows of the cause `fused` by what was fused into what, keeps the groups that lie above 0 after a correction for"
        " their number, and names the optimizer that made them. Only the experiment tells what the parts would"
        " take in ONNX Runtime."
    ),
    cause="fused",
    needs=("delta", "partitions", "regions"),
    direction="slower",
    audit=audit,
    catalog=("C8",),
    experiments=("disabled-optimizer",),
)
