"""Timing one block of steps: the same loop for either engine."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from attrib.capture.system.disturbance import BlockMeter, page_faults
from attrib.capture.workers.messages import Steps
from attrib.model.disturbance import UNSEEN, BlockEvidence


class TimedSteps(NamedTuple):
    """Starts (nanoseconds since the epoch), durations (nanoseconds) and page faults of steps, and what went on beside."""

    starts: list[int]
    walls: list[int]
    faults: list[int]
    evidence: BlockEvidence


def freeze_heap() -> None:
    """Take everything that exists now out of later collections.

    With torch and transformers imported one collection takes about 0.2 s, and every block begins with one.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Collect garbage now, and not again before the end: a collection inside a step would be counted as its time."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def time_steps(step: Callable[[], object], count: int) -> TimedSteps:
    """Run `count` steps."""
    starts, walls, faults = [0] * count, [0] * count, [UNSEEN] * count
    clock, epoch = time.perf_counter_ns, time.time_ns
    meter = BlockMeter()
    for i in range(count):
        before = page_faults()
        starts[i] = epoch()
        begin = clock()
        step()
        walls[i] = clock() - begin
        if before != UNSEEN:
            faults[i] = page_faults() - before
    return TimedSteps(starts, walls, faults, meter.end())


def steps_of(lead: TimedSteps, timed: TimedSteps, trace: str) -> Steps:
    """The reply for one block.

    Args:
        lead: Its lead-in.
        timed: The block itself.
        trace: File of its profile; empty where there is none (yet).
    """
    return Steps(
        start_ns=(*lead.starts, *timed.starts),
        wall_ns=(*lead.walls, *timed.walls),
        faults=(*lead.faults, *timed.faults),
        lead_in=len(lead.walls),
        trace=trace,
        evidence=timed.evidence,
    )
