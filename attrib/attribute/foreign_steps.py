"""Steps of a Kineto trace without step annotations (the recorder did not call `profiler.step()`).

The first of these that the trace has; each must hold operators:

1. The user's own ranges (`record_function`): the most frequent name among the outermost ones.
2. Calls of the outermost module (`with_stack=True`).
3. The whole trace, as one step on the thread that ran most operators.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from attrib.attribute.python_scopes import PYTHON_MODULE
from attrib.model.events import EventTable, Int64s
from attrib.traces.kinds import Kind, rows_of
from attrib.traces.runs import outermost


def foreign_steps(table: EventTable) -> Int64s:
    """Rows of the events that stand for a step (cases 1 and 2), in order of time; empty where there are none."""
    calls = rows_of(table, {"call"})
    for rows in (_outermost(table, "annotation", ""), _outermost(table, "python", PYTHON_MODULE)):
        for name in _by_frequency(table, rows):
            chosen = rows[table.name[rows] == name]
            if _holds(table, chosen, calls):
                return np.asarray(chosen[np.argsort(table.start_ns[chosen], kind="stable")], dtype=np.int64)
    return np.zeros(0, dtype=np.int64)


def whole_trace(table: EventTable) -> tuple[int, int, int] | None:
    """Start, end and thread of the one step that a trace without any range is (case 3); None without operators."""
    calls = rows_of(table, {"call"})
    if not calls.size:
        return None
    tracks, counts = np.unique(table.track[calls], return_counts=True)
    track = int(tracks[np.argmax(counts)])
    own = calls[table.track[calls] == track]
    return int(table.start_ns[own].min()), int((table.start_ns[own] + table.duration_ns[own]).max()), track


def _outermost(table: EventTable, kind: Kind, prefix: str) -> Int64s:
    """Rows of one kind whose name begins so, without those inside another."""
    rows = rows_of(table, {kind})
    wanted = [code for code in np.unique(table.name[rows]) if table.text(int(code)).startswith(prefix)]
    return np.asarray(outermost(table, rows[np.isin(table.name[rows], wanted)]), dtype=np.int64)


def _by_frequency(table: EventTable, rows: Int64s) -> Iterator[int]:
    return (code for code, _ in Counter(table.name[rows].tolist()).most_common())


def _holds(table: EventTable, rows: Int64s, calls: Int64s) -> bool:
    """Whether the first of the ranges holds an operator of its own thread."""
    first = rows[np.argmin(table.start_ns[rows])]
    start, end = table.start_ns[first], table.start_ns[first] + table.duration_ns[first]
    inside = (table.start_ns[calls] >= start) & (table.start_ns[calls] < end)
    return bool((inside & (table.track[calls] == table.track[first])).any())
