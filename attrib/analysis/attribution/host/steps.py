"""Profiled steps: where they begin and end, and which of them did the same work."""

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import NamedTuple


class StepWindow(NamedTuple):
    """One profiled step on the timeline of its trace, nanoseconds.

    `row` is its event, `track` the code of the thread it ran on, `block` the profiled block it belongs to, and `wall_ns`
    what the caller measured from outside, -1 where nobody did; `call_ns` is when that began, since the epoch, or -1.
    """

    row: int
    start_ns: int
    end_ns: int
    track: int
    block: int
    wall_ns: int = -1
    call_ns: int = -1


def common_sequence(engine: str, sequences: Sequence[Hashable]) -> tuple[list[int], tuple[str, ...]]:
    """Positions of the steps that ran the most frequent sequence of work, and a warning if any did not.

    A step whose operators differ (data-dependent control flow, lazy initialization) cannot be averaged with the others.
    """
    if not sequences:
        return [], ()
    usual, count = Counter(sequences).most_common(1)[0]
    chosen = [i for i, sequence in enumerate(sequences) if sequence == usual]
    left = len(sequences) - count
    if not left:
        return chosen, ()
    return chosen, (
        f"{left} of {len(sequences)} profiled {engine} steps ran other operators and were left out",
    )
