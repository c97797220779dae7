"""fallback-nodes: nodes outside the execution provider that was asked for."""

from collections.abc import Iterator, Sequence

from attrib.analysis.match.compiled import is_compiled
from attrib.findings.evidence.advice import eager_attention, joined, other_exporter, phrase, rewritten
from attrib.findings.evidence.ledger_queries import (
    MOST_GROUPS,
    ids,
    nodes_line,
    nodes_ns,
    op_counts,
    rows_with_nodes,
)
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
    if not elsewhere:
        summary = (
            f"Every node ran on {provider}." if provider else "The profile does not say where the nodes ran."
        )
        return RuleResult(failed=False, summary=summary)
    if len(elsewhere) == len([node for node in executed_nodes(evidence) if node.provider]):
        return RuleResult(failed=False, summary="All nodes ran elsewhere: see provider-not-used.")
    computing, shapes = split_shapes(elsewhere)
    names = [node.id for node in computing]
    rows = rows_with_nodes(evidence, names)
    claim = evidence.ledger.work("onnxruntime", names)
    found = islands(evidence, computing)
    ops = sorted({node.op for node in computing})
    ways = []
    if "IsNaN" in ops:
        guard = "{} removes the IsNaN guard behind each Softmax where no row is masked out entirely"
        ways.append(phrase(guard, rewritten(evidence, "drop-nan-guard")))
        ways.append(
            phrase("{} exports attention without the guard behind Softmax", eager_attention(evidence))
        )
    if any(t.dtype == "double" for node in computing for t in (*node.inputs, *node.outputs)):
        to_float = rewritten(evidence, "double-to-float")
        ways.append(phrase("{} computes in float what few providers have in double", to_float))
    become = f"so that {', '.join(ops) or 'these ops'} become ops that {provider} has kernels for"
    ways.append(
        f"write the model {become}" + phrase("; or export it otherwise: {}", other_exporter(evidence))
    )
    return RuleResult(
        failed=bool(computing),
        rows=ids(rows),
        claim=claim,
        explains_delta=sum(row.torch_ns for row in rows) <= MOST_TORCH_SHARE * claim.median,
        works=tuple(names),
        detail=f"{counted(len(computing), 'node')} in {counted(len(found), 'island')}",
        summary=_summary(evidence, provider, computing, shapes),
        evidence=tuple(_lines(evidence, found, claim.median)),
        fix=joined(ways) + ".",
    )


def _summary(evidence: Evidence, provider: str, computing: Sequence[Work], shapes: Sequence[Work]) -> str:
    """What ran elsewhere and why, and what a provider that compiles loses beside the nodes' own time."""
    other = " and ".join(dict.fromkeys(node.provider for node in (*computing, *shapes)))
    names = [node.id for node in computing]
    ops = f" ({op_counts(evidence, 'onnxruntime', names)})" if computing else ""
    every, spent = len(executed_nodes(evidence)), format_ns(nodes_ns(evidence, names))
    count = counted(len(computing), "computing node")
    sentences = [f"{provider} was asked for; {count} of {every} ran on {other} and took {spent}{ops}."]
    if shapes:
        cost = format_ns(nodes_ns(evidence, [node.id for node in shapes]))
        sentences.append(
            f"{counted(len(shapes), 'node')} of shape arithmetic beside them took {cost} and belong there."
        )
    if computing:
        sentences.append(placement_reason(evidence, computing))
    parts = [node for node in executed_nodes(evidence) if is_compiled(node) and node.provider == provider]
    if computing and len(parts) > 1:
        sentences.append(
            f"{provider} compiles what it takes, here into {len(parts)} partitions: what the cuts between them cost is not"
            " in the nodes' own time (see partition-cuts)."
        )
    return " ".join(sentences)


def _lines(evidence: Evidence, found: Sequence[Island], spent: int) -> Iterator[EvidenceRow]:
    """Islands that look alike in all layers, the slowest ones each by name, and all of them with their copies."""
    for label, alike in group_by_label(found)[:MOST_GROUPS]:
        names = [node.id for island in alike for node in island.nodes]
        yield nodes_line(evidence, f"{len(alike)} times {label}: ", names)
    times = {i: nodes_ns(evidence, [node.id for node in island.nodes]) for i, island in enumerate(found)}
    for i in sorted(times, key=lambda i: (-times[i], i))[:DETAILED]:
        rows = rows_with_nodes(evidence, [node.id for node in found[i].nodes])
        yield EvidenceRow(text=island_line(evidence, found[i]), rows=ids(rows), value_ns=times[i])
    copies = tuple(dict.fromkeys(copy for island in found for copy in island.copies))
    if copies:  # memcpy-nodes claims them
        cost = nodes_ns(evidence, copies)
        yield EvidenceRow(
            text=f"with its copies ({op_counts(evidence, 'onnxruntime', copies)}, {format_ns(cost)}):"
            f" {format_ns(spent + cost)}",
            rows=ids(rows_with_nodes(evidence, copies)),
            value_ns=spent + cost,
        )


RULE = Rule(
    id="fallback-nodes",
    passed="No measurable time is spent outside the provider that was asked for",
    failed="{} ran outside the provider that was asked for",
    example="24 nodes in 12 islands",
    about=(
        "A provider without a kernel for an op leaves that node to the CPU. Around each such island stand copies and, on a"
        " GPU, waiting. Quantized BERT on CUDA is the known case: 12 ms became 232 ms (microsoft/onnxruntime#10267). The"
        " rule weighs the islands by their time, not by their number, and names what stands before and behind them. It"
        " leaves shape arithmetic aside, which ONNX Runtime puts on the host on purpose. Under CUDA a node's time in the"
        " profile is that of enqueuing; nodes on the CPU have their true one. The copies that an island causes are added up"
        " beside its own time; memcpy-nodes claims them."
    ),
    cause="fallback",
    needs=("nodes",),
    direction="slower",
    audit=audit,
    tier="cause",
    catalog=("C2",),
    experiments=("nan-guard", "double-islands", "attention", "opset", "exporter"),
)
