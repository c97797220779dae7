"""decomposed-operators: calls that became several nodes each, outside attention and the layers that ONNX Runtime fuses."""

from collections import defaultdict

from attrib.analysis.match.ops import base_op
from attrib.findings.evidence.advice import either, other_exporter, phrase, rewritten
from attrib.findings.evidence.attention import attention_regions
from attrib.findings.evidence.ledger_queries import (
    MOST_GROUPS,
    both_times,
    calls_of,
    delta_ns,
    ids,
    nodes_of,
    op_counts,
    ops_behind,
    rows_line,
    rows_of,
)
from attrib.findings.evidence.single_operators import decomposed_layers
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import LedgerRow
from attrib.wording import counted, listed


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the calls that became several nodes, by what they are."""
    decomposed = rows_of(evidence, "decomposed")
    elsewhere = set(attention_regions(decomposed))  # what has a rule of its own is left out
    elsewhere.update(row.region for rows in decomposed_layers(evidence).values() for row in rows)
    by_call: dict[str, list[LedgerRow]] = defaultdict(list)
    for row in decomposed:
        if row.region not in elsewhere:
            name = " + ".join(dict.fromkeys(map(base_op, ops_behind(evidence, row))))
            by_call[name if row.torch_calls else f"beside {name}"].append(row)
    groups = sorted(by_call.items(), key=lambda item: (-delta_ns(item[1]), item[0]))
    rows = tuple(row for _, group in groups for row in group)
    if not rows:
        return RuleResult(
            failed=False, summary="No call became several nodes, attention and fused layers apart."
        )
    whole, beside = [row for row in rows if row.torch_calls], [row for row in rows if not row.torch_calls]
    calls, nodes, extra = calls_of(whole), nodes_of(whole), nodes_of(beside)
    details, said = [], []
    if whole:
        details.append(f"{counted(len(calls), 'call')} became {len(nodes)} nodes")
        said.append(
            f"{op_counts(evidence, 'torch', calls)} became {op_counts(evidence, 'onnxruntime', nodes)}"
        )
    if beside:
        details.append(f"{counted(len(extra), 'node')} beside products")
        said.append(f"{op_counts(evidence, 'onnxruntime', extra)} stand beside products that are one call")
    lines = []
    for name, group in groups[:MOST_GROUPS]:
        ops = op_counts(evidence, "onnxruntime", nodes_of(group))
        lines.append(rows_line(f"{name} {len(group)} times: {ops}, ", group))
    return RuleResult(
        failed=delta_ns(rows) > 0,
        rows=ids(rows),
        detail=listed(details),
        summary=f"{listed(said)}: {both_times(rows)}.",
        evidence=tuple(lines),
        fix=either(
            phrase("let torch's other exporter write them: {}", other_exporter(evidence)),
            phrase("fuse them: {}", rewritten(evidence, "onnxscript")),
            "give the dynamo exporter a translation of your own: `torch.onnx.export(model, dynamo=True,"
            " custom_translation_table={op: function})`",
        ),
    )


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
