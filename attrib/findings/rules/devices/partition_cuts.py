"""partition-cuts: nodes outside a provider that compiles, which cut the graph into more partitions."""

from attrib.analysis.match.compiled import is_compiled
from attrib.findings.evidence.advice import exporter_of, joined, phrase, rewritten, verified
from attrib.findings.evidence.ledger_queries import MOST_GROUPS, ids, nodes_ns, op_counts, rows_with_nodes
from attrib.findings.evidence.placement import Island, executed_nodes, island_line, islands, placement_reason
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.units import format_ns
from attrib.wording import counted, listed


def audit(evidence: Evidence) -> RuleResult:
    """Name the nodes between compiled partitions; what a cut costs beside their time no profile holds."""
    order = executed_nodes(evidence)
    places = [i for i, node in enumerate(order) if is_compiled(node)]
    inside = order[places[0] : places[-1]] if places else ()
    between = [node for node in inside if not is_compiled(node)]
    if not between:
        parts = counted(len(places), "compiled partition")
        text = f"{parts} of the graph, and no other node runs between two of them." if places else ""
        return RuleResult(failed=False, summary=text or "No part of the graph was compiled into one node.")
    cuts = islands(evidence, between)
    provider = listed(list(dict.fromkeys(order[i].provider for i in places)))
    elsewhere = listed(list(dict.fromkeys(node.provider for node in between)))
    nodes = [node.id for node in between]
    ops = op_counts(evidence, "onnxruntime", nodes)
    lines = [_line(evidence, (island,), island_line(evidence, island)) for island in cuts[:MOST_GROUPS]]
    if rest := cuts[MOST_GROUPS:]:
        names = listed([node.id for island in rest for node in island.nodes])
        lines.append(_line(evidence, rest, f"and {counted(len(rest), 'more cut', 'more cuts')}: {names}"))
    proofs = []
    if any(node.op == "IsNaN" for node in between):
        guard = "{} takes the IsNaN guard behind each Softmax out where no row is masked out entirely"
        proofs.append(phrase(guard, rewritten(evidence, "drop-nan-guard")))
        proofs.append(f"{verified('nan-guard')} proves what that gives")
    otherwise = verified("opset", "attention") if exporter_of(evidence) else ""
    proofs.append(phrase("{} measures an export in another opset or from another attention", otherwise))
    one = len(between) == 1
    return RuleResult(
        failed=True,
        rows=ids(rows_with_nodes(evidence, nodes)),
        detail=f"{ops} on {elsewhere} {'leaves' if one else 'leave'} {len(places)} {provider} partitions",
        summary=(
            f"{counted(len(between), 'node')} ({ops}) {'falls' if one else 'fall'} back to {elsewhere} and cut the graph"
            f" into {len(places)} {provider} partitions: {counted(len(cuts), 'cut')}. By themselves they take"
            f" {format_ns(nodes_ns(evidence, nodes))}. {placement_reason(evidence, between)} The rest of the price is in no"
            " profile: nothing is fused across a cut, and every tensor that crosses it is handed over. Only an export"
            " without the cuts measures it."
        ),
        evidence=tuple(lines),
        fix=phrase("{}.", joined(proofs))
        or "Write the model without these operators: only a graph without the cuts shows what they cost.",
    )


def _line(evidence: Evidence, cuts: tuple[Island, ...], text: str) -> EvidenceRow:
    names = [node.id for island in cuts for node in island.nodes]
    return EvidenceRow(
        text=text, rows=ids(rows_with_nodes(evidence, names)), value_ns=nodes_ns(evidence, names)
    )


RULE = Rule(
    id="partition-cuts",
    passed="No node outside cuts a compiled part of the graph in two",
    failed="The graph is cut: {}",
    example="12 IsNaN on CPUExecutionProvider leave 13 OpenVINOExecutionProvider partitions",
    about=(
        "A provider that compiles (OpenVINO, TensorRT, Core ML, many plugins) makes one node of each part of the graph that"
        " it takes. A node that it does not take cuts the graph: the provider fuses nothing across the cut, and hands over"
        " every tensor that crosses it, which on another device means a copy. The default export of a BERT is a case:"
        " OpenVINO leaves the IsNaN behind each Softmax to the CPU, and 12 layers become 13 partitions. The nodes' own"
        " time is what fallback-nodes weighs; it is the smaller part of the price, and the rest shows only where the cuts"
        " are gone. The rule therefore names every cut with the layers on either side, claims no saving, and says which"
        " experiments measure it."
    ),
    cause=None,
    needs=("nodes",),
    direction="any",
    audit=audit,
    tier="cause",
    catalog=("C2",),
    experiments=("nan-guard", "double-islands", "attention", "opset", "exporter"),
)
