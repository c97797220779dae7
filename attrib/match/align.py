"""Alignment of nodes to calls: each node goes to one call; a call may take several nodes or none.

The nodes come in some order, the calls in PyTorch's. The cheapest alignment is found by dynamic programming over (node,
call), vectorised over the calls. It moves forward through the calls; where the order of the nodes is only that of
execution, it may also jump, for a price: an engine that executes depth first leaves a branch and comes back to it.
Costs are integers, so that ties are ties; among equals the latest call wins, because code computes an operand right
before it uses it. Where a tie should decide nothing, `certain` asks for what the earliest and the latest path agree on.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from attrib.match.links import Unmatched, disagreement, shares_vector
from attrib.match.ops import (
    FUSES,
    IDENTITY_OPS,
    READS_BIAS,
    SPELLED,
    Fused,
    base_op,
    call_role,
    emits,
    is_whole,
    writes_one,
)
from attrib.model.tensor import Tensor
from attrib.model.work import Work

Costs = npt.NDArray[np.int32]
Row = Callable[[int, slice], Costs]
Least = Callable[[Costs], int]

FAR = 1 << 28
"""A cost that no path has."""
UNLIKELY = 300
"""Cost of leaving a node open, because exporters write it for none of the calls, or for none that is near."""
PIECE = 15
"""Cost of a node that is only a piece of what the call does: it may belong to a neighbour that it stands for as a whole."""
LEFT_OUT = 30
"""Cost of an op that a fused op can have taken in, but did not."""
SKIP_COMPUTE, SKIP_LAYOUT = 50, 10
"""Cost of a call without nodes: views often vanish, computation rarely does."""
REPEATED = 20
"""Cost of a second node for a call that exporters write as one node."""
TAKEN = 50
"""Cost of a call that a surer matcher has given its nodes already."""
JUMP = 100
"""Cost of going back in the calls, beside that of the calls between: leaving a branch for another one of the model."""

MAX_CELLS = 4_000_000
"""Larger alignments are done in windows, so that time grows with the number of nodes and memory not at all."""
WINDOW_ROWS, WINDOW_COLUMNS = 1024, 2048
MAX_PRICED = 1_000_000
"""With more pairs of distinct nodes and calls than this, sizes are left out of the costs."""


OPEN = -1
"""Stands for the column of a row that takes none."""


class Moves(NamedTuple):
    """What a path costs beside its cells.

    `skips` is for passing over each column, `stays` for giving it another row, `opens` for each row that takes no column.
    """

    skips: Costs
    stays: Costs
    opens: Costs
    jumps: bool = False


class _Kind(NamedTuple):
    """What calls have in common that cost the same."""

    op: str
    inputs: tuple[Tensor, ...]


class _Form(NamedTuple):
    """What rows have in common that cost the same: a node, or an op that a fused node may have taken in."""

    op: str
    reads: tuple[Tensor, ...]
    makes: tuple[Tensor, ...]
    taken_in: frozenset[str] = frozenset()
    target: str = ""


class _Part(NamedTuple):
    """One row of an alignment: a node, or one of the ops that it stands for."""

    node: int
    form: _Form


def align(
    state: Unmatched,
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
    parts = [part for node in nodes for part in _parts(state, node, whole=node in fixed)]
    row = _rows(state, calls, parts, fixed)
    moves = Moves(
        skips=np.array([_skip(state.calls[i]) for i in calls], dtype=np.int32),
        stays=np.array([REPEATED * writes_one(state.calls[i].op) for i in calls], dtype=np.int32),
        opens=np.array([LEFT_OUT if part.form.taken_in else UNLIKELY for part in parts], dtype=np.int32),
        jumps=jumps,
    )
    path = cheapest_path(row, moves)
    other = cheapest_path(row, moves, early=True) if certain else path
    found: dict[int, frozenset[int]] = {}
    for part, column, early in zip(parts, path, other, strict=True):
        if column != OPEN and column == early:
            found[part.node] = found.get(part.node, frozenset()) | {calls[column]}
    return found


def _skip(call: Work) -> int:
    computes = call_role(call) == "compute" and base_op(call.op) not in IDENTITY_OPS
    return SKIP_COMPUTE if computes else SKIP_LAYOUT


def _parts(state: Unmatched, position: int, *, whole: bool) -> list[_Part]:
    """The rows of a node: itself, and what a fused op may have taken in before and after."""
    node, values = state.graph.nodes[position], state.graph.values
    reads, makes = (tuple(values[n] for n in names if n in values) for names in (node.inputs, node.outputs))
    fused = Fused() if whole else FUSES.get(node.op, Fused())
    target = base_op(node.fx_target) if node.fx_target else ""
    rows = (*fused.before, frozenset[str](), *fused.after)
    return [_Part(position, _Form(node.op, reads, makes, ops, target)) for ops in rows]


def _rows(
    state: Unmatched, calls: Sequence[int], parts: Sequence[_Part], pins: Mapping[int, frozenset[int]]
) -> Row:
    """The cost of each call for the n-th row; equal rows and equal calls are priced once."""
    kinds: dict[_Kind, int] = {}
    kind_of = [kinds.setdefault(_Kind(state.calls[i].op, state.calls[i].inputs), len(kinds)) for i in calls]
    forms: dict[_Form, int] = {}
    form_of = [forms.setdefault(part.form, len(forms)) for part in parts]
    sized = len(kinds) * len(forms) <= MAX_PRICED
    price = np.array([[_price(kind, form, sized=sized) for kind in kinds] for form in forms], dtype=np.int32)
    column_kind = np.array(kind_of)
    taken = {link.call for link in state.links}
    extra = np.array([TAKEN * (i in taken) for i in calls], dtype=np.int32)
    column_of = {call: column for column, call in enumerate(calls)}

    def row(r: int, inside: slice) -> Costs:
        if parts[r].node not in pins:
            return np.asarray(price[form_of[r]][column_kind[inside]] + extra[inside], dtype=np.int32)
        costs = np.full(len(calls), FAR, dtype=np.int32)
        costs[[column_of[call] for call in pins[parts[r].node] if call in column_of]] = 0
        return costs[inside]

    return row


def _price(kind: _Kind, form: _Form, *, sized: bool) -> int:
    if form.taken_in or form.target:
        by_op = named_price(kind.op, form.taken_in or frozenset({form.target}))
    else:
        by_op = op_price(kind.op, form.op)
    if by_op >= UNLIKELY:
        return FAR
    if not sized:
        return by_op
    if form.target:
        return by_op + disagreement(kind.inputs, form.reads, form.makes, whole=False)
    if (base_op(kind.op), form.op) in READS_BIAS and not shares_vector(kind.inputs, form.reads):
        return FAR
    return by_op + disagreement(kind.inputs, form.reads, form.makes, whole=by_op == 0 and not form.taken_in)


def op_price(call_op: str, node_op: str) -> int:
    """Cost of a node for a call, by their ops alone."""
    plain = SPELLED.get(node_op, node_op)
    if is_whole(call_op, plain):
        return 0
    return PIECE if emits(call_op, plain) else UNLIKELY


def named_price(call_op: str, ops: frozenset[str]) -> int:
    """Cost of a call where the aten op is known: from an exporter, or as one that a fused node takes in."""
    return 0 if base_op(call_op) in ops else UNLIKELY


def cheapest_path(row: Row, moves: Moves, *, early: bool = False) -> list[int]:
    """Column of each row on the cheapest path, `OPEN` for a row that takes none.

    Of equal paths the latest, or the earliest.

    A column that is passed over costs its skip, every row after the first in one column its stay, and a step back `JUMP`
    and the skips of what lies between. A row that takes no column leaves the path where it is.
    """
    rows, columns = len(moves.opens), len(moves.skips)
    height, width = _window(rows, columns)
    path: list[int] = []
    while len(path) < rows:
        top = len(path)
        at = next((column for column in reversed(path) if column != OPEN), OPEN)
        left = min(max(at - width // 4, 0), columns - width)
        last = min(top + height, rows)
        inside = slice(left, left + width)
        window = Moves(moves.skips[inside], moves.stays[inside], moves.opens[top:last], moves.jumps)
        found = _window_path(
            lambda r, top=top, inside=inside: row(top + r, inside),  # type: ignore[misc]
            window,
            origin=at - left if at != OPEN else OPEN,
            final=last == rows,
            least=_first_least if early else _last_least,
        )
        kept = found if last == rows else found[: height * 3 // 4]
        path += [left + column if column != OPEN else OPEN for column in kept]
    return path


def _window(rows: int, columns: int) -> tuple[int, int]:
    if rows * columns <= MAX_CELLS:
        return rows, columns
    height = min(rows, WINDOW_ROWS)
    width = min(columns, max(WINDOW_COLUMNS, 4 * height * columns // rows))
    return max(2, min(height, MAX_CELLS // width)), width


def _window_path(
    row: Callable[[int], Costs], moves: Moves, *, origin: int, final: bool, least: Least
) -> list[int]:
    """The path through one window; column 0 of the work here stands for the place before the first column."""
    inner = Moves(np.insert(moves.skips, 0, 0), np.insert(moves.stays, 0, FAR), moves.opens, moves.jumps)
    before = np.concatenate([[0], np.cumsum(inner.skips)]).astype(np.int32)
    rows, columns = len(moves.opens), len(inner.skips)
    best = np.full((rows + 1, columns), FAR, dtype=np.int32)
    best[0, origin + 1] = 0
    for r in range(rows):
        best[r + 1, 1:] = _reached(best[r], inner, before)[1:] + row(r)
        best[r + 1] = np.minimum(best[r + 1], best[r] + moves.opens[r])
    column = least(best[-1] + (before[-1] - before[1:] if final else 0))
    path = []
    for r in range(rows - 1, -1, -1):
        place, cost = _came_from(best[r], column, inner, before, least)
        taken = column > 0 and cost + row(r)[column - 1] <= best[r, column] + moves.opens[r]
        path.append(column - 1 if taken else OPEN)
        column = place if taken else column
    return path[::-1]


def _reached(best: Costs, moves: Moves, before: Costs) -> Costs:
    """Least cost of standing in each column for the next row."""
    ahead = np.minimum.accumulate(best - before[1:])
    forward = np.concatenate([[FAR], ahead[:-1] + before[1:-1]]).astype(np.int32)
    reached: Costs = np.minimum(forward, best + moves.stays)
    if moves.jumps:
        behind = np.minimum.accumulate((best + before[:-1])[::-1])[::-1]
        reached[:-1] = np.minimum(reached[:-1], behind[1:] - before[:-2] + JUMP)
    return reached


def _came_from(best: Costs, column: int, moves: Moves, before: Costs, least: Least) -> tuple[int, int]:
    """The column of the row before from which a column is reached at the least cost, and that cost."""
    options = [(int(best[column]) + int(moves.stays[column]), column)]
    if column:
        forward = best[:column] + (before[column] - before[1 : column + 1])
        place = least(forward)
        options.insert(0, (int(forward[place]), place))
    if moves.jumps and column + 1 < len(best):
        back = best[column + 1 :] + (before[column + 1 : -1] - before[column]) + JUMP
        place = least(back)
        options.append((int(back[place]), column + 1 + place))
    cost, place = min(options, key=lambda option: option[0])
    return place, cost


def _first_least(costs: Costs) -> int:
    return int(np.argmin(costs))


def _last_least(costs: Costs) -> int:
    return len(costs) - 1 - int(np.argmin(costs[::-1]))
