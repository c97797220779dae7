"""Whether the clock of an ONNX Runtime profile and Kineto's agree: each run must lie in the range recorded around it.

Both count from the epoch: the profile from `get_profiling_start_time_ns()`, Kineto from `baseTimeNanoseconds`. Kineto
reads the processor's cycle counter and converts it, anew for every profiled block, so that the two can drift apart. The
profile cuts its times to whole microseconds: a run may seem to begin up to one early.
"""

import re

import msgspec
import numpy as np
import numpy.typing as npt

from attrib.traces.recording.intervals import Int64s, Rows
from attrib.traces.recording.recording import Recording

RUN_RANGE = "attrib.run#"
"""A recorded run of ONNX Runtime is a profiler range of this name and its number in the capture."""

RESIDUAL_LIMIT_NS = 50_000
"""Beyond this, a kernel's launch may be laid into the wrong node."""

_RANGE = re.compile(rf"{re.escape(RUN_RANGE)}\d+")


def is_run_range(name: str) -> bool:
    """Whether a range is that of a recorded run of ONNX Runtime."""
    return _RANGE.fullmatch(name) is not None


class ClockJoin(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """Recorded ranges with the run that lies in each; one entry a pair, in order of time.

    Attributes:
        ranges: Rows of the ranges in the device's trace.
        runs: Rows of `model_run` in the profile.
        before_ns: From the range's begin to the run's; negative where the run seems to begin first.
        after_ns: From the run's end to the range's; negative where the run seems to end last.
        unpaired: Ranges with no run of their own.
    """

    ranges: Rows
    runs: Rows
    before_ns: Int64s
    after_ns: Int64s
    unpaired: int

    @property
    def outside_ns(self) -> Int64s:
        """How far each run reaches out of its range."""
        return np.maximum(0, -np.minimum(self.before_ns, self.after_ns))

    @property
    def residual_ns(self) -> int:
        """How far the worst run reaches out of its range; 0 where all lie inside, or there are none."""
        return int(self.outside_ns.max()) if self.ranges.size else 0

    @property
    def typical_ns(self) -> int:
        """How far the median run reaches out of its range; 0 where it lies inside, or there are none."""
        return int(np.median(self.outside_ns)) if self.ranges.size else 0

    @property
    def agrees(self) -> bool:
        """Whether there are runs, each range has one, and none reaches out of it by more than the limit."""
        return bool(self.ranges.size) and not self.unpaired and self.residual_ns <= RESIDUAL_LIMIT_NS

    @property
    def shifts_ns(self) -> tuple[int, int]:
        """What the profile's clock could be moved by, at least and at most, with every run inside its range.

        How far the two lie apart is what the join cannot tell. The first is above the second where no one shift fits.
        """
        if not self.ranges.size:
            return 0, 0
        return -int(self.before_ns.min()), int(self.after_ns.min())


def range_rows(device: Recording) -> Rows:
    """Rows of the ranges around the recorded runs in a Kineto trace, in order of time."""
    rows = device.annotations()
    return device.by_start(rows[device.has_name(rows, is_run_range)])


def join_clocks(profile: Recording, zero_ns: int, device: Recording) -> ClockJoin:
    """Find the run that belongs to each recorded range: the one whose middle is the nearest.

    A session that is profiled from its creation has more runs than ranges (warm-up, lead-in): they stay alone.

    Args:
        profile: An ONNX Runtime profile.
        zero_ns: Epoch time of its zero.
        device: The Kineto trace that was recorded around some of its runs.
    """
    ranges, runs = range_rows(device), profile.runs().rows
    begins, ends = device.start_ns[ranges], device.ends(ranges)
    run_begins, run_ends = profile.start_ns[runs] + zero_ns, profile.ends(runs) + zero_ns
    chosen, own = _nearest(begins + (ends - begins) // 2, run_begins + (run_ends - run_begins) // 2)
    return ClockJoin(
        ranges=ranges[own],
        runs=runs[chosen[own]],
        before_ns=run_begins[chosen[own]] - begins[own],
        after_ns=ends[own] - run_ends[chosen[own]],
        unpaired=int(ranges.size - own.sum()),
    )


def _nearest(instants: Int64s, others: Int64s) -> tuple[Rows, npt.NDArray[np.bool_]]:
    """For each instant the position of the nearest other one, and whether no instant is nearer to that one still."""
    if not others.size:
        return np.zeros(instants.size, np.intp), np.zeros(instants.size, bool)
    order = np.argsort(others, kind="stable")
    ordered = others[order]
    after = np.minimum(np.searchsorted(ordered, instants), others.size - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(instants - ordered[before] <= np.abs(ordered[after] - instants), before, after)
    distance = np.abs(ordered[nearest] - instants)
    best = np.lexsort((distance, nearest))
    first = np.ones(best.size, bool)
    first[1:] = nearest[best][1:] != nearest[best][:-1]
    own = np.zeros(instants.size, bool)
    own[best[first]] = True
    return order[nearest], own
