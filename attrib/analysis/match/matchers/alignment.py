"""Alignment of nodes to calls: each node goes to one call; a call may take several nodes or none.

The nodes come in some order, the calls in PyTorch's. The cheapest alignment is found by dynamic programming over (node,
call), vectorized over the calls. It moves forward through the calls; where the order of the nodes is only that of
execution, it may also jump, for a price: an engine that executes depth first leaves a branch and comes back to it.
Costs are integers, so that ties are ties; among equals the latest call wins, because code computes an operand right
before it uses it. Where a tie should decide nothing, `certain` asks for what the earliest and the latest path agree on.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from attrib.analysis.match.candidates import Unmatched, disagreement, shares_vector
from attrib.analysis.match.ops import (
    FUSES,
    IDENTITY_OPS,
    READS_BIAS,
    SPELLED,
    Fused,
    base_op,
    call_role,
    emits,
    is_whole,
    reads_all,
    writes_one,
)
from attrib.model.tensor import Tensor
from attrib.model.work import Work

# The cheapest path through a grid of rows and columns, in order: dynamic programming, vectorized over the columns.
#
# Costs are integers, so that ties are ties. Large grids are done in windows, so that time grows with the number of rows and
# memory not at all.


Costs = npt.NDArray[np.int32]
Row = Callable[[int, slice], Costs]
"""What each column of a slice costs in the n-th row."""
Least = Callable[[Costs], int]

FAR = 1 << 28
"""A cost that no path has."""
OPEN = -1
"""Stands for the column of a row that takes none."""
JUMP = 100
"""Cost of going back, beside that of the columns between."""
MAX_CELLS = 4_000_000
"""Larger grids are done in windows."""
WINDOW_ROWS, WINDOW_COLUMNS = 1024, 2048


class Moves(NamedTuple):
    """What a path costs beside its cells.

    `skips` is for passing over each column, `stays` for giving it the n-th row as well, `opens` for each row that takes no
    column. Going back is allowed where `jumps` says so.
    """

    skips: Costs
    stays: Row
    opens: Costs
    jumps: bool = False


def cheapest_path(row: Row, moves: Moves, *, early: bool = False) -> list[int]:
    """Column of each row on the cheapest path, `OPEN` for a row that takes none.

    Of equal paths the latest, or the earliest.

    A column that is passed over costs its skip, every row after the first in one column its stay, and a step back `JUMP`
    and the skips of what lies between. A row that takes no column leaves the path where it is.
    """
    rows, columns = len(moves.opens), len(moves.skips)
    height, width = _window_size(rows, columns)
    path: list[int] = []
    while len(path) < rows:
        top, last = len(path), min(len(path) + height, rows)
        at = next((column for column in reversed(path) if column != OPEN), OPEN)
        left = min(max(at - width // 4, 0), columns - width)
        window = _Window(row, moves, range(top, last), range(left, left + width))
        found = window.path(origin=at, final=last == rows, least=_first_least if early else _last_least)
        path += found if last == rows else found[: height * 3 // 4]
    return path


def _window_size(rows: int, columns: int) -> tuple[int, int]:
    if rows * columns <= MAX_CELLS:
        return rows, columns
    height = min(rows, WINDOW_ROWS)
    width = min(columns, max(WINDOW_COLUMNS, 4 * height * columns // rows))
    return max(2, min(height, MAX_CELLS // width)), width


class _Window:
    """Some rows and columns of the grid. Place 0 stands for where a path is before its first column."""

    def __init__(self, row: Row, moves: Moves, rows: range, columns: range) -> None:
        self._rows, self._columns = rows, columns
        self._opens = moves.opens[rows.start : rows.stop]
        self._row, self._moves = row, moves
        self._inside = slice(columns.start, columns.stop)
        self._before = np.concatenate([[0, 0], np.cumsum(moves.skips[self._inside])]).astype(np.int32)
        self._scratch, self._cost = (np.full(len(columns) + 1, FAR, dtype=np.int32) for _ in range(2))

    def path(self, *, origin: int, final: bool, least: Least) -> list[int]:
        """The cheapest path from the column `origin`; if it is the final window, through all columns."""
        best = np.full((len(self._rows) + 1, len(self._columns) + 1), FAR, dtype=np.int32)
        best[0, 0 if origin == OPEN else origin - self._columns.start + 1] = 0
        for r in range(len(self._rows)):
            below = best[r + 1]
            self._reach(best[r], r, below)
            below[1:] += self._row(self._rows[r], self._inside)
            below[0] += FAR
            np.minimum(below, np.add(best[r], self._opens[r], out=self._scratch), out=below)
        place = least(best[-1] + (self._before[-1] - self._before[1:] if final else 0))
        found = []
        for r in range(len(self._rows) - 1, -1, -1):
            origin, cost = self._came_from(best[r], r, place, least)
            taken = place > 0 and cost + self._at(self._row, r, place) <= best[r, place] + self._opens[r]
            found.append(self._columns[place - 1] if taken else OPEN)
            place = origin if taken else place
        return found[::-1]

    def _at(self, row: Row, r: int, place: int) -> int:
        """What one place costs in a row."""
        return int(row(self._rows[r], self._inside)[place - 1]) if place else FAR

    def _reach(self, best: Costs, r: int, reached: Costs) -> None:
        """Write down the least cost of standing in each place for a row."""
        before, scratch, cost = self._before, self._scratch, self._cost
        np.minimum.accumulate(np.subtract(best, before[1:], out=scratch), out=scratch)
        reached[0] = FAR
        np.add(scratch[:-1], before[1:-1], out=reached[1:])
        cost[1:] = self._moves.stays(self._rows[r], self._inside)
        np.minimum(reached, np.add(best, cost, out=scratch), out=reached)
        if self._moves.jumps:
            np.minimum.accumulate(np.add(best, before[:-1], out=scratch)[::-1], out=scratch[::-1])
            back = np.subtract(scratch[1:], before[:-2], out=scratch[1:])
            back += JUMP
            np.minimum(reached[:-1], back, out=reached[:-1])

    def _came_from(self, best: Costs, r: int, place: int, least: Least) -> tuple[int, int]:
        """The place from which a place is reached at the least cost, and that cost."""
        before = self._before
        options = [(int(best[place]) + self._at(self._moves.stays, r, place), place)]
        if place:
            forward = best[:place] - before[1 : place + 1]
            origin = least(forward)
            options.insert(0, (int(forward[origin]) + int(before[place]), origin))
        if self._moves.jumps and place + 1 < len(best):
            back = best[place + 1 :] + before[place + 1 : -1]
            origin = least(back)
            options.append((int(back[origin]) - int(before[place]) + JUMP, place + 1 + origin))
        cost, origin = min(options, key=lambda option: option[0])
        return origin, cost


def _first_least(costs: Costs) -> int:
    return int(np.argmin(costs))


def _last_least(costs: Costs) -> int:
    return len(costs) - 1 - int(np.argmin(costs[::-1]))


UNLIKELY = 300
"""Cost of leaving a node open, because exporters write it for none of the calls, or for none that is near."""
PIECE = 15
"""Cost of a node that is only a piece of what the call does: it may belong to a neighbor that it stands for as a whole."""
LEFT_OUT = 30
"""Cost of an op that a fused op can have taken in, but did not."""
SKIP_COMPUTE, SKIP_LAYOUT = 50, 10
"""Cost of a call without nodes: views often vanish, computation rarely does."""
REPEATED = 20
"""Cost of a second node for a call that exporters write as one node."""
TAKEN = 50
"""Cost of a call that a surer matcher has given its nodes already."""
MAX_PRICED = 1_000_000
"""With more pairs of distinct nodes and calls than this, sizes are left out of the costs."""


FORMS_KEPT = 512
"""Forms whose costs for a window's calls are kept."""


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
    prices = _Prices(state, calls, parts, fixed)
    moves = Moves(
        skips=np.array([_skip(state.calls[i]) for i in calls], dtype=np.int32),
        stays=prices.stays,
        opens=np.array([LEFT_OUT if part.form.taken_in else UNLIKELY for part in parts], dtype=np.int32),
        jumps=jumps,
    )
    path = cheapest_path(prices.costs, moves)
    other = cheapest_path(prices.costs, moves, early=True) if certain else path
    doubtful = {part.node for part, late, early in zip(parts, path, other, strict=True) if late != early}
    found: dict[int, frozenset[int]] = {}
    for part, column in zip(parts, path, strict=True):
        if column != OPEN and part.node not in doubtful:
            found[part.node] = found.get(part.node, frozenset()) | {calls[column]}
    return found


def misfit(state: Unmatched, found: Mapping[int, frozenset[int]], nodes: Sequence[int]) -> int:
    """What an alignment costs by ops and sizes alone, whatever the order."""
    kinds = {i: _Kind(state.calls[i].op, state.calls[i].inputs) for calls in found.values() for i in calls}
    cost = cache(lambda kind, form: _price(kind, form, sized=True))
    total = 0
    for node in nodes:
        core = next(part.form for part in _parts(state, node, whole=True))
        total += min([UNLIKELY, *(cost(kinds[i], core) for i in found.get(node, ()))])
    return total


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


class _Prices:
    """What each call costs for the n-th row; equal rows and equal calls are priced once."""

    def __init__(
        self,
        state: Unmatched,
        calls: Sequence[int],
        parts: Sequence[_Part],
        pins: Mapping[int, frozenset[int]],
    ) -> None:
        kinds: dict[_Kind, int] = {}
        kind_of = [
            kinds.setdefault(_Kind(state.calls[i].op, state.calls[i].inputs), len(kinds)) for i in calls
        ]
        forms: dict[_Form, int] = {}
        self._form_of = [forms.setdefault(part.form, len(forms)) for part in parts]
        self._kind_of = np.array(kind_of)
        sized = len(kinds) * len(forms) <= MAX_PRICED
        self._price = _table(forms, kinds, lambda form, kind: _price(kind, form, sized=sized))
        self._again = _table(forms, kinds, lambda form, kind: _again(kind, form))
        # Only executed nodes are aligned with calls that have nodes already.
        taken = {link.call for link in state.links} if state.executed else frozenset[int]()
        self._extra = np.array([TAKEN * (i in taken) for i in calls], dtype=np.int32)
        # Rows of one form cost the same: a window asks for each of them twice.
        self._by_form = lru_cache(FORMS_KEPT)(self._priced)
        self._again_by_form = lru_cache(FORMS_KEPT)(self._priced_again)
        columns = {call: column for column, call in enumerate(calls)}
        self._pinned = [
            [columns[i] for i in pins[part.node] if i in columns] if part.node in pins else None
            for part in parts
        ]

    def costs(self, r: int, inside: slice) -> Costs:
        """Cost of each call of a slice."""
        pinned = self._pinned[r]
        if pinned is None:
            return self._by_form(self._form_of[r], inside.start, inside.stop)
        costs = np.full(inside.stop - inside.start, FAR, dtype=np.int32)
        costs[[column - inside.start for column in pinned if inside.start <= column < inside.stop]] = 0
        return costs

    def stays(self, r: int, inside: slice) -> Costs:
        """Cost of each call of a slice if the row before went there too."""
        if self._pinned[r] is not None:
            return np.zeros(inside.stop - inside.start, dtype=np.int32)
        return self._again_by_form(self._form_of[r], inside.start, inside.stop)

    def _priced(self, form: int, start: int, stop: int) -> Costs:
        price = self._price[form][self._kind_of[start:stop]]
        return np.asarray(price + self._extra[start:stop], dtype=np.int32)

    def _priced_again(self, form: int, start: int, stop: int) -> Costs:
        return np.asarray(self._again[form][self._kind_of[start:stop]], dtype=np.int32)


def _table(forms: Iterable[_Form], kinds: Collection[_Kind], cost: Callable[[_Form, _Kind], int]) -> Costs:
    return np.array([[cost(form, kind) for kind in kinds] for form in forms], dtype=np.int32)


def _again(kind: _Kind, form: _Form) -> int:
    """Cost of one more node: for what is written as one, and for a node that begins the call anew."""
    anew = not form.taken_in and not form.target and reads_all(kind.op) and op_price(kind.op, form.op) == 0
    return REPEATED * (anew or writes_one(kind.op))


def _price(kind: _Kind, form: _Form, *, sized: bool) -> int:
    if form.taken_in or form.target:
        by_op = named_price(kind.op, form.taken_in or frozenset({form.target}))
    else:
        by_op = op_price(kind.op, form.op)
    if by_op >= UNLIKELY:
        return FAR
    if not sized:
        return by_op
    if form.target or form.taken_in:
        return by_op + disagreement(kind.inputs, form.reads, form.makes, whole=False)
    if (base_op(kind.op), form.op) in READS_BIAS and not shares_vector(kind.inputs, form.reads):
        return FAR
    return by_op + disagreement(kind.inputs, form.reads, form.makes, whole=by_op == 0 and reads_all(kind.op))


def op_price(call_op: str, node_op: str) -> int:
    """Cost of a node for a call, by their ops alone."""
    plain = SPELLED.get(node_op, node_op)
    if is_whole(call_op, plain):
        return 0
    return PIECE if emits(call_op, plain) else UNLIKELY


def named_price(call_op: str, ops: frozenset[str]) -> int:
    """Cost of a call where the aten op is known: from an exporter, or as one that a fused node takes in."""
    return 0 if base_op(call_op) in ops else UNLIKELY
