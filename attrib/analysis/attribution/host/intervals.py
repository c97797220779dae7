"""Intervals on a timeline: innermost owner, and the sharing of overlaps. Integer nanoseconds, half-open."""

import heapq
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from attrib.traces.recording.intervals import JITTER_NS

Int64s = npt.NDArray[np.int64]


def nesting_order(starts: Int64s, ends: Int64s) -> Int64s:
    """Positions sorted so that a parent comes before what it contains."""
    return np.lexsort((-ends, starts))


def parents(starts: Int64s, ends: Int64s) -> Int64s:
    """For intervals in nesting order, the position of the innermost one that contains each; -1 for none."""
    found = np.full(len(starts), -1, dtype=np.int64)
    stack: list[int] = []
    for i, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        while stack and ends[stack[-1]] + JITTER_NS < end:
            stack.pop()
        while stack and ends[stack[-1]] <= start:
            stack.pop()
        found[i] = stack[-1] if stack else -1
        stack.append(i)
    return found


def innermost(starts: Int64s, ends: Int64s, instants: Int64s) -> Int64s:
    """For each instant, the position of the innermost interval (given in nesting order) that holds it; -1 for none."""
    above = parents(starts, ends)
    holder = np.searchsorted(starts, instants, side="right") - 1
    while True:
        over = (
            (holder >= 0) & (ends[holder] <= instants) if len(starts) else np.zeros(len(instants), dtype=bool)
        )
        if not over.any():
            return holder
        holder[over] = above[holder[over]]


def owned_ns(starts: Int64s, ends: Int64s, tracks: Int64s) -> Int64s:
    """Time that each interval owns: innermost within a track, shared equally between tracks.

    The sum is the length of the union, exactly: what does not divide goes to the lowest position.
    """
    owned = np.zeros(len(starts), dtype=np.int64)
    order = np.argsort(starts, kind="stable")
    if not len(starts) or bool((starts[order][1:] >= ends[order][:-1]).all()):
        return np.asarray(ends - starts)
    edges = sorted({*starts.tolist(), *ends.tolist()})
    waiting = [(int(starts[i]), int(i)) for i in order]
    heapq.heapify(waiting)
    active: list[int] = []
    for left, right in pairwise(edges):
        while waiting and waiting[0][0] <= left:
            active.append(heapq.heappop(waiting)[1])
        active = [i for i in active if ends[i] > left]
        best: dict[int, int] = {}  # by track, the innermost
        for i in active:
            rival = best.get(int(tracks[i]))
            if rival is None or (starts[i], -ends[i]) >= (starts[rival], -ends[rival]):
                best[int(tracks[i])] = i
        if owners := sorted(best.values()):
            share, rest = divmod(right - left, len(owners))
            owned[owners] += share
            owned[owners[0]] += rest
    return owned
