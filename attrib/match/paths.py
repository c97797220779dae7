"""The cheapest path through a grid of rows and columns, in order: dynamic programming, vectorised over the columns.

Costs are integers, so that ties are ties. Large grids are done in windows, so that time grows with the number of rows and
memory not at all.
"""

from collections.abc import Callable
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
        inside = slice(columns.start, columns.stop)
        self._rows, self._columns = rows, columns
        self._opens = moves.opens[rows.start : rows.stop]
        self._row, self._moves, self._inside = row, moves, inside
        self._before = np.concatenate([[0, 0], np.cumsum(moves.skips[inside])]).astype(np.int32)

    def path(self, *, origin: int, final: bool, least: Least) -> list[int]:
        """The cheapest path from the column `origin`; if it is the final window, through all columns."""
        best = np.full((len(self._rows) + 1, len(self._columns) + 1), FAR, dtype=np.int32)
        best[0, 0 if origin == OPEN else origin - self._columns.start + 1] = 0
        for r in range(len(self._rows)):
            best[r + 1] = np.minimum(self._reached(best[r], r) + self._cells(r), best[r] + self._opens[r])
        place = least(best[-1] + (self._before[-1] - self._before[1:] if final else 0))
        found = []
        for r in range(len(self._rows) - 1, -1, -1):
            origin, cost = self._came_from(best[r], r, place, least)
            taken = place > 0 and cost + self._cells(r)[place] <= best[r, place] + self._opens[r]
            found.append(self._columns[place - 1] if taken else OPEN)
            place = origin if taken else place
        return found[::-1]

    def _cells(self, r: int) -> Costs:
        return np.insert(self._row(self._rows[r], self._inside), 0, FAR)

    def _stays(self, r: int) -> Costs:
        return np.insert(self._moves.stays(self._rows[r], self._inside), 0, FAR)

    def _reached(self, best: Costs, r: int) -> Costs:
        """Least cost of standing in each place for a row."""
        ahead = np.minimum.accumulate(best - self._before[1:])
        forward = np.concatenate([[FAR], ahead[:-1] + self._before[1:-1]]).astype(np.int32)
        reached: Costs = np.minimum(forward, best + self._stays(r))
        if self._moves.jumps:
            behind = np.minimum.accumulate((best + self._before[:-1])[::-1])[::-1]
            reached[:-1] = np.minimum(reached[:-1], behind[1:] - self._before[:-2] + JUMP)
        return reached

    def _came_from(self, best: Costs, r: int, place: int, least: Least) -> tuple[int, int]:
        """The place from which a place is reached at the least cost, and that cost."""
        before = self._before
        options = [(int(best[place]) + int(self._stays(r)[place]), place)]
        if place:
            forward = best[:place] + (before[place] - before[1 : place + 1])
            origin = least(forward)
            options.insert(0, (int(forward[origin]), origin))
        if self._moves.jumps and place + 1 < len(best):
            back = best[place + 1 :] + (before[place + 1 : -1] - before[place]) + JUMP
            origin = least(back)
            options.append((int(back[origin]), place + 1 + origin))
        cost, origin = min(options, key=lambda option: option[0])
        return origin, cost


def _first_least(costs: Costs) -> int:
    return int(np.argmin(costs))


def _last_least(costs: Costs) -> int:
    return len(costs) - 1 - int(np.argmin(costs[::-1]))
