"""fallback-nodes: nodes outside the execution provider that was asked for."""

from collections.abc import Iterator, Sequence

from attrib.analysis.match.compiled import is_compiled
from attrib.findings.evidence.ledger_queries import MOST_GROUPS, ids, op_counts, rows_with_nodes
from attrib.findings.evidence.placement import (
    Island,
    executed_nodes,
    group_by_label,
    island_line,
    islands,
    nodes_outside,
    placement_reason,
    requested_provider,
    split_shapes,
)
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.work import Work
from attrib.units import format_ns
from attrib.wording import counted

DETAILED = 3
"""Islands that are described one by one; layers that look alike are one line."""

MOST_TORCH_SHARE = 0.1
"""Where PyTorch needs less than this share of the time for the same rows, the nodes' time is all difference."""


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the nodes that ran elsewhere by their time; shape arithmetic belongs on the host."""
    provider = requested_provider(evidence)
    elsewhere = nodes_outside(evidence, provider)
    if not elsewhere or len(elsewhere) == len([n for n in executed_nodes(evidence) if n.provider]):
        where = (
            f"on {provider}"
            if provider and not elsewhere
            else "where the profile does not tell, or all elsewhere"
        )
        return RuleResult(failed=False, summary=f"Every node ran {where}.")
    computing, shapes = split_shapes(elsewhere)
    rows = rows_with_nodes(evidence.ledger.rows, {node.id for node in computing})
    claim = evidence.ledger.work("onnxruntime", [node.id for node in computing])
    found = islands(evidence, computing)
    return RuleResult(
        failed=bool(computing),
        rows=ids(rows),
        claim=claim,
        explains_delta=sum(row.torch_ns for row in rows) <= MOST_TORCH_SHARE * claim.median,
        works=tuple(node.id for node in computing),
        detail=f"{counted(len(computing), 'node')} in {counted(len(found), 'island')}",
        summary=_summary(evidence, provider, computing, shapes, claim.median)
        + _parts(evidence, provider, computing),
        evidence=(
            *_lines(evidence, found),
            *_details(evidence, found),
            *_with_copies(evidence, found, claim.median),
        ),
        fix=_fix(provider, found),
    )


def _summary(
    evidence: Evidence, provider: str, computing: Sequence[Work], shapes: Sequence[Work], spent: int
) -> str:
    other = " and ".join(dict.fromkeys(node.provider for node in (*computing, *shapes)))
    text = (
        f"{provider} was asked for; {counted(len(computing), 'computing node')} of {len(executed_nodes(evidence))} "
        f"ran on {other} and took {format_ns(spent)}"
        + (f" ({op_counts(evidence, 'onnxruntime', [node.id for node in computing])})." if computing else ".")
    )
    if not shapes:
        return text
    cost = evidence.ledger.work("onnxruntime", [node.id for node in shapes]).median
    more = f"{counted(len(shapes), 'node')} of shape arithmetic beside them took {format_ns(cost)} and belong there."
    return f"{text} {more}"


def _parts(evidence: Evidence, provider: str, computing: Sequence[Work]) -> str:
    """Why, and what a provider that compiles loses beside the nodes' own time."""
    if not computing:
        return ""
    why = placement_reason(evidence, computing)
    parts = [node for node in executed_nodes(evidence) if is_compiled(node) and node.provider == provider]
    if len(parts) < 2:  # noqa: PLR2004
        return f" {why[0].upper()}{why[1:]}."
    return (
        f" {why[0].upper()}{why[1:]}. {provider} compiles what it takes, here into {len(parts)} partitions: what the cuts"
        " between them cost is not in the nodes' own time (see partition-cuts)."
    )


def _details(evidence: Evidence, found: Sequence[Island]) -> Iterator[EvidenceRow]:
    """The slowest islands, each by name."""
    spent = {i: _spent(evidence, island) for i, island in enumerate(found)}
    for i in sorted(spent, key=lambda i: (-spent[i], i))[:DETAILED]:
        names = {node.id for node in found[i].nodes}
        yield EvidenceRow(
            text=island_line(evidence, found[i]),
            rows=ids(rows_with_nodes(evidence.ledger.rows, names)),
            value_ns=spent[i],
        )


def _spent(evidence: Evidence, island: Island) -> int:
    return evidence.ledger.work("onnxruntime", [node.id for node in island.nodes]).median


def _with_copies(evidence: Evidence, found: Sequence[Island], spent: int) -> Iterator[EvidenceRow]:
    """The nodes with the copies between devices that they cause; memcpy-nodes weighs those by themselves."""
    copies = tuple(dict.fromkeys(copy for island in found for copy in island.copies))
    if copies:
        cost = evidence.ledger.work("onnxruntime", copies).median
        yield EvidenceRow(
            text=f"with its copies ({op_counts(evidence, 'onnxruntime', copies)}, {format_ns(cost)}):"
            f" {format_ns(spent + cost)}",
            rows=ids(rows_with_nodes(evidence.ledger.rows, set(copies))),
            value_ns=spent + cost,
        )


def _lines(evidence: Evidence, found: Sequence[Island]) -> Iterator[EvidenceRow]:
    """One line for islands that look alike in all layers."""
    for label, alike in group_by_label(found)[:MOST_GROUPS]:
        names = [node.id for island in alike for node in island.nodes]
        spent = evidence.ledger.work("onnxruntime", names).median
        yield EvidenceRow(
            text=f"{len(alike)} times {label}: {format_ns(spent)}",
            rows=ids(rows_with_nodes(evidence.ledger.rows, set(names))),
            value_ns=spent,
        )


def _fix(provider: str, found: Sequence[Island]) -> str:
    """By what the islands hold."""
    ops = {node.op for island in found for node in island.nodes}
    double = any(
        t.dtype == "double" for island in found for n in island.nodes for t in (*n.inputs, *n.outputs)
    )
    ways = []
    if "IsNaN" in ops:
        ways.append(
            "`--optimize drop-nan-guard` removes the IsNaN guard behind each Softmax where no row is masked out "
            "entirely; `--attention eager` exports attention without it"
        )
    if double:
        ways.append("`--optimize double-to-float` computes in float what few providers have in double")
    ways.append(
        f"export with another `--opset` or `--exporter`, so that {', '.join(sorted(ops)) or 'these ops'} become "
        f"ops that "
        f"{provider} has kernels for"
    )
    return "; ".join(ways) + "."


RULE = Rule(
    id="fallback-nodes",
    passed="No measurable time is spent outside the provider that was asked for",
    failed="{} ran outside the provider that was asked for",
    example="24 nodes in 12 islands",
    about=(
        "A provider without a kernel for an op leaves that node to the CPU, and around each such island stand "
        "copies and, on a "
        "GPU, waiting. Quantized BERT on CUDA is the known case: 12 ms became 232 ms "
        "(microsoft/onnxruntime#10267). The rule "
        "weighs the islands by their time, not by their number, names what stands before and behind them, and "
        "leaves shape "
        "arithmetic aside, which ONNX Runtime puts on the host on purpose. Under CUDA a node's time in the "
        "profile is that "
        "of enqueuing; nodes on the CPU have their true one. The copies that an island causes are added up beside its own"
        " time; memcpy-nodes claims them."
    ),
    cause="fallback",
    needs=("nodes",),
    direction="slower",
    audit=audit,
    tier="cause",
    catalog=("C2",),
    experiments=("nan-guard", "double-islands", "attention", "opset", "exporter"),
)
