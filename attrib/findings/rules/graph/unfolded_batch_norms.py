"""unfolded-batch-norms: batch norms that run although the weights beside them could hold them."""

from attrib.findings.evidence.advice import either, phrase, rewritten
from attrib.findings.evidence.executed_graph import executed_graph, explained_works
from attrib.findings.evidence.foldable_norms import foldable_norms
from attrib.findings.evidence.ledger_queries import (
    both_times,
    group_by_module,
    ids,
    nodes_ns,
    nodes_of,
    rows_holding,
)
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.units import format_ns
from attrib.wording import counted


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the batch norms by their own nodes, all of which would go."""
    ran = executed_graph(evidence)
    nodes = ran.ids(foldable_norms(ran))
    if not nodes:
        return RuleResult(
            failed=False, summary="No batch norm runs beside a product whose weights could hold it."
        )
    rows = rows_holding(evidence, nodes)
    lines = []
    for module, group in group_by_module(rows):
        held = set(nodes_of(group))
        its = [node for node in nodes if node in held]
        text = f"{module}: {counted(len(its), 'batch norm')} in {format_ns(nodes_ns(evidence, its))}; {both_times(group)}"
        lines.append(EvidenceRow(text=text, rows=ids(group), value_ns=nodes_ns(evidence, its)))
    return RuleResult(
        failed=True,  # whether it costs anything is for the interval to say
        rows=ids(rows),
        claim=evidence.ledger.work("onnxruntime", nodes),
        explains_delta=not any(row.torch_calls for row in rows),  # PyTorch computes them as well
        works=explained_works(rows, nodes),
        detail=counted(len(nodes), "batch norm runs", "batch norms run"),
        summary="Their statistics are constant, and so are the weights of the product beside, which could hold them: ONNX"
        " Runtime folds a batch norm into convolutions only.",
        price="They take {} of a step.",
        evidence=tuple(lines),
        fix=either(
            phrase("fold them into the weights: {}", rewritten(evidence, "fold-batch-norms")),
            "in the model, behind a linear layer: `torch.nn.utils.fusion.fuse_linear_bn_eval(linear, norm)`",
        ),
    )


RULE = Rule(
    id="unfolded-batch-norms",
    passed="No measurable time goes into batch norms that weights could hold",
    failed="{} that weights could hold",
    example="3 batch norms run",
    about=(
        "In inference a batch norm multiplies and shifts each channel by constants, so that the weights of the product"
        " before or behind it can do its work: one pass over memory less, at no cost. ONNX Runtime folds batch norms into"
        " convolutions; between linear layers, as networks for tables have them, every one stays a node"
        " (microsoft/onnxruntime#12130). The rule finds those that directly follow, or alone are read by, a product of"
        " matrices with constant weights, and adds up the time of their nodes."
    ),
    cause="kernel",
    needs=("delta", "partitions", "optimized"),
    direction="slower",
    audit=audit,
    tier="cause",
    catalog=("C7",),
    experiments=("batch-norms",),
)
