"""decomposed-operators: calls that became several nodes each, outside attention and the layers that ONNX Runtime fuses."""

from collections import defaultdict

from attrib.analysis.match.ops import base_op
from attrib.findings.evidence.attention import attention_regions
from attrib.findings.evidence.ledger_queries import (
    MOST_GROUPS,
    both_times,
    calls_of,
    delta_ns,
    ids,
    nodes_of,
    op_counts,
    rows_of,
)
from attrib.findings.evidence.single_operators import decomposed_layers
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow, LedgerRow
from attrib.wording import counted


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the calls that became several nodes, by what they are."""
    groups = by_call(evidence)
    rows = tuple(row for _, group in groups for row in group)
    if not rows:
        return RuleResult(
            failed=False, summary="No call became several nodes, attention and fused layers apart."
        )
    calls, nodes = calls_of(rows), nodes_of(rows)
    return RuleResult(
        failed=delta_ns(rows) > 0,
        rows=ids(rows),
        detail=f"{counted(len(calls), 'call')} became {len(nodes)} nodes",
        summary=f"{op_counts(evidence, 'torch', calls)} became {op_counts(evidence, 'onnxruntime', nodes)}:"
        f" {both_times(rows)}.",
        evidence=tuple(_line(evidence, name, group) for name, group in groups[:MOST_GROUPS]),
        fix="Let another exporter or opset write them (`--exporter torchscript`, `--opset 23`), fuse them with"
        " `--optimize onnxscript`, or give `torch.onnx.export` a translation of your own (`custom_translation_table`).",
    )


def by_call(evidence: Evidence) -> list[tuple[str, list[LedgerRow]]]:
    """Decomposed rows by the calls that they are, the most costly first; what has a rule of its own is left out."""
    rows = rows_of(evidence, "decomposed")
    elsewhere = set(attention_regions(rows)) | {
        row.region for its in decomposed_layers(evidence).values() for row in its
    }
    groups: dict[str, list[LedgerRow]] = defaultdict(list)
    for row in rows:
        if row.region not in elsewhere:
            groups[" + ".join(dict.fromkeys(map(base_op, row.torch_ops)))].append(row)
    return sorted(groups.items(), key=lambda item: (-delta_ns(item[1]), item[0]))


def _line(evidence: Evidence, name: str, group: list[LedgerRow]) -> EvidenceRow:
    nodes = op_counts(evidence, "onnxruntime", nodes_of(group))
    text = f"{name} {len(group)} times: {nodes}, {both_times(group)}"
    return EvidenceRow(text=text, rows=ids(group), value_ns=delta_ns(group))


RULE = Rule(
    id="decomposed-operators",
    passed="Calls that became several nodes cost no measurable time",
    failed="{}",
    example="4 calls became 22 nodes",
    about=(
        "What PyTorch does in one call, an exporter may have to spell out: an index with a mask, a cumulative sum, an exotic"
        " activation. Each of the nodes reads and writes whole tensors, and the exporter adds nodes for types and shapes."
        " Attention, layer norm and GELU have rules of their own; this one weighs all other calls of the cause"
        " `decomposed`."
    ),
    cause="decomposed",
    needs=("delta", "partitions", "regions"),
    direction="slower",
    audit=audit,
    catalog=("C14",),
    experiments=("exporter", "opset", "onnxscript", "opt-level"),
)
