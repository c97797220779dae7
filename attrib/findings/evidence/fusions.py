"""Fused nodes: what was fused into what, which of ONNX Runtime's optimizers did it, and what it gives."""

import re
from collections import defaultdict
from collections.abc import Iterable

from attrib.analysis.lineage.rewrites import MARKS
from attrib.analysis.match.ops import is_product_op
from attrib.findings.evidence.ledger_queries import both_times, delta_ns, ids, nodes_of, op_of
from attrib.findings.protocol import Evidence
from attrib.model.document import EvidenceRow, LedgerRow
from attrib.units import format_interval


def optimizers_of(evidence: Evidence, rows: Iterable[LedgerRow]) -> tuple[str, ...]:
    """ONNX Runtime's optimizers that made the nodes of some rows, as `disabled_optimizers` calls them."""
    nodes = [(name, op_of(evidence, "onnxruntime", name)) for name in nodes_of(rows)]
    found = (
        mark.by
        for name, op in nodes
        for mark in MARKS
        # a node shows by its op, or by its name, which optimizer made it
        if not mark.gone and (mark.op or mark.name) and mark.op in ("", op) and re.search(mark.name, name)
    )
    return tuple(dict.fromkeys(found))


def group_by_fusion(evidence: Evidence, rows: tuple[LedgerRow, ...]) -> list[tuple[str, list[LedgerRow]]]:
    """Rows by what was fused into what, the largest difference first.

    A row without nodes holds what a node of another row of its region took in: that node is named.
    """
    groups: dict[str, list[LedgerRow]] = defaultdict(list)
    for row in rows:
        ops = row.onnx_ops or tuple(op_of(evidence, "onnxruntime", name) for name in taking_in(evidence, row))
        calls, nodes = (" + ".join(dict.fromkeys(names)) for names in (row.torch_ops, ops))
        groups[f"{calls} → {nodes}"].append(row)
    return sorted(groups.items(), key=lambda item: (-abs(delta_ns(item[1])), item[0]))


def taking_in(evidence: Evidence, row: LedgerRow) -> tuple[str, ...]:
    """The nodes into which the calls of a row were fused: its own, else the products of its region."""
    if row.onnx_nodes:
        return row.onnx_nodes
    region = evidence.regions.get(row.region)
    nodes = region.nodes if region is not None else ()
    products = [n for n in nodes if is_product_op(op_of(evidence, "onnxruntime", n))]
    return tuple(products or nodes)


def fusion_line(evidence: Evidence, kind: str, group: list[LedgerRow]) -> EvidenceRow:
    """One line on the fusions of one kind: how many, both sides' time, and the difference with its interval."""
    total = evidence.ledger.total(ids(group))
    figure = format_interval(total.median, total.low, total.high)
    text = f"{len(group)} times {kind}: {both_times(group)} ({figure})"
    return EvidenceRow(text=text, rows=ids(group), value_ns=total.median)
