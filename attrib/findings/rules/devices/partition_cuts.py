"""partition-cuts: nodes outside a provider that compiles, which cut the graph into more partitions."""

from collections.abc import Iterator, Sequence

from attrib.analysis.match.compiled import is_compiled
from attrib.findings.evidence.ledger_queries import MOST_GROUPS, ids, op_counts, rows_with_nodes
from attrib.findings.evidence.placement import Island, executed_nodes, island_line, islands, placement_reason
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.work import Work
from attrib.units import format_ns
from attrib.wording import counted, listed


def audit(evidence: Evidence) -> RuleResult:
    """Name the nodes between compiled partitions; what a cut costs beside their time no profile holds."""
    compiled = [node for node in executed_nodes(evidence) if is_compiled(node)]
    between = _between(evidence)
    if not between:
        parts = counted(len(compiled), "compiled partition")
        text = f"{parts} of the graph, and no other node runs between two of them." if compiled else ""
        return RuleResult(failed=False, summary=text or "No part of the graph was compiled into one node.")
    cuts = islands(evidence, between)
    provider = listed(list(dict.fromkeys(node.provider for node in compiled)))
    spent = evidence.ledger.work("onnxruntime", [node.id for node in between]).median
    names = op_counts(evidence, "onnxruntime", [node.id for node in between])
    elsewhere = listed(list(dict.fromkeys(node.provider for node in between)))
    why = placement_reason(evidence, between)
    return RuleResult(
        failed=True,
        rows=ids(rows_with_nodes(evidence.ledger.rows, {node.id for node in between})),
        detail=f"{names} on {elsewhere} {'leaves' if len(between) == 1 else 'leave'} {len(compiled)} {provider} partitions",
        summary=(
            f"{counted(len(between), 'node')} ({names}) {'falls' if len(between) == 1 else 'fall'} back to {elsewhere} and"
            f" cut the graph into {len(compiled)} {provider} partitions: {counted(len(cuts), 'cut')}. By themselves they"
            f" take {format_ns(spent)}. {why[0].upper()}{why[1:]}. The rest of the price is in no profile: nothing is fused"
            " across a cut, and every tensor that crosses it is handed over. Only an export without the cuts measures it."
        ),
        evidence=tuple(_lines(evidence, cuts)),
        fix=_fix(between),
    )


def _between(evidence: Evidence) -> tuple[Work, ...]:
    """Nodes outside of compiled partitions that run after one and before another."""
    order = executed_nodes(evidence)
    places = [i for i, node in enumerate(order) if is_compiled(node)]
    inside = order[places[0] : places[-1]] if places else ()
    return tuple(node for node in inside if not is_compiled(node))


def _lines(evidence: Evidence, cuts: Sequence[Island]) -> Iterator[EvidenceRow]:
    """The cuts in the order of execution, each by name; the last line stands for the rest."""
    for island in cuts[:MOST_GROUPS]:
        yield _row(evidence, (island,), island_line(evidence, island))
    if rest := cuts[MOST_GROUPS:]:
        names = listed([node.id for island in rest for node in island.nodes])
        yield _row(evidence, rest, f"and {counted(len(rest), 'more cut', 'more cuts')}: {names}")


def _row(evidence: Evidence, cuts: Sequence[Island], text: str) -> EvidenceRow:
    names = [node.id for island in cuts for node in island.nodes]
    spent = evidence.ledger.work("onnxruntime", names).median
    return EvidenceRow(text=text, rows=ids(rows_with_nodes(evidence.ledger.rows, set(names))), value_ns=spent)


def _fix(between: Sequence[Work]) -> str:
    proofs = [
        "`attrib verify` measures an export with another opset or attention implementation (opset, attention)"
    ]
    if any(node.op == "IsNaN" for node in between):
        proofs.insert(
            0,
            "`--optimize drop-nan-guard` takes the IsNaN guard behind each Softmax out where no row is masked out entirely;"
            " `attrib verify --experiment nan-guard` proves what that gives",
        )
    return "; ".join(proofs) + "."


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
