"""unused-outputs: outputs of the graph that PyTorch's model does not return."""

from collections.abc import Iterable

from attrib.analysis.lineage.graph import GraphNode
from attrib.findings.evidence.advice import either, phrase, rewritten
from attrib.findings.evidence.executed_graph import ExecutedGraph, executed_graph
from attrib.findings.evidence.ledger_queries import MOST_GROUPS, ids, nodes_ns, op_counts, rows_holding
from attrib.findings.evidence.numerics import bytes_of
from attrib.findings.evidence.reference_cost import Terms, weight_once
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.manifest import SURPLUS
from attrib.units import format_ns
from attrib.wording import counted, listed

API = "(framework)/ort api"
MOVERS = frozenset({"Transpose", "Concat", "Slice", "Expand", "Split", "Pad", "Tile"})
"""Nodes that copy every element once, as the API does with an output."""


def audit(evidence: Evidence) -> RuleResult:
    """Weigh what only the surplus outputs need: nodes, and the copies that the API makes."""
    ran = executed_graph(evidence)
    extra = {output.name for output in evidence.outputs if output.reason == SURPLUS}
    returned = {output.name for output in evidence.outputs} - extra
    surplus = [name for name in ran.graph.outputs if name in extra]
    if not surplus:
        return RuleResult(
            failed=False, summary="The graph returns what PyTorch returns, and nothing beyond it."
        )
    nodes = ran.ids(nodes_only_for(ran, surplus))
    copies, claim = _copies(ran, surplus), Terms()
    claim.add(weight_once(nodes))
    claim.add(copies)
    rows = (*rows_holding(evidence, nodes), *(row for row in evidence.ledger.rows if row.region == API))
    moved = format_ns(evidence.ledger.weigh({"onnxruntime": copies}).median)
    needed = "no node serves them alone"
    if nodes:
        ops, spent = op_counts(evidence, "onnxruntime", nodes), format_ns(nodes_ns(evidence, nodes))
        needed = f"{ops} serve them alone ({spent})"
    lines = []
    for name in surplus[:MOST_GROUPS]:
        maker = ran.maker(name)
        kind = (ran.result(maker) if maker is not None else None) or "size unknown"
        made = f", made by {maker.op} {maker.name}" if maker is not None else ""
        held = ids(rows_holding(evidence, ran.ids([maker] if maker is not None else [])))
        lines.append(EvidenceRow(text=f"{name} ({kind}{made}): PyTorch returns no such output", rows=held))
    return RuleResult(
        failed=True,
        rows=ids(rows),
        claim=evidence.ledger.weigh({"onnxruntime": claim.nodes}),
        works=nodes,
        detail=f"{counted(len(surplus), 'output')} of {len(ran.graph.outputs)}",
        summary=f"{listed(surplus)}: {needed}, and about {moved} to copy them out of the session in every run.",
        evidence=tuple(lines),
        fix=either(
            phrase("take them out of the graph: {}", rewritten(evidence, "drop-unused-outputs"))
            if returned <= set(ran.graph.outputs)  # it finds them by name
            else "",
            "export a module that returns what is read, and nothing else",
            "ask for the others by name: `session.run(names, inputs)`",
        ),
    )


def nodes_only_for(ran: ExecutedGraph, surplus: Iterable[str]) -> list[GraphNode]:
    """Executed nodes that lead to the surplus outputs and to no other."""
    dropped = set(surplus)
    needed = {name for name in ran.graph.outputs if name not in dropped}
    idle = []
    for node in reversed(ran.graph.nodes):
        if needed.isdisjoint(node.outputs) and node.parent < 0:
            idle.append(node)
        else:
            needed.update(node.inputs)
    return [node for node in idle if ran.executed.get(node.index)]


def _copies(ran: ExecutedGraph, surplus: Iterable[str]) -> dict[str, float]:
    """Weights whose sum is the time to copy the surplus outputs, at the rate of nodes that only copy.

    Without such nodes: the API's time in proportion to the bytes of all outputs.
    """
    sizes = {}
    for name in ran.graph.outputs:
        maker = ran.maker(name)
        sizes[name] = bytes_of(ran.result(maker) if maker is not None else ran.graph.values.get(name))
    much, every = sum(sizes[name] for name in surplus), sum(sizes.values())
    movers = {
        work.id: bytes_of(work.outputs[0])
        for work in ran.evidence.work["onnxruntime"].values()
        if work.op in MOVERS and work.outputs
    }
    total = sum(movers.values())
    if total:
        return dict.fromkeys(movers, much / total)
    return {API: much / every} if every else {}


RULE = Rule(
    id="unused-outputs",
    passed="No measurable time goes into outputs that PyTorch does not return",
    failed="{} are not among PyTorch's",
    example="13 outputs of 15",
    about=(
        "An export with all hidden states or attentions returns tensors that nobody reads. Each is copied out of the session"
        " in every run, what only leads to it is computed, and a value that is an output cannot be fused away or share its"
        " memory. The rule compares the outputs of the graph that ran with PyTorch's, and claims the nodes that serve"
        " the surplus alone and the copies, at the rate at which nodes of the same run copy."
    ),
    cause="extra_work",
    needs=("delta", "partitions", "optimized", "outputs"),
    direction="slower",
    audit=audit,
    tier="cause",
    catalog=("C4",),
    experiments=("unused-outputs", "io-binding"),
)
