"""Alignment of nodes to calls: each node goes to one call; a call may take several nodes or none.

The nodes come in some order, the calls in PyTorch's. The cheapest alignment is found by dynamic programming over (node,
call), vectorized over the calls. It moves forward through the calls; where the order of the nodes is only that of
execution, it may also jump, for a price: an engine that executes depth first leaves a branch and comes back to it.
Costs are integers, so that ties are ties; among equals the latest call wins, because code computes an operand right
before it uses it. Where a tie should decide nothing, `certain` asks for what the earliest and the latest path agree on.
"""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from attrib.analysis.match.alignment.cheapest_path import OPEN, Moves, cheapest_path
from attrib.analysis.match.alignment.prices import (
    LEFT_OUT,
    SKIP_COMPUTE,
    SKIP_LAYOUT,
    UNLIKELY,
    CallKind,
    Prices,
    price,
    rows_of,
)
from attrib.analysis.match.candidates import MatchState
from attrib.analysis.match.ops import computes


def align(
    state: MatchState,
    calls: Sequence[int],
    nodes: Sequence[int],
    *,
    pins: Mapping[int, frozenset[int]] | None = None,
    jumps: bool = False,
    certain: bool = False,
) -> dict[int, frozenset[int]]:
    """Give each node to a call; a fused one to as many as it stands for.

    Args:
        state: What the positions refer to.
        calls: Positions of calls, in order.
        nodes: Positions of nodes, in order.
        pins: Calls of the nodes that have some already.
        jumps: The order of the nodes is only that of execution.
        certain: Leave out what other alignments of the same cost do otherwise.

    Returns:
        Calls by node, all by position; nodes that fit no call are left out.
    """
    if not calls or not nodes:
        return {}
    fixed = pins or {}
    rows = [row for node in nodes for row in rows_of(state, node, whole=node in fixed)]
    prices = Prices(state, calls, rows, fixed)
    moves = Moves(
        skips=np.array(
            [SKIP_COMPUTE if computes(state.calls[i]) else SKIP_LAYOUT for i in calls], dtype=np.int32
        ),
        stays=prices.stays,
        opens=np.array([LEFT_OUT if row.form.taken_in else UNLIKELY for row in rows], dtype=np.int32),
        jumps=jumps,
    )
    path = cheapest_path(prices.costs, moves)
    other = cheapest_path(prices.costs, moves, early=True) if certain else path
    doubtful = {row.node for row, late, early in zip(rows, path, other, strict=True) if late != early}
    found: dict[int, frozenset[int]] = {}
    for row, column in zip(rows, path, strict=True):
        if column != OPEN and row.node not in doubtful:
            found[row.node] = found.get(row.node, frozenset()) | {calls[column]}
    return found


def misfit(state: MatchState, found: Mapping[int, frozenset[int]], nodes: Sequence[int]) -> int:
    """What an alignment costs by ops and sizes alone, whatever the order."""
    kinds = {i: CallKind(state.calls[i].op, state.calls[i].inputs) for calls in found.values() for i in calls}
    cost = cache(lambda kind, form: price(kind, form, sized=True))
    total = 0
    for node in nodes:
        core = next(row.form for row in rows_of(state, node, whole=True))
        total += min([UNLIKELY, *(cost(kinds[i], core) for i in found.get(node, ()))])
    return total
