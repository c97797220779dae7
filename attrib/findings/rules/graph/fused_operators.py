"""fused-operators: what ONNX Runtime gains by running several calls as fewer nodes."""

import re
from collections import defaultdict
from collections.abc import Iterable

from attrib.analysis.lineage.rewrites import MARKS, OptimizerMark
from attrib.findings.evidence.ledger_queries import (
    MOST_GROUPS,
    compared,
    counted,
    delta_ns,
    ids,
    nodes_of,
    op_of,
    rows_of,
)
from attrib.findings.protocol import Evidence, Rule, Verdict
from attrib.model.document import EvidenceRow, LedgerRow
from attrib.units import format_interval


def audit(evidence: Evidence) -> Verdict:
    """Compare the fused nodes with the calls that they replace."""
    rows = rows_of(evidence, "fused")
    if not rows:
        return Verdict(failed=False, summary="ONNX Runtime fused no operators that PyTorch runs apart.")
    groups = by_kind(rows)
    return Verdict(
        failed=delta_ns(rows) < 0,
        rows=ids(rows),
        detail=counted(len(nodes_of(rows)), "fused node is", "fused nodes are"),
        summary=f"What several calls do in PyTorch and fewer nodes in ONNX Runtime takes {compared(rows)}.",
        evidence=tuple(_line(evidence, kind, group) for kind, group in groups[:MOST_GROUPS]),
        fix="Nothing to mend: this is what fusing gains. `--torch-mode compile` shows what fusing gives PyTorch.",
    )


def optimizers_of(evidence: Evidence, rows: Iterable[LedgerRow]) -> tuple[str, ...]:
    """ONNX Runtime's optimizers that made the nodes of some rows, as `disabled_optimizers` calls them."""
    nodes = [(name, op_of(evidence, "onnxruntime", name)) for name in nodes_of(rows)]
    found = (mark.by for name, op in nodes for mark in MARKS if not mark.gone and _bears(mark, name, op))
    return tuple(dict.fromkeys(found))


def _bears(mark: OptimizerMark, name: str, op: str) -> bool:
    """Whether a node shows by its op, or by its name, which optimizer made it."""
    return bool(mark.op or mark.name) and mark.op in ("", op) and re.search(mark.name, name) is not None


def by_kind(rows: tuple[LedgerRow, ...]) -> list[tuple[str, list[LedgerRow]]]:
    """Rows by what was fused into what, the largest difference first."""
    groups: dict[str, list[LedgerRow]] = defaultdict(list)
    for row in rows:
        calls, nodes = (" + ".join(dict.fromkeys(ops)) for ops in (row.torch_ops, row.onnx_ops))
        groups[f"{calls} → {nodes}"].append(row)
    return sorted(groups.items(), key=lambda item: (-abs(delta_ns(item[1])), item[0]))


def _line(evidence: Evidence, kind: str, group: list[LedgerRow]) -> EvidenceRow:
    total = evidence.ledger.total(ids(group))
    figure = format_interval(total.median, total.low, total.high)
    text = f"{len(group)} times {kind}: {compared(group)} ({figure})"
    return EvidenceRow(text=text, rows=ids(group), value_ns=total.median)


RULE = Rule(
    id="fused-operators",
    passed="No fused operator makes ONNX Runtime measurably faster",
    failed="{} faster than the PyTorch calls for the same work",
    example="24 fused nodes are",
    about=(
        "ONNX Runtime's optimizer merges chains of operators into one node (SkipLayerNormalization, BiasGelu, "
        "FusedMatMul), which saves passes over memory and is a common reason for it to be faster. The rule adds up the "
        "ledger rows of the cause `fused` that no other rule accounts for; fusions that cost time are slower-fusion's."
    ),
    cause="fused",
    needs=("delta", "partitions", "regions"),
    direction="faster",
    audit=audit,
    tier="remainder",
    catalog=("C8",),
    experiments=("torch-compile",),
)
