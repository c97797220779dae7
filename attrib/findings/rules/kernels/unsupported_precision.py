"""unsupported-precision: half precision on a provider that has no kernels for it."""

from collections import Counter

from attrib.findings.evidence.advice import either, in_float, phrase
from attrib.findings.evidence.executed_graph import executed_graph
from attrib.findings.evidence.ledger_queries import ids, module_lines, rows_holding
from attrib.findings.evidence.numerics import INSERTED_CASTS
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.wording import counted, listed

HALVES = frozenset({"float16", "bfloat16"})


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the casts that ONNX Runtime put in around nodes of half precision."""
    ran = executed_graph(evidence)
    graph = evidence.exported or ran.graph
    halves = {tensor.dtype for tensor in graph.values.values() if tensor.dtype in HALVES}
    if not halves:
        return RuleResult(failed=False, summary="The graph holds no tensor of half precision.")
    inserted = [node for node in ran.graph.nodes if node.name.startswith(INSERTED_CASTS)]
    nodes = ran.ids(node for node in inserted if node.op == "Cast")
    rows, spent = rows_holding(evidence, nodes), evidence.ledger.work("onnxruntime", nodes)
    precision = " and ".join(sorted(halves))
    made = {name for node in inserted for name in node.outputs}
    served = Counter(node.op for node in ran.graph.nodes if not made.isdisjoint(node.inputs))
    summary = f"The provider computes {precision} without casts of ONNX Runtime's own."
    if nodes:
        summary = f"ONNX Runtime put in {counted(len(nodes), 'Cast')}."
        if served:
            summary += f" They serve {listed([f'{count} {op}' for op, count in served.most_common()])}."
    return RuleResult(
        failed=bool(nodes),
        rows=ids(rows),
        claim=spent,
        works=nodes,
        detail=f"{counted(len(nodes), 'cast')} around nodes without a {precision} kernel",
        summary=summary,
        price="They take {} of a step." if nodes else "",
        evidence=module_lines(evidence, rows),
        fix=either(
            phrase("run in fp32: {}", in_float(evidence)),
            "take a provider that has the kernels, such as CUDA's",
        )
        + " On a CPU half precision saves memory, not time.",
    )


RULE = Rule(
    id="unsupported-precision",
    passed="No measurable time is lost to half precision without kernels",
    failed="{}",
    example="50 casts around nodes without a float16 kernel",
    about=(
        "ONNX Runtime's CPU provider has next to no kernels for fp16 and none for bf16. It runs such a graph all the same:"
        " it puts a Cast to float before each node and one back behind it. In microsoft/onnxruntime#25824 these"
        " `InsertedPrecisionFreeCast_` nodes were 54 % of the time; a BERT in fp16 took twice as long as in fp32 (#3552)."
        " The rule adds up the casts that bear ONNX Runtime's own names in a graph that holds half precision."
    ),
    cause="cast",
    needs=("delta", "partitions", "optimized"),
    direction="slower",
    audit=audit,
    tier="cause",
    catalog=("C11", "C10"),
    unproved="The fix is another capture: `attrib profile --precision fp32` times the same model without half precision.",
)
