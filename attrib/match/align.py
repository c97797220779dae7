"""Monotone alignment of nodes to calls: each node goes to one call, in order; a call may take several nodes or none.

The best alignment minimises a cost by dynamic programming over (node, call), vectorised over the calls.
"""

import numpy as np
import numpy.typing as npt

from attrib.match.links import Unmatched, shapes_agree, tensors_in
from attrib.match.ops import IDENTITY_OPS, base_op, call_role, emits, is_whole, writes_one

Floats = npt.NDArray[np.float64]

UNLIKELY = 3.0
"""Cost of giving a node to a call for which exporters do not write it. Above it, the node stays open."""
PIECE = 0.15
"""Cost of a node that is only a piece of what the call does: it may belong to a neighbour that it stands for as a whole."""
SIZES_DIFFER = 1.0
SKIP_COMPUTE, SKIP_LAYOUT = 0.5, 0.1
"""Cost of a call without nodes: views often vanish, computation rarely does."""
REPEATED = 0.2
"""Cost of a second node for a call that exporters write as one node."""
MAX_CELLS = 20_000_000
"""Larger alignments (a graph of thousands of nodes that names no module at all) are not attempted."""


def align(state: Unmatched, calls: list[int], nodes: list[int]) -> dict[int, list[int]]:
    """Give each node to a call, in order.

    Returns:
        Node positions by call position; nodes that fit no call are left out.
    """
    if len(calls) * len(nodes) > MAX_CELLS:
        return {}
    costs = _costs(state, calls, nodes)
    skips = np.array([_skip(state, i) for i in calls])
    stays = np.array([REPEATED if writes_one(state.calls[i].op) else 0.0 for i in calls])
    chosen = _viterbi(costs, skips, stays)
    groups: dict[int, list[int]] = {}
    for row, column in enumerate(chosen.tolist()):
        if costs[row, column] < UNLIKELY:
            groups.setdefault(calls[column], []).append(nodes[row])
    return groups


def _skip(state: Unmatched, call: int) -> float:
    work = state.calls[call]
    computes = call_role(work) == "compute" and base_op(work.op) not in IDENTITY_OPS
    return SKIP_COMPUTE if computes else SKIP_LAYOUT


def _costs(state: Unmatched, calls: list[int], nodes: list[int]) -> Floats:
    """Cost `[node, call]` of each pair."""
    ops = [base_op(state.calls[i].op) for i in calls]
    node_ops = [state.graph.nodes[i].op for i in nodes]
    price = {(o, n): _price(o, n) for o in set(ops) for n in set(node_ops)}
    costs = np.array([[price[o, n] for o in ops] for n in node_ops])
    for row, node in enumerate(nodes):
        sizes, complete = tensors_in(state.graph, [state.graph.nodes[node]])
        for column in np.flatnonzero(costs[row] < UNLIKELY).tolist():
            if shapes_agree(state.calls[calls[column]], sizes, complete=complete) is False:
                costs[row, column] += SIZES_DIFFER
    return costs


def _price(call_op: str, node_op: str) -> float:
    if is_whole(call_op, node_op):
        return 0.0
    return PIECE if emits(call_op, node_op) else UNLIKELY


def _viterbi(costs: Floats, skips: Floats, stays: Floats) -> npt.NDArray[np.int64]:
    """Column of each row on the cheapest monotone path.

    A column that is passed over costs its skip, every row after the first in one column its stay.
    """
    rows, columns = costs.shape
    before = np.concatenate([[0.0], np.cumsum(skips)])
    came = np.zeros((rows, columns), dtype=np.int32)
    best = costs[0] + before[:-1]
    for row in range(1, rows):
        entry = best - before[1:]
        cheapest = np.minimum.accumulate(entry)
        argument = np.where(entry <= cheapest, np.arange(columns), 0)
        argument = np.maximum.accumulate(argument)
        moved = np.concatenate([[np.inf], cheapest[:-1]]) + before[:-1]
        stay = best + stays <= moved
        came[row] = np.where(stay, np.arange(columns), np.concatenate([[0], argument[:-1]]))
        best = np.where(stay, best + stays, moved) + costs[row]
    path = np.zeros(rows, dtype=np.int64)
    path[-1] = int(np.argmin(best + (before[-1] - before[1:])))
    for row in range(rows - 1, 0, -1):
        path[row - 1] = came[row, path[row]]
    return path
