"""decomposed-attention: attention that PyTorch calls as one op and ONNX Runtime runs node by node."""

from attrib.findings.evidence.advice import either, fused_from_eager, phrase, rewritten, whole_attention
from attrib.findings.evidence.attention import (
    ATTENTION_NODES,
    attention_regions,
    count_calls,
    guard_nodes,
    is_whole,
    moves_around,
    softmax_blocks,
)
from attrib.findings.evidence.executed_graph import executed_graph
from attrib.findings.evidence.ledger_queries import (
    MOST_GROUPS,
    both_times,
    calls_of,
    ids,
    nodes_ns,
    nodes_of,
    op_counts,
    rows_line,
    side_ns,
    step_ns,
)
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow, LedgerRow
from attrib.units import format_ns, format_percent
from attrib.wording import counted


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the nodes of decomposed attention against PyTorch's one call."""
    regions = attention_regions(evidence.ledger.rows)
    every = [row for rows in regions.values() if not is_whole(rows) for row in rows]
    rows = tuple(row for row in every if row.cause == "decomposed")
    if not rows:
        nodes = evidence.optimized.nodes if evidence.optimized else ()
        whole = sum(node.op in ATTENTION_NODES for node in nodes)
        apart = softmax_blocks(evidence.optimized) if evidence.optimized else 0
        summary = (
            "Attention stays whole." if regions else "Neither engine runs attention that attrib recognizes."
        )
        if whole:
            summary = f"ONNX Runtime computes attention whole, in {counted(whole, 'node')}."
        elif apart:
            summary = (
                f"{counted(apart, 'attention block')} of separate nodes in ONNX Runtime, and no single attention call in"
                " PyTorch either: kernels are compared one by one."
            )
        return RuleResult(failed=False, summary=summary)
    blocks = max(count_calls(evidence, calls_of(rows)), 1)
    moves = moves_around(evidence, rows)
    parts, around = evidence.ledger.total(ids(rows)), evidence.ledger.total(ids((*rows, *moves)))
    # One node does the same products and Softmax, and needs none of the moves: what these take would go, and what the parts
    # take beyond PyTorch's one call. Where all of it is not slower than PyTorch's attention, its moves are only moves.
    with_moves = bool(moves) and around.low > 0
    explained = rows if not with_moves else moves if parts.median < 0 else (*rows, *moves)
    lines = [
        EvidenceRow(
            text=f"{row.module or '(root)'}: {op_counts(evidence, 'onnxruntime', row.onnx_nodes)}",
            rows=(row.id,),
            value_ns=row.delta_ns,
        )
        for row in sorted(rows, key=lambda row: (-abs(row.delta_ns), row.id))[:MOST_GROUPS]
    ]
    own = {row.id for row in moves} if with_moves else set()
    if with_moves:
        lines.append(rows_line("transposes and reshapes around it, which one node needs none of: ", moves))
    if layout := [row for row in every if row.cause == "layout" and row.id not in own]:
        lines.append(rows_line("transposes and reshapes around it, counted under layout-churn: ", layout))
    fix = either(
        phrase("keep attention whole: {}", whole_attention(evidence)),
        phrase("let onnxscript fuse the graph's attention: {}", rewritten(evidence, "onnxscript")),
        phrase("export eager attention by TorchScript, and fuse that: {}", fused_from_eager(evidence)),
    )
    fix = (
        fix
        or "Fuse it before the session opens the graph: `onnxscript.rewriter.ort_fusions.optimize_for_ort(model)`."
    )
    return RuleResult(
        failed=True,  # whether it costs anything is for the interval of the rows to say
        rows=ids(explained),
        detail=counted(blocks, "attention block runs", "attention blocks run"),
        summary=_summary(evidence, rows, blocks)
        + (f" With the moves around it, {both_times((*rows, *moves))}." if with_moves else ""),
        evidence=tuple(lines),
        fix=fix,
    )


def _summary(evidence: Evidence, rows: tuple[LedgerRow, ...], blocks: int) -> str:
    nodes = nodes_of(rows)
    share = format_percent(side_ns(rows, "onnxruntime") / max(step_ns(evidence), 1))
    text = f"Each block is {len(nodes) / blocks:.0f} nodes instead of one call: {both_times(rows)} ({share} of the step)."
    if evidence.optimized is None:
        return text
    # the exporter's guard against fully masked rows has a rule of its own
    ran = executed_graph(evidence)
    guard = ran.ids(guard_nodes(ran.graph))
    spent = nodes_ns(evidence, guard)
    where = "Of that," if set(guard) <= set(nodes) else "Counted apart, under nan-guard:"
    return (
        f"{text} {where} {format_ns(spent)} is the IsNaN + Where guard that the exporter puts behind every Softmax."
        if spent
        else text
    )


RULE = Rule(
    id="decomposed-attention",
    passed="Decomposed attention costs no measurable time",
    failed="{} as separate nodes",
    example="12 attention blocks run",
    about=(
        "PyTorch computes scaled dot-product attention in one call, often with a fused kernel. Below opset 23 an exporter"
        " writes MatMul, Add, Softmax, a guard of IsNaN and Where, MatMul and reshapes instead, and ONNX Runtime's own"
        " fusions do not recognize the pattern. The rule finds the regions in which PyTorch calls attention once and no"
        " Attention or MultiHeadAttention node answers it. Decomposed attention is not always slower (short sequences on"
        " CPU often gain): the sign is that of the measured rows. Where it is slower with the Transpose and Reshape nodes"
        " that only it needs, these are counted with it: one node reads and writes the heads as they are."
    ),
    cause="decomposed",
    needs=("delta", "partitions", "regions"),
    direction="slower",
    audit=audit,
    tier="layer",
    catalog=("C6",),
    experiments=("attention", "opset", "onnxscript", "ort-transformers", "exporter"),
)
