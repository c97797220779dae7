"""extra-nodes: work that only ONNX Runtime does, and no other rule explains."""

from attrib.findings.evidence.advice import other_exporter, phrase
from attrib.findings.evidence.ledger_queries import (
    both_times,
    delta_ns,
    ids,
    module_lines,
    nodes_of,
    op_counts,
    rows_of,
)
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.wording import counted, listed


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the computing nodes that no call of PyTorch stands behind."""
    # Where a module also has calls without a node, these may be the counterpart that the match has missed.
    open_calls = {row.module for row in evidence.ledger.rows if row.torch_calls and not row.onnx_nodes}
    rows = tuple(row for row in rows_of(evidence, "extra_work") if row.module not in open_calls)
    nodes = nodes_of(rows)
    if not nodes:
        return RuleResult(failed=False, summary="Every computing node has a call of PyTorch behind it.")
    exported = tuple(dict.fromkeys(name for row in rows for name in row.exported))
    return RuleResult(
        failed=delta_ns(rows) > 0,
        rows=ids(rows),
        detail=counted(len(nodes), "node computes", "nodes compute"),
        summary=f"{op_counts(evidence, 'onnxruntime', nodes)}: {both_times(rows)}."
        + (f" In the exported graph: {listed(exported)}." if exported else ""),
        evidence=module_lines(evidence, rows),
        fix="See what they are for with `attrib explain TRACE_DIR NODE`."
        + phrase(" What the exporter added may be absent with {}.", other_exporter(evidence)),
    )


RULE = Rule(
    id="extra-nodes",
    passed="No measurable time goes into nodes that PyTorch has no call for",
    failed="{} what PyTorch does not",
    example="12 nodes compute",
    about=(
        "Nodes without a counterpart: the static graph computes a branch that eager PyTorch skips, an exporter guards"
        " against a case that does not occur, a post-processing step was put into the graph. The rule adds up the rows of"
        " the cause `extra_work` that no more specific rule has explained."
    ),
    cause="extra_work",
    needs=("delta", "partitions", "regions"),
    direction="slower",
    audit=audit,
    tier="remainder",
    catalog=("C14",),
    experiments=("exporter", "onnxslim", "onnxscript", "opset"),
)
