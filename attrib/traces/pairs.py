"""Events that a trace writes in two halves: a beginning (`ph: B`) and an end (`ph: E`).

Kineto writes complete events (`ph: X`). Other writers of the same format pair halves: an end closes the last open
beginning of its thread (Trace Event Format, "Duration Events").
"""

from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]

BEGIN = "B"
END = "E"
HALVES = (BEGIN, END)


class Half(Protocol):
    """What both forms of an event have."""

    ph: str
    pid: int | float | str | None
    tid: int | float | str | None


H = TypeVar("H", bound=Half)


class Pairs(Generic[H]):
    """Puts the halves of one file together, which may lie in different blocks."""

    def __init__(self) -> None:
        self._open: dict[tuple[object, object], list[tuple[H, int]]] = {}
        self._ends = 0

    @property
    def unpaired(self) -> int:
        """Halves seen so far without their other half."""
        return self._ends + sum(map(len, self._open.values()))

    def add(self, halves: Iterable[H], times_ns: Sequence[int]) -> tuple[list[H], Int64s, Int64s]:
        """The events that these halves complete, with their start and duration; an end after its beginning."""
        rows, starts, durations = [], [], []
        for half, time in zip(halves, times_ns, strict=True):
            waiting = self._open.setdefault((half.pid, half.tid), [])
            if half.ph == BEGIN:
                waiting.append((half, time))
            elif waiting:
                begin, start = waiting.pop()
                rows.append(begin)
                starts.append(start)
                durations.append(time - start)
            else:
                self._ends += 1
        return rows, np.array(starts, np.int64), np.array(durations, np.int64)
