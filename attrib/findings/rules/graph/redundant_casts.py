"""redundant-casts: conversions between element types."""

from attrib.findings.evidence.advice import in_float, phrase, rewritten
from attrib.findings.evidence.executed_graph import ExecutedGraph, executed_graph
from attrib.findings.evidence.ledger_queries import (
    both_times,
    delta_ns,
    ids,
    module_lines,
    nodes_line,
    nodes_of,
    rows_of,
)
from attrib.findings.evidence.numerics import INSERTED_CASTS
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.wording import counted


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the casts, and tell the exporter's from those that ONNX Runtime put in."""
    rows = rows_of(evidence, "cast")
    nodes = nodes_of(rows)
    if not nodes:
        return RuleResult(failed=False, summary="ONNX Runtime converts no element types.")
    inserted = [node for node in nodes if node.startswith(INSERTED_CASTS)]
    pairs = inverse_casts(executed_graph(evidence)) if evidence.optimized else ()
    lines = list(module_lines(evidence, rows))
    fix = "Pass inputs (masks above all) in the type that the model computes with, and export again."
    if pairs:
        (first, second), undone = pairs[0], {name for pair in pairs for name in pair}
        what = f"{counted(len(pairs), 'cast')} undone by the next one, e.g. {first} and {second}: the pairs take "
        lines.append(nodes_line(evidence, what, undone))
        fix = (
            phrase(
                "Take the pairs out before the session sees the graph: {} drops those that lose nothing. ",
                rewritten(evidence, "drop-inverse-pairs"),
            )
            + "A pair that rounds (float to float16 and back) must go from the model, because it changes the numbers."
        )
    if inserted:
        fix = "The execution provider has no kernels for this element type and converts around them: " + (
            phrase("run in fp32 ({}), or on a provider that has them.", in_float(evidence))
            or "take a provider that has them."
        )
    return RuleResult(
        failed=delta_ns(rows) > 0,
        rows=ids(rows),
        detail=counted(len(nodes), "cast"),
        summary=f"{counted(len(nodes), 'Cast node')}, {len(inserted)} of them put in by ONNX Runtime itself. "
        f"Conversions take {both_times(rows)}.",
        evidence=tuple(lines),
        fix=fix,
    )


def inverse_casts(ran: ExecutedGraph) -> tuple[tuple[str, str], ...]:
    """Names of Cast nodes of which the second goes back to the type that the first came from."""
    found = []
    for second in ran.graph.nodes:
        first = ran.maker(second.inputs[0]) if second.op == "Cast" and second.inputs else None
        if first is not None and first.op == "Cast":
            source, result = ran.source(first), ran.result(second)
            if source is not None and result is not None and source.dtype == result.dtype:
                found.append((first.name, second.name))
    return tuple(found)


RULE = Rule(
    id="redundant-casts",
    passed="No measurable time is lost to casts",
    failed="{} convert element types",
    example="50 casts",
    about=(
        "A Cast reads and writes a whole tensor to change its type. ONNX Runtime puts casts in around "
        "every operator whose type its execution provider lacks (fp16 on CPU is the known case: more than "
        "half of the time in microsoft/onnxruntime#25824), and exporters leave some behind. The rule adds "
        "up the ledger rows of the cause `cast` and looks for a Cast that the next one undoes."
    ),
    cause="cast",
    needs=("delta", "partitions"),
    direction="slower",
    audit=audit,
    catalog=("C10",),
    experiments=("inverse-pairs", "onnxslim"),
)
