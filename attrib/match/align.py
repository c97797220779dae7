"""Alignment of nodes to calls: each node goes to one call; a call may take several nodes or none.

The nodes come in some order, the calls in PyTorch's. The cheapest alignment is found by dynamic programming over (node,
call), vectorised over the calls. It moves forward through the calls; where the order of the nodes is only that of
execution, it may also jump, for a price: an engine that executes depth first leaves a branch and comes back to it.
Costs are integers, so that ties are ties; among equals the latest call wins, because code computes an operand right
before it uses it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from attrib.lineage.graph import GraphNode
from attrib.match.links import Unmatched, disagreement
from attrib.match.ops import FUSES, IDENTITY_OPS, SPELLED, base_op, call_role, emits, is_whole, writes_one
from attrib.model.tensor import Tensor
from attrib.model.work import Work

Costs = npt.NDArray[np.int32]
Row = Callable[[int], Costs]

UNLIKELY = 300
"""Cost of giving a node to a call for which exporters do not write it. Above it, the node stays open."""
PIECE = 15
"""Cost of a node that is only a piece of what the call does: it may belong to a neighbour that it stands for as a whole."""
PART = 40
"""Cost of a fused node for a call that is not its core."""
SKIP_COMPUTE, SKIP_LAYOUT = 50, 10
"""Cost of a call without nodes: views often vanish, computation rarely does."""
REPEATED = 20
"""Cost of a second node for a call that exporters write as one node."""
TAKEN = 50
"""Cost of a call that a surer matcher has given its nodes already."""
JUMP_BACK, JUMP = 100, 250
"""Cost of going back a little in the calls, and of going anywhere."""
LITTLE = 64
"""Calls that count as a little; a power of two."""

MAX_CELLS = 4_000_000
"""Larger alignments are done in windows, so that time grows with the number of nodes and memory not at all."""
WINDOW_ROWS, WINDOW_COLUMNS = 1024, 2048
MAX_PRICED = 1_000_000
"""With more pairs of distinct nodes and calls than this, sizes are left out of the costs."""


class Moves(NamedTuple):
    """What moving through the calls costs: passing over each one, and staying on it for another node."""

    skips: Costs
    stays: Costs
    jumps: bool = False


class _Kind(NamedTuple):
    """What calls have in common that cost the same."""

    op: str
    inputs: tuple[Tensor, ...]


class _Form(NamedTuple):
    """What nodes have in common that cost the same."""

    op: str
    reads: tuple[Tensor, ...]
    makes: tuple[Tensor, ...]


def align(
    state: Unmatched,
    calls: Sequence[int],
    nodes: Sequence[int],
    *,
    pins: Mapping[int, frozenset[int]] | None = None,
    jumps: bool = False,
) -> dict[int, int]:
    """Give each node to a call.

    Args:
        state: What the positions refer to.
        calls: Positions of calls, in order.
        nodes: Positions of nodes, in order.
        pins: Calls of the nodes that have some already.
        jumps: The order of the nodes is only that of execution.

    Returns:
        Call by node, both by position; nodes that fit no call are left out.
    """
    if not calls or not nodes:
        return {}
    row = _rows(state, calls, nodes, pins or {})
    skips = np.array([_skip(state.calls[i]) for i in calls], dtype=np.int32)
    stays = np.array([REPEATED * writes_one(state.calls[i].op) for i in calls], dtype=np.int32)
    chosen = cheapest_path(row, len(nodes), Moves(skips, stays, jumps))
    return {nodes[r]: calls[c] for r, c in enumerate(chosen) if row(r)[c] < UNLIKELY}


def _skip(call: Work) -> int:
    computes = call_role(call) == "compute" and base_op(call.op) not in IDENTITY_OPS
    return SKIP_COMPUTE if computes else SKIP_LAYOUT


def _rows(
    state: Unmatched, calls: Sequence[int], nodes: Sequence[int], pins: Mapping[int, frozenset[int]]
) -> Row:
    """The cost of each call for the n-th node; equal nodes and equal calls are priced once."""
    kinds: dict[_Kind, int] = {}
    kind_of = [kinds.setdefault(_Kind(state.calls[i].op, state.calls[i].inputs), len(kinds)) for i in calls]
    forms: dict[_Form, int] = {}
    form_of = [forms.setdefault(_form(state, state.graph.nodes[i]), len(forms)) for i in nodes]
    sized = len(kinds) * len(forms) <= MAX_PRICED
    price = np.array([[_price(kind, form, sized=sized) for kind in kinds] for form in forms], dtype=np.int32)
    column_kind = np.array(kind_of)
    taken = {link.call for link in state.links}
    extra = np.array([TAKEN * (i in taken) for i in calls], dtype=np.int32)
    column_of = {call: column for column, call in enumerate(calls)}

    def row(r: int) -> Costs:
        pinned = [column_of[call] for call in pins.get(nodes[r], ()) if call in column_of]
        if not pinned:
            return np.asarray(price[form_of[r]][column_kind] + extra)
        costs = np.full(len(calls), UNLIKELY, dtype=np.int32)
        costs[pinned] = 0
        return costs

    return row


def _form(state: Unmatched, node: GraphNode) -> _Form:
    values = state.graph.values
    reads, makes = (tuple(values[n] for n in names if n in values) for names in (node.inputs, node.outputs))
    return _Form(node.op, reads, makes)


def _price(kind: _Kind, form: _Form, *, sized: bool) -> int:
    by_op = op_price(kind.op, form.op)
    if by_op >= UNLIKELY or not sized:
        return by_op
    return by_op + disagreement(kind.inputs, form.reads, form.makes, whole=by_op == 0)


def op_price(call_op: str, node_op: str) -> int:
    """Cost of a node for a call, by their ops alone."""
    fused = FUSES.get(node_op)
    if fused is not None:
        base = base_op(call_op)
        return 0 if base == fused[-1] else PART if base in fused else UNLIKELY
    plain = SPELLED.get(node_op, node_op)
    if is_whole(call_op, plain):
        return 0
    return PIECE if emits(call_op, plain) else UNLIKELY


def cheapest_path(row: Row, rows: int, moves: Moves) -> list[int]:
    """Column of each row on the cheapest path.

    A column that is passed over costs its skip, every row after the first in one column its stay, and a jump its own
    price; what a jump passes over is not charged.
    """
    columns = len(moves.skips)
    height, width = _window(rows, columns)
    path: list[int] = []
    while len(path) < rows:
        top = len(path)
        left = min(max(path[-1] - width // 4, 0), columns - width) if path else 0
        inside = slice(left, left + width)
        last = min(top + height, rows)
        found = _window_path(
            lambda r, top=top, inside=inside: row(top + r)[inside],  # type: ignore[misc]
            last - top,
            Moves(moves.skips[inside], moves.stays[inside], moves.jumps),
            origin=path[-1] - left if path else None,
            final=last == rows,
        )
        path += [left + column for column in (found if last == rows else found[: height // 2])]
    return path


def _window(rows: int, columns: int) -> tuple[int, int]:
    if rows * columns <= MAX_CELLS:
        return rows, columns
    height = min(rows, WINDOW_ROWS)
    width = min(columns, max(WINDOW_COLUMNS, 4 * height * columns // rows))
    return max(2, min(height, MAX_CELLS // width)), width


def _window_path(row: Row, rows: int, moves: Moves, *, origin: int | None, final: bool) -> list[int]:
    before = np.concatenate([[0], np.cumsum(moves.skips)]).astype(np.int32)
    columns = len(moves.skips)
    best = np.empty((rows, columns), dtype=np.int32)
    for r in range(rows):
        reached = _reached(best[r - 1], moves, before) if r else _start(before, moves, origin)
        best[r] = reached + row(r)
    rest = before[-1] - before[1:] if final else 0
    if moves.jumps:
        rest = np.minimum(rest, JUMP)
    path = [_last_least(best[-1] + rest)]
    for r in range(rows - 1, 0, -1):
        path.append(_came_from(best[r - 1], path[-1], moves, before))
    return path[::-1]


def _start(before: Costs, moves: Moves, origin: int | None) -> Costs:
    """Cost of beginning in each column: of all that is passed over, seen from where the window before ended."""
    if origin is None:
        return np.minimum(before[:-1], JUMP) if moves.jumps else before[:-1]
    at = np.full(len(before) - 1, 1 << 28, dtype=np.int32)
    at[origin] = 0
    return _reached(at, moves, before)


def _reached(best: Costs, moves: Moves, before: Costs) -> Costs:
    """Least cost of standing in each column for the next row."""
    ahead = np.minimum.accumulate(best - before[1:])
    forward = np.concatenate([[1 << 28], ahead[:-1] + before[1:-1]]).astype(np.int32)
    reached = np.minimum(forward, best + moves.stays)
    if moves.jumps:
        reached = np.minimum(reached, _least_ahead(best) + JUMP_BACK)
        reached = np.minimum(reached, best.min() + JUMP)
    return np.asarray(reached)


def _least_ahead(best: Costs) -> Costs:
    """For each column the least of the next `LITTLE` ones, by doubling."""
    far = np.int32(1 << 28)
    found = np.append(best[1:], far)
    span = 1
    while span < LITTLE:
        found = np.minimum(
            found, np.concatenate([found[span:], np.full(min(span, len(found)), far)])[: len(found)]
        )
        span *= 2
    return found


def _came_from(best: Costs, column: int, moves: Moves, before: Costs) -> int:
    """The column of the row before from which a column was reached at the least cost."""
    forward = best[:column] + (before[column] - before[1 : column + 1])
    options = [(int(best[column] + moves.stays[column]), column)]
    if column:
        place = _last_least(forward)
        options.insert(0, (int(forward[place]), place))
    if moves.jumps:
        near = best[column + 1 : column + 1 + LITTLE]
        options += [(int(near.min()) + JUMP_BACK, column + 1 + _last_least(near))] if len(near) else []
        options.append((int(best.min()) + JUMP, _last_least(best)))
    return min(options, key=lambda option: option[0])[1]


def _last_least(costs: Costs) -> int:
    return len(costs) - 1 - int(np.argmin(costs[::-1]))
