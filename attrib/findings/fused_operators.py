"""fused-operators: what ONNX Runtime gains, or loses, by running several calls as fewer nodes."""

from collections import defaultdict

from attrib.findings.protocol import Evidence, Rule, Verdict
from attrib.findings.select import MOST_GROUPS, compared, counted, delta_ns, ids, nodes_of, rows_of
from attrib.model.document import EvidenceRow, LedgerRow
from attrib.units import format_interval

OPTIMIZERS = {
    "SkipLayerNormalization": "SkipLayerNormFusion",
    "EmbedLayerNormalization": "EmbedLayerNormFusion",
    "BiasGelu": "BiasGeluFusion",
    "FastGelu": "FastGeluFusion",
    "QuickGelu": "QuickGeluFusion",
    "FusedGemm": "GemmActivationFusion",
    "BiasSoftmax": "BiasSoftmaxFusion",
}
"""Which graph transformer of ONNX Runtime makes a fused node, by the name that the session option takes."""


def audit(evidence: Evidence) -> Verdict:
    """Compare the fused nodes with the calls that they replace."""
    rows = rows_of(evidence, "fused")
    if not rows:
        return Verdict(failed=False, summary="ONNX Runtime fused no operators that PyTorch runs apart.")
    slower = delta_ns(rows) > 0
    groups = by_kind(rows)
    nodes = counted(len(nodes_of(rows)), "fused node is", "fused nodes are")
    return Verdict(
        failed=True,
        rows=ids(rows),
        detail=f"{nodes} {'slower' if slower else 'faster'}",
        summary=f"What several calls do in PyTorch and fewer nodes in ONNX Runtime takes {compared(rows)}.",
        evidence=tuple(_line(evidence, kind, group) for kind, group in groups[:MOST_GROUPS]),
        fix=_fix(groups) if slower else "Nothing to mend: this is what the optimizer gains.",
    )


def _fix(groups: list[tuple[str, list[LedgerRow]]]) -> str:
    """The option that switches the slow fusions off, by name where the name is known."""
    nodes = dict.fromkeys(
        op for _, rows in groups if delta_ns(rows) > 0 for row in rows for op in row.onnx_ops
    )
    names = [OPTIMIZERS[op] for op in nodes if op in OPTIMIZERS]
    value = ";".join(names) or "NAME"
    return (
        "Switch the fusion off: `session_options.add_session_config_entry("
        f"'optimization.disable_specified_optimizers', '{value}')`."
    )


def by_kind(rows: tuple[LedgerRow, ...]) -> list[tuple[str, list[LedgerRow]]]:
    """Rows by what was fused into what, the largest difference first."""
    groups: dict[str, list[LedgerRow]] = defaultdict(list)
    for row in rows:
        calls, nodes = (" + ".join(dict.fromkeys(ops)) for ops in (row.torch_ops, row.onnx_ops))
        groups[f"{calls} → {nodes}"].append(row)
    return sorted(groups.items(), key=lambda item: (-abs(delta_ns(item[1])), item[0]))


def _line(evidence: Evidence, kind: str, group: list[LedgerRow]) -> EvidenceRow:
    total = evidence.ledger.total(ids(group))
    figure = format_interval(total.median, total.low, total.high)
    text = f"{len(group)} times {kind}: {compared(group)} ({figure})"
    return EvidenceRow(text=text, rows=ids(group), value_ns=total.median)


RULE = Rule(
    id="fused-operators",
    passed="Fused operators make no measurable difference",
    failed="{} than the calls they replace",
    example="24 fused nodes are faster",
    about=(
        "ONNX Runtime's optimizer merges chains of operators into one node (SkipLayerNormalization, BiasGelu, "
        "FusedMatMul), which saves passes over memory and is a common reason for it to be faster. A fused "
        "kernel can also be the slower one: a fused attention took 0.88 s where its parts took 0.26 s in "
        "microsoft/onnxruntime#19924. The rule adds up the ledger rows of the cause `fused`, in either direction."
    ),
    cause="fused",
    needs=("delta", "partitions", "regions"),
    direction="any",
    audit=audit,
)
