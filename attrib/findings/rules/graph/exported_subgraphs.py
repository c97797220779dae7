"""exported-subgraphs: what an exporter wrote as a loop, a branch or a function, because ONNX has no operator for it."""

from collections import Counter

from attrib.analysis.lineage.graph import GraphNode
from attrib.analysis.match.ops import SMALL_SHAPE_ELEMENTS, node_role
from attrib.findings.evidence.branches import is_inside
from attrib.findings.evidence.executed_graph import ExecutedGraph, executed_graph
from attrib.findings.evidence.ledger_queries import (
    MOST_GROUPS,
    both_times,
    calls_behind,
    ids,
    nodes_line,
    nodes_ns,
    op_counts,
    rows_holding,
)
from attrib.findings.evidence.reference_cost import Terms, weight_once
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.units import format_ns
from attrib.wording import counted, listed

LOOPS = frozenset({"Loop", "Scan", "SequenceMap"})
BOOKKEEPING = frozenset({"bool", "int32", "int64"})
"""Element types of indices, counters and conditions, where there are few of them."""

SEQUENCES = frozenset({
    "SequenceEmpty", "SequenceConstruct", "SequenceInsert", "SequenceErase", "SequenceAt", "SequenceLength",
    "SplitToSequence", "ConcatFromSequence",
})  # fmt: skip
"""How passes hand on what they made: ONNX has no other way for a loop that appends."""

STANDARD = frozenset(
    {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"}
)
"""Domains whose operators ONNX Runtime has kernels for; a node of any other calls a function of the model."""


def audit(evidence: Evidence) -> RuleResult:
    """Weigh what only loops need, branches by themselves, and functions by the regions that they became."""
    ran = executed_graph(evidence)
    inside = [node for node in ran.graph.nodes if node.op in LOOPS or is_inside(ran.graph, node, LOOPS)]
    holders = [node for node in inside if node.op in LOOPS]
    branches = [node for node in ran.graph.nodes if node.op == "If"]
    functions = _functions(evidence)
    named = [*ran.ids((*inside, *branches)), *(name for _, its in functions for name in its)]
    nodes = tuple(dict.fromkeys(named))
    if not nodes:
        return RuleResult(
            failed=False, summary="Every operator was exported as one: no loop, branch or function ran."
        )
    rows = rows_holding(evidence, nodes)
    known = {name for _, its in functions for name in its}
    calls = tuple(call for row in rows if known.issuperset(row.onnx_nodes) for call in row.torch_calls)
    shared = {name for row in rows if calls_behind(evidence, row) for name in row.onnx_nodes}
    needed = {name for name in ran.ids(inside) if name in shared and _computes(evidence, name)} - known
    claimed = tuple(name for name in nodes if name not in needed)
    # what PyTorch does inside a call that has a row of its own is no work of ONNX Runtime alone
    alone = {name for row in rows if not row.torch_calls for name in row.onnx_nodes}
    within = tuple(name for name in nodes if name in needed & alone)
    terms = Terms()
    terms.add(weight_once(claimed))
    terms.add_calls(weight_once(calls), -1)
    parts = [f"{count} {op}" for op, count in Counter(node.op for node in holders).items()]
    parts += [f"{len(branches)} If"] if branches else []
    parts += [f"function {name}" for name in dict.fromkeys(name for name, _ in functions)]
    held = [node for node in (*inside, *branches) if node.op in LOOPS or node.op == "If"]
    return RuleResult(
        failed=True,
        rows=ids(rows),
        claim=evidence.ledger.weigh({"onnxruntime": terms.nodes, "torch": terms.calls}),
        works=(*claimed, *within, *calls),
        detail=listed(parts),
        summary=f"{listed(parts)}: {op_counts(evidence, 'onnxruntime', nodes)}; {both_times(rows)} in their rows."
        + (
            f" {counted(len(needed), 'of the nodes computes', 'of the nodes compute')} what PyTorch computes as well."
            if needed
            else ""
        ),
        evidence=(
            *(_holder_line(ran, node) for node in held[:MOST_GROUPS]),
            *(
                nodes_line(evidence, f"{name} became {op_counts(evidence, 'onnxruntime', its)}: ", its)
                for name, its in functions[:MOST_GROUPS]
            ),
        ),
        fix="Replace what has no operator of its own in the model (a Python loop over tensors, an exotic aten op) by"
        " operators that ONNX has, or give the exporter a translation: `torch.onnx.export(...,"
        " custom_translation_table={...})`. For a choice that never changes export with a Python bool.",
    )


def _computes(evidence: Evidence, name: str) -> bool:
    """Whether a node computes or converts data: no indices, counters and conditions, and no moving of what is there.

    Whole rows are compared and converted without a loop as well: by type alone these look like conditions.
    """
    work = evidence.work["onnxruntime"][name]
    data = any(
        tensor.dtype not in BOOKKEEPING or tensor.elements > SMALL_SHAPE_ELEMENTS for tensor in work.outputs
    )
    return data and node_role(work) in ("compute", "cast") and work.op not in (*LOOPS, *SEQUENCES)


def _functions(evidence: Evidence) -> list[tuple[str, tuple[str, ...]]]:
    """Function calls of the exported graph, each with the nodes that were executed for its region."""
    graph = evidence.exported
    calls = {node.index: node for node in graph.nodes if node.domain not in STANDARD} if graph else {}
    found = []
    for region in evidence.regions.values():
        held = [calls[i] for i in (region.lineage[0] if region.lineage else ()) if i in calls]
        if held and region.nodes:
            found.append((f"{held[0].domain}::{held[0].op}", region.nodes))
    return found


def _holder_line(ran: ExecutedGraph, holder: GraphNode) -> EvidenceRow:
    """One line on a loop or branch: its own time, and that of the nodes in it."""
    own, inner = (
        ran.ids(nodes) for nodes in ([holder], [n for n in ran.graph.nodes if n.parent == holder.index])
    )
    spent = nodes_ns(ran.evidence, own)
    text = (
        f"{holder.op} {holder.name} takes {format_ns(spent)} itself, and {counted(len(inner), 'node')} in it"
        f" {format_ns(nodes_ns(ran.evidence, inner))}"
    )
    return EvidenceRow(text=text, rows=ids(rows_holding(ran.evidence, (*own, *inner))), value_ns=spent)


RULE = Rule(
    id="exported-subgraphs",
    passed="No measurable time goes into loops, branches or functions of the graph",
    failed="Exported as subgraphs: {}",
    example="1 Loop",
    about=(
        "What ONNX has no operator for is exported as a subgraph: a scripted loop as Loop or Scan, a choice as If, an exotic"
        " operator as a function of many nodes. The executor enters a subgraph anew in each pass, with its own bookkeeping,"
        " and no fusion reaches across its border. The rule claims what only the loop needs (its own time, and the nodes of"
        " its body that move data or keep count, or compute what PyTorch does not), the time of If nodes themselves, and"
        " that of the nodes that functions became, beyond PyTorch's calls for the same regions."
    ),
    cause="extra_work",
    needs=("delta", "partitions", "optimized"),
    direction="slower",
    audit=audit,
    tier="cause",
    catalog=("C14",),
    experiments=("exporter", "opset", "onnxscript"),
)
