"""A ledger less some of its work: what is left to explain once a finding accounts for the rest."""

from collections.abc import Collection, Mapping, Sequence

import msgspec
import numpy as np

from attrib.attribute.bootstrap import Floats, interval
from attrib.attribute.ledger_rows import Ledger
from attrib.model.document import LedgerRow
from attrib.model.manifest import ROLES, Role


def without(ledger: Ledger, rows: Collection[str], works: Collection[str]) -> Ledger:
    """The ledger without whole rows, and without single calls and nodes of others.

    Args:
        ledger: Any ledger.
        rows: Ids of rows to leave out.
        works: Ids of calls and nodes to leave out wherever they are; a row of which nothing is left goes with them.

    Returns:
        A ledger whose rows keep their ids; its sums are those of what is left, with their intervals.
    """
    left_out, gone = set(rows), set(works)
    kept, replicates = [], []
    members: list[Mapping[Role, Sequence[int]]] = []
    for i, row in enumerate(ledger.rows):
        if row.id in left_out:
            continue
        taken = {role: [w for w in _works(row, role) if w in gone] for role in ROLES}
        if not any(taken.values()):
            kept.append(row)
            replicates.append(ledger.replicates[i])
            members += ledger.members[i : i + 1]
        elif any(w not in gone for role in ROLES for w in _works(row, role)):
            (ours, our), (theirs, their) = (ledger.within(i, role, taken[role]) for role in ROLES)
            fewer = ledger.replicates[i] - (their - our)
            kept.append(_reduced(ledger, row, taken, (ours, theirs), fewer))
            replicates.append(fewer)
            members += [_others(ledger, i, gone)] if ledger.members else []
    table = np.array(replicates).reshape(len(kept), ledger.replicates.shape[1])
    return Ledger(tuple(kept), table, ledger.blocks, ledger.sides, ledger.work_ids, tuple(members))


def _works(row: LedgerRow, role: Role) -> tuple[str, ...]:
    return row.torch_calls if role == "torch" else row.onnx_nodes


def _others(ledger: Ledger, row: int, gone: Collection[str]) -> dict[Role, list[int]]:
    """Segments of a row whose work stays."""
    return {
        role: [i for i in its if ledger.work_ids[role][i] not in gone]
        for role, its in ledger.members[row].items()
    }


def _reduced(
    ledger: Ledger,
    row: LedgerRow,
    taken: dict[Role, list[str]],
    spent: tuple[int, int],
    replicates: Floats,
) -> LedgerRow:
    """A row without some of its work, which `spent` so much on either side."""
    torch_ns = max(row.torch_ns - spent[0], 0)
    ort_ns = max(row.onnxruntime_ns - spent[1], 0)
    calls, call_ops = _left(row.torch_calls, row.torch_ops, taken["torch"])
    nodes, node_ops = _left(row.onnx_nodes, row.onnx_ops, taken["onnxruntime"])
    low, high = interval(ort_ns - torch_ns, replicates, ledger.blocks)
    return msgspec.structs.replace(
        row,
        torch_calls=calls,
        torch_ops=call_ops,
        onnx_nodes=nodes,
        onnx_ops=node_ops,
        torch_ns=torch_ns,
        onnxruntime_ns=ort_ns,
        delta_ns=ort_ns - torch_ns,
        low_ns=low,
        high_ns=high,
    )


def _left(
    works: Sequence[str], ops: Sequence[str], taken: Collection[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids and ops of what is left."""
    pairs = [(work, op) for work, op in zip(works, ops, strict=True) if work not in taken]
    return tuple(work for work, _ in pairs), tuple(op for _, op in pairs)
