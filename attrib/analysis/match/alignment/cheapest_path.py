"""The cheapest path through a grid of rows and columns, in order: dynamic programming, vectorized over the columns.

Costs are integers, so that ties are ties. Large grids are done in windows, so that time grows with the number of rows and
memory not at all.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

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
    height, width = rows, columns
    if rows * columns > MAX_CELLS:
        height = min(rows, WINDOW_ROWS)
        width = min(columns, max(WINDOW_COLUMNS, 4 * height * columns // rows))
        height = max(2, min(height, MAX_CELLS // width))
    path: list[int] = []
    while len(path) < rows:
        top, last = len(path), min(len(path) + height, rows)
        at = next((column for column in reversed(path) if column != OPEN), OPEN)
        left = min(max(at - width // 4, 0), columns - width)
        window = _Window(row, moves, range(top, last), range(left, left + width))
        found = window.path(origin=at, final=last == rows, least=partial(_argmin, first=early))
        path += found if last == rows else found[: height * 3 // 4]
    return path


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
            self.reach(best[r], r, below)
            below[1:] += self._row(self._rows[r], self._inside)
            below[0] += FAR
            np.minimum(below, np.add(best[r], self._opens[r], out=self._scratch), out=below)
        place = least(best[-1] + (self._before[-1] - self._before[1:] if final else 0))
        found = []
        for r in range(len(self._rows) - 1, -1, -1):
            origin, cost = self.came_from(best[r], r, place, least)
            taken = place > 0 and cost + self.cost_at(self._row, r, place) <= best[r, place] + self._opens[r]
            found.append(self._columns[place - 1] if taken else OPEN)
            place = origin if taken else place
        return found[::-1]

    def cost_at(self, row: Row, r: int, place: int) -> int:
        """What one place costs in a row."""
        return int(row(self._rows[r], self._inside)[place - 1]) if place else FAR

    def reach(self, best: Costs, r: int, reached: Costs) -> None:
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

    def came_from(self, best: Costs, r: int, place: int, least: Least) -> tuple[int, int]:
        """The place from which a place is reached at the least cost, and that cost."""
        before = self._before
        options = [(int(best[place]) + self.cost_at(self._moves.stays, r, place), place)]
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


def _argmin(costs: Costs, *, first: bool) -> int:
    """Position of the least cost; of equal ones the first or the last."""
    return int(np.argmin(costs)) if first else len(costs) - 1 - int(np.argmin(costs[::-1]))
