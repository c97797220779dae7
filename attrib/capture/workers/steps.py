"""Timing one block of steps: the same loop for either engine."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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


def time_steps(step: Callable[[], object], count: int) -> tuple[list[int], list[int]]:
    """Run `count` steps; their starts (nanoseconds since the epoch) and their durations (nanoseconds)."""
    starts, walls = [0] * count, [0] * count
    clock, epoch = time.perf_counter_ns, time.time_ns
    for i in range(count):
        starts[i] = epoch()
        begin = clock()
        step()
        walls[i] = clock() - begin
    return starts, walls
