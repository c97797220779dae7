"""Questions to the ledger that several rules ask: which rows, how much time, and what they hold in few words."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable

import numpy as np

from attrib.findings.protocol import Evidence
from attrib.model.document import Cause, EvidenceRow, LedgerRow
from attrib.model.manifest import Role
from attrib.units import format_ns
from attrib.wording import listed

MOST_GROUPS = 6
"""Lines of evidence that a reader takes in; what is behind them is in the ledger."""

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")


def rows_of(evidence: Evidence, cause: Cause) -> tuple[LedgerRow, ...]:
    """Rows of one cause, in the ledger's order."""
    return tuple(row for row in evidence.ledger.rows if row.cause == cause)


def rows_holding(evidence: Evidence, works: Iterable[str]) -> tuple[LedgerRow, ...]:
    """Ledger rows that hold any of these calls or nodes."""
    wanted = set(works)
    return tuple(
        row
        for row in evidence.ledger.rows
        if not wanted.isdisjoint(row.onnx_nodes) or not wanted.isdisjoint(row.torch_calls)
    )


def rows_with_nodes(evidence: Evidence, nodes: Iterable[str]) -> tuple[LedgerRow, ...]:
    """Ledger rows that hold any of these nodes on ONNX Runtime's side."""
    wanted = set(nodes)
    return tuple(row for row in evidence.ledger.rows if not wanted.isdisjoint(row.onnx_nodes))


def ids(rows: Iterable[LedgerRow]) -> tuple[str, ...]:
    """Ids of the rows."""
    return tuple(row.id for row in rows)


def nodes_of(rows: Iterable[LedgerRow]) -> tuple[str, ...]:
    """Ids of the nodes in the rows, each once."""
    return tuple(dict.fromkeys(node for row in rows for node in row.onnx_nodes))


def calls_of(rows: Iterable[LedgerRow]) -> tuple[str, ...]:
    """Ids of the calls in the rows, each once."""
    return tuple(dict.fromkeys(call for row in rows for call in row.torch_calls))


def calls_behind(evidence: Evidence, row: LedgerRow) -> tuple[str, ...]:
    """Ids of a row's calls; of nodes that only stand beside a product, those of their region."""
    region = evidence.regions.get(row.region)
    return row.torch_calls or (region.calls if region is not None else ())


def ops_behind(evidence: Evidence, row: LedgerRow) -> tuple[str, ...]:
    """Op types of those calls."""
    return row.torch_ops or tuple(op_of(evidence, "torch", call) for call in calls_behind(evidence, row))


def delta_ns(rows: Iterable[LedgerRow]) -> int:
    """Sum of the rows' deltas in ns."""
    return sum(row.delta_ns for row in rows)


def side_ns(rows: Iterable[LedgerRow], role: Role) -> int:
    """Sum of the rows' time on one side in ns."""
    return sum(row.torch_ns if role == "torch" else row.onnxruntime_ns for row in rows)


def nodes_ns(evidence: Evidence, nodes: Iterable[str]) -> int:
    """Time of executed nodes in a step in ns, as the ledger has it."""
    return evidence.ledger.work("onnxruntime", nodes).median


def profiled_ns(evidence: Evidence, nodes: Collection[str]) -> int:
    """Profiled time of executed nodes in ns: the median over the steps of their sum."""
    partition = evidence.partitions.get("onnxruntime")
    if partition is None or not partition.steps:
        return 0
    chosen = [i for i, work in enumerate(partition.work) if work.id in nodes]
    return int(np.median(partition.work_ns[chosen].sum(axis=0)))


def step_ns(evidence: Evidence) -> int:
    """The plain step of the slower side in ns, the measure of what is much; 0 where there is none."""
    sides = (evidence.latency.torch_ns, evidence.latency.onnxruntime_ns)
    return max((side.median for side in sides if side is not None), default=0)


def step_of(evidence: Evidence, role: Role) -> int | None:
    """The step of one engine in ns: the plain one, else the profiled one; None where neither was timed."""
    side = evidence.latency.torch_ns if role == "torch" else evidence.latency.onnxruntime_ns
    if side is not None:
        return side.median
    partition = evidence.partitions.get(role)
    return int(np.median(partition.walls_ns)) if partition is not None and partition.steps else None


def both_times(rows: Collection[LedgerRow]) -> str:
    """Time on either side, e.g. `3.1 ms in ONNX Runtime against 0.2 ms in PyTorch`."""
    ort_ns, torch_ns = side_ns(rows, "onnxruntime"), side_ns(rows, "torch")
    return f"{format_ns(ort_ns)} in ONNX Runtime against {format_ns(torch_ns)} in PyTorch"


def op_of(evidence: Evidence, role: Role, work: str) -> str:
    """Op type of a call or node; its id where nothing is known of it."""
    known = evidence.work.get(role, {}).get(work)
    return known.op if known else work


def op_counts(evidence: Evidence, role: Role, works: Iterable[str]) -> str:
    """Op types by frequency, e.g. `48 Reshape, 24 Transpose`."""
    counts = Counter(op_of(evidence, role, work) for work in works)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return listed([f"{count} {op}" for op, count in ordered])


def fold_layers(module: str) -> str:
    """A module name with its layer numbers folded, e.g. `encoder.layer.*.output`."""
    return _NUMBER.sub("*", module) or "(root)"


def group_by_module(rows: Iterable[LedgerRow]) -> list[tuple[str, list[LedgerRow]]]:
    """Rows by module with the layers folded together, the most costly first."""
    groups: dict[str, list[LedgerRow]] = defaultdict(list)
    for row in rows:
        groups[fold_layers(row.module)].append(row)
    return sorted(groups.items(), key=lambda item: (-abs(delta_ns(item[1])), item[0]))


def rows_line(what: str, rows: Collection[LedgerRow]) -> EvidenceRow:
    """One line of evidence: what some rows are, their time on either side, and their delta."""
    return EvidenceRow(text=f"{what}{both_times(rows)}", rows=ids(rows), value_ns=delta_ns(rows))


def nodes_line(evidence: Evidence, what: str, nodes: Collection[str]) -> EvidenceRow:
    """One line of evidence: what some executed nodes are, and their time in a step."""
    spent = nodes_ns(evidence, nodes)
    rows = ids(rows_with_nodes(evidence, nodes))
    return EvidenceRow(text=f"{what}{format_ns(spent)}", rows=rows, value_ns=spent)


def module_lines(evidence: Evidence, rows: Iterable[LedgerRow]) -> tuple[EvidenceRow, ...]:
    """One line a module: the nodes in it and the time on either side."""
    return tuple(
        rows_line(
            f"{module}: {op_counts(evidence, 'onnxruntime', nodes_of(group)) or 'no node'}, ",
            group,
        )
        for module, group in group_by_module(rows)[:MOST_GROUPS]
    )
