"""Intervals of nanoseconds as arrays of starts and ends: which holds an instant, which lie in no other, their union."""

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.intp]
Int64s = npt.NDArray[np.int64]

NONE = -1
"""Stands for "belongs to none" in an array of positions or rows."""

JITTER_NS = 10
"""How far a child may reach beyond its parent and still be one: Kineto rounds starts and durations apart."""


def is_outermost(starts: Int64s, ends: Int64s) -> npt.NDArray[np.bool_]:
    """Which intervals lie in no other one; they come sorted by start, the longer first."""
    if not starts.size:
        return np.zeros(0, dtype=bool)
    before = np.concatenate([[np.iinfo(np.int64).min], np.maximum.accumulate(ends)[:-1]])
    return np.asarray((starts >= before) | (ends > before + JITTER_NS))


def union_ns(start: Int64s, duration: Int64s) -> int:
    """Length of the union of intervals: an instant counts once, however many streams are busy."""
    if not start.size:
        return 0
    order = np.argsort(start, kind="stable")
    begins = start[order]
    ends = np.maximum.accumulate(begins + duration[order])
    covered_from = np.maximum(begins[1:], ends[:-1])
    return int(ends[0] - begins[0] + np.maximum(ends[1:] - covered_from, 0).sum())


def last_containing(starts: Int64s, ends: Int64s, times: Int64s) -> Rows:
    """The position of the last interval that begins at or before each time, if it has not ended before it."""
    if not starts.size:
        return np.full(times.size, NONE, np.intp)
    position = np.searchsorted(starts, times, side="right") - 1
    return np.where((position >= 0) & (times <= ends[position]), position, NONE)


def only_containing(starts: Int64s, ends: Int64s, times: Int64s) -> Rows:
    """The position of the one interval that contains each time; `NONE` for none or several."""
    if not starts.size:
        return np.full(times.size, NONE, np.intp)
    begun = np.searchsorted(starts, times, side="right")
    active = begun - np.searchsorted(np.sort(ends), times, side="left")
    latest = np.maximum.accumulate(ends)
    # The position of the interval that ends last among those begun: the active one, if only one is.
    positions = np.maximum.accumulate(np.where(ends == latest, np.arange(starts.size), 0))
    return np.where(active == 1, positions[np.maximum(begun - 1, 0)], NONE)
