"""redundant-casts: conversions between element types."""

from attrib.analysis.lineage.graph import GraphNode
from attrib.findings.evidence.executed_graph import ExecutedGraph, executed_graph
from attrib.findings.evidence.ledger_queries import (
    both_times,
    delta_ns,
    ids,
    module_lines,
    nodes_of,
    rows_holding,
    rows_of,
)
from attrib.findings.evidence.numerics import INSERTED_CASTS
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.tensor import Tensor
from attrib.units import format_ns
from attrib.wording import counted


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the casts, and tell the exporter's from those that ONNX Runtime put in."""
    rows = rows_of(evidence, "cast")
    nodes = nodes_of(rows)
    if not nodes:
        return RuleResult(failed=False, summary="ONNX Runtime converts no element types.")
    inserted = tuple(node for node in nodes if node.startswith(INSERTED_CASTS))
    pairs = inverse_casts(executed_graph(evidence)) if evidence.optimized else ()
    return RuleResult(
        failed=delta_ns(rows) > 0,
        rows=ids(rows),
        detail=counted(len(nodes), "cast"),
        summary=f"{counted(len(nodes), 'Cast node')}, {len(inserted)} of them put in by ONNX Runtime itself. "
        f"Conversions take {both_times(rows)}.",
        evidence=module_lines(evidence, rows) + _pair_evidence(evidence, pairs),
        fix=_fix(bool(inserted), bool(pairs)),
    )


def inverse_casts(ran: ExecutedGraph) -> tuple[tuple[str, str], ...]:
    """Names of Cast nodes of which the second goes back to the type that the first came from."""
    casts = [node for node in ran.graph.nodes if node.op == "Cast" and node.inputs]
    pairs = ((first, node) for node in casts if (first := ran.maker(node.inputs[0])) and first.op == "Cast")
    return tuple((first.name, second.name) for first, second in pairs if _goes_back(ran, first, second))


def _goes_back(ran: ExecutedGraph, first: GraphNode, second: GraphNode) -> bool:
    source, result = _source(ran, first), ran.result(second)
    return source is not None and result is not None and source.dtype == result.dtype


def _source(ran: ExecutedGraph, cast: GraphNode) -> Tensor | None:
    """What a Cast reads: as executed, else as the file states it."""
    work = ran.work(cast)
    return work.inputs[0] if work is not None and work.inputs else ran.graph.values.get(cast.inputs[0])


def _pair_evidence(evidence: Evidence, pairs: tuple[tuple[str, str], ...]) -> tuple[EvidenceRow, ...]:
    """The pairs, with their own share."""
    if not pairs:
        return ()
    nodes = {name for pair in pairs for name in pair}
    spent = evidence.ledger.work("onnxruntime", nodes).median
    text = (
        f"{counted(len(pairs), 'cast')} undone by the next one, e.g. {pairs[0][0]} and {pairs[0][1]}: the pairs take"
        f" {format_ns(spent)}"
    )
    return (EvidenceRow(text=text, rows=ids(rows_holding(evidence, nodes)), value_ns=spent),)


def _fix(inserted: bool, pairs: bool) -> str:
    if inserted:
        return (
            "The execution provider has no kernels for this element type and converts around them: run in "
            "fp32, or on a provider that has them."
        )
    if pairs:
        return (
            "Take the pairs out before the session sees the graph: `attrib profile --optimize drop-inverse-pairs` drops"
            " those that lose nothing. A pair that rounds (float to float16 and back) must go from the model, because it"
            " changes the numbers."
        )
    return "Pass inputs (masks above all) in the type that the model computes with, and export again."


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
