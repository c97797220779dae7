"""unfused-layers: layers that ONNX Runtime has a fused operator for, and runs node by node."""

from collections import Counter

from attrib.findings.evidence.advice import either, phrase, rewritten
from attrib.findings.evidence.executed_graph import explained_works
from attrib.findings.evidence.ledger_queries import (
    both_times,
    calls_behind,
    calls_of,
    delta_ns,
    ids,
    nodes_of,
    op_counts,
    rows_holding,
    rows_line,
)
from attrib.findings.evidence.linear_layers import linear_layers
from attrib.findings.evidence.reference_cost import weight_once
from attrib.findings.evidence.single_operators import (
    IN_ONE_NODE,
    decomposed_layers,
    excess_of,
    find_single_operator_layers,
    fused_counts,
    layer_lines,
)
from attrib.findings.evidence.unfused_patterns import separate_residuals
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.wording import counted, listed


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the layers that are not fused."""
    layers = find_single_operator_layers(evidence)
    nodes = {name for layer in layers for name in layer.nodes}
    rest = {
        name: left
        for name, group in decomposed_layers(evidence).items()
        if (left := [row for row in group if nodes.isdisjoint(row.onnx_nodes)])
    }
    rows = (*rows_holding(evidence, nodes), *(row for group in rest.values() for row in group))
    parts = [f"{count} {name}" for name, count in sorted(Counter(layer.layer for layer in layers).items())]
    parts += [
        f"{len({call for row in group for call in calls_behind(evidence, row)})} {name}"
        for name, group in rest.items()
    ]
    terms = excess_of(layers)
    for group in rest.values():
        terms.add(weight_once(nodes_of(group)))
        terms.add_calls(weight_once(calls_of(group)), -1)
    claim = evidence.ledger.weigh({"onnxruntime": terms.nodes, "torch": terms.calls}) if layers else None
    summary = f"{listed(parts)} run as separate nodes: {both_times(rows)}."
    if any(layer.measure == IN_ONE_NODE for layer in layers):
        summary += " What one fused node takes elsewhere in this graph is left out of the saving."
    if not rows:
        summary = f"{fused_counts(evidence.optimized)} {linear_layers(evidence)}".rstrip()
    lines = [*layer_lines(evidence, layers)]
    for name, group in rest.items():
        lines.append(rows_line(f"{name}: {op_counts(evidence, 'onnxruntime', nodes_of(group))}, ", group))
    if evidence.optimized is not None and (residuals := separate_residuals(evidence.optimized)):
        # as it is in PyTorch: no share of the difference
        text = (
            f"{counted(residuals, 'LayerNormalization')} could take in the residual Add before it"
            " (SkipLayerNormalization); PyTorch adds separately too, so this is no part of the difference"
        )
        lines.append(EvidenceRow(text=text))
    side = evidence.side("onnxruntime")
    fix = either(
        "take a newer onnxruntime, whose fusions follow the exporters with some delay",
        phrase("fuse before the session: {}", rewritten(evidence, "onnxscript"))
        or "fuse before the session: `onnxscript.rewriter.ort_fusions.optimize_for_ort(model)`",
    )
    if side is not None and side.opt_level not in ("", "all"):
        fix = f"The session optimizes at level {side.opt_level}: run `attrib profile --opt-level all`."
    return RuleResult(
        failed=claim is not None or delta_ns(rows) > 0,
        rows=ids(rows),
        claim=claim,
        works=(*explained_works(rows, nodes), *calls_of(rows), *nodes_of(rows)) if layers else (),
        detail=listed(parts),
        summary=summary,
        evidence=tuple(lines),
        fix=fix,
    )


RULE = Rule(
    id="unfused-layers",
    passed="Layers that are not fused cost no measurable time",
    failed="Not fused: {}",
    example="12 GELU",
    about=(
        "ONNX Runtime has single operators for layer norm (also with the residual addition), GELU (also "
        "with its bias) and linear layers, but fuses only patterns that it knows: a new exporter or a low "
        "optimization level leaves them as a handful of elementwise nodes, each of which reads and writes "
        "the whole tensor. One lost BiasGelu made a model 4.7 times slower in "
        "microsoft/onnxruntime#23491. The rule looks for PyTorch calls of these layers that became "
        "several nodes, and adds up their ledger rows."
    ),
    cause="decomposed",
    needs=("delta", "partitions", "regions"),
    direction="slower",
    audit=audit,
    catalog=("C7", "C9"),
    experiments=("opt-level", "onnxscript", "ort-transformers", "exporter", "opset"),
)
