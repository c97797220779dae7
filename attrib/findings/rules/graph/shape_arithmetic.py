"""shape-arithmetic: nodes that compute shapes at run time."""

from attrib.findings.evidence.advice import either, fixed_sizes, free_sizes, phrase, rewritten
from attrib.findings.evidence.ledger_queries import (
    both_times,
    delta_ns,
    ids,
    module_lines,
    nodes_of,
    op_counts,
    rows_of,
)
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.wording import counted


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the nodes that compute shapes."""
    rows = rows_of(evidence, "shape_arithmetic")
    nodes = nodes_of(rows)
    if not nodes:
        return RuleResult(
            failed=False, summary="Every shape is a constant of the graph: no node computes one."
        )
    return RuleResult(
        failed=delta_ns(rows) > 0,
        rows=ids(rows),
        detail=counted(len(nodes), "node"),
        summary=f"{op_counts(evidence, 'onnxruntime', nodes)}: shapes take {both_times(rows)}.",
        evidence=module_lines(evidence, rows),
        fix=_fix(evidence),
    )


def _fix(evidence: Evidence) -> str:
    """Fixed sizes where they are free, or not known to be fixed; else what folds shapes of a graph that has them."""
    if free_sizes(evidence) is False:
        slim = phrase("see what another tool folds: {}", rewritten(evidence, "onnxslim"))
        return either(
            "take sizes from Python in `forward` where they never change, so that the exporter writes constants",
            slim,
        )
    return either(
        phrase("export with fixed sizes: {}", fixed_sizes(evidence)),
        "fix the free dimensions of the session, so that constant folding removes them:"
        " `session_options.add_free_dimension_override_by_name(name, value)`",
    )


RULE = Rule(
    id="shape-arithmetic",
    passed="No measurable time is lost to computing shapes",
    failed="{} compute shapes at run time",
    example="40 nodes",
    about=(
        "A graph with dynamic dimensions computes its shapes with nodes of its own: Shape, Gather, "
        "Concat, Unsqueeze on a handful of integers. Each is small, but each costs a dispatch, and under "
        "a GPU provider a round trip to the host. The rule adds up the ledger rows of the cause "
        "`shape_arithmetic`."
    ),
    cause="shape_arithmetic",
    needs=("delta", "partitions"),
    direction="slower",
    audit=audit,
    catalog=("C13",),
    experiments=("static-shapes", "onnxslim"),
)
