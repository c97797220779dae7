"""nan-guard: the IsNaN and Where that exporters put behind Softmax."""

from attrib.findings.evidence.advice import either, phrase, rewritten, whole_attention
from attrib.findings.evidence.attention import guard_nodes
from attrib.findings.evidence.executed_graph import executed_graph
from attrib.findings.evidence.ledger_queries import (
    group_by_module,
    ids,
    nodes_ns,
    nodes_of,
    op_counts,
    rows_holding,
)
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.units import format_ns
from attrib.wording import counted


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the guard by its own nodes."""
    ran = executed_graph(evidence)
    nodes = guard_nodes(ran.graph)
    guard = ran.ids(nodes)
    if nodes and not guard:
        text = f"{counted(len(nodes), 'node')} behind Softmax did not run on their own: they have no time to weigh."
        return RuleResult(failed=False, summary=text)
    if not guard:
        return RuleResult(failed=False, summary="No Softmax is followed by a guard against rows of NaN.")
    rows = rows_holding(evidence, guard)
    spent = evidence.ledger.work("onnxruntime", guard)
    compiled = len(nodes) - len(guard)  # no profile shows what a provider compiled
    more = f" {counted(compiled, 'more node')} of the guard did not run on {'its' if compiled == 1 else 'their'} own."
    lines = []
    for module, group in group_by_module(rows):
        held = set(nodes_of(group))
        its = [node for node in guard if node in held]
        text = f"{module}: {op_counts(evidence, 'onnxruntime', its)} in {format_ns(nodes_ns(evidence, its))}"
        lines.append(EvidenceRow(text=text, rows=ids(group), value_ns=nodes_ns(evidence, its)))
    return RuleResult(
        failed=True,  # whether it costs anything is for the interval to say
        rows=ids(rows),
        claim=spent,
        works=guard,
        detail=counted(len(guard), "node guards", "nodes guard"),
        summary=f"{op_counts(evidence, 'onnxruntime', guard)} stand behind Softmax."
        f" They matter only for a row whose every score is masked out.{more if compiled > 0 else ''}",
        price="They take {} of a step.",
        evidence=tuple(lines),
        fix=either(
            phrase(
                "where the mask leaves every row at least one token, drop the guard: {}",
                rewritten(evidence, "drop-nan-guard"),
            ),
            phrase("an attention that stays whole needs none: {}", whole_attention(evidence)),
        ),
    )


RULE = Rule(
    id="nan-guard",
    passed="No measurable time goes into guards behind Softmax",
    failed="{} Softmax against NaN",
    example="24 nodes guard",
    about=(
        "PyTorch's attention gives 0 for a row whose every score is masked out; Softmax alone gives NaN. Exporters"
        " therefore put IsNaN and Where behind every Softmax of an exported scaled dot-product attention: two passes over"
        " the largest tensor of the block, for a case that most masks rule out. The rule adds up the time of these nodes."
        " Under providers without IsNaN they also split the graph."
    ),
    cause="decomposed",
    needs=("delta", "partitions", "ran"),
    direction="slower",
    audit=audit,
    tier="cause",
    catalog=("C14",),
    experiments=("nan-guard", "attention", "opset"),
)
