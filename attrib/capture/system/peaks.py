"""What the machine can do at most, measured in about a second with the threads and on the device of the capture.

Either engine's worker measures for itself: the highest rate of large square matrix products for each element type in
use, and the rate at which memory is streamed, by size of what is touched. The limit belongs to the machine, so the analysis
takes the better of the two. Importing this imports no engine.
"""

import ctypes
import math
import mmap
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import numpy as np

from attrib.capture.system.disturbance import page_faults
from attrib.model.disturbance import UNSEEN
from attrib.model.roofline import Rate, Stream

Call = Callable[[], object]
Timed = Callable[[Call, int], float]
"""Runs a call so many times in a row; nanoseconds until all of it is done, on the device too."""

SIDES = (256, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192)
"""Sides of the square products: small machines are at their best with the first, GPUs need the last."""

_LONGEST_NS = 12e6
"""No single product longer than this: the larger ones are left to machines that are faster."""

_LONGEST_EARLY_NS = 200e6
"""The same for the second size: one disturbed start must not end the search."""

_BUDGET_S = 0.15
"""For all products of one element type."""

_SAMPLES = range(3, 15)
_SAMPLE_NS = 200_000
"""A sample repeats a short call until it lasts this long, so that neither timer nor launch counts for much."""

_SAMPLING_S = 0.025
_WARM_UP_NS = 3e6
_QUIET = 0.1
"""Other programs only ever add time: the quiet tenth of the samples tells what the machine can do."""

_MB = 1 << 20
STREAM_BYTES = (_MB // 4, _MB, 4 * _MB, 16 * _MB)
_BEYOND_CACHES = 4
_LEAST_BEYOND, _MOST_BEYOND = 128 * _MB, 1024 * _MB


def wall_clock(call: Call, times: int) -> float:
    """`Timed` for calls that return when their work is done."""
    begin = time.perf_counter_ns()
    for _ in range(times):
        call()
    return time.perf_counter_ns() - begin


def sample_times(call: Call, timed: Timed) -> list[float]:
    """Time one call several times, after calls that warm up; nanoseconds."""
    once = max(timed(call, 1), 1.0)
    if once < _WARM_UP_NS:
        once = max(timed(call, math.ceil(_WARM_UP_NS / once)) / math.ceil(_WARM_UP_NS / once), 1.0)
    times = math.ceil(_SAMPLE_NS / once)
    found: list[float] = []
    end = time.monotonic() + _SAMPLING_S
    while len(found) < _SAMPLES.start or (len(found) < _SAMPLES.stop and time.monotonic() < end):
        found.append(timed(call, times) / times)
    return found


def rate_of(samples: Collection[float], amount: float) -> Rate:
    """The rate of a call that does `amount` operations or bytes, from its times in nanoseconds."""
    quiet, typical = (max(float(np.quantile(list(samples), q)), 1.0) for q in (_QUIET, 0.5))
    return Rate(
        per_s=round(amount / quiet * 1e9), typical_per_s=round(amount / typical * 1e9), samples=len(samples)
    )


def best_product(product: Callable[[int], Call], timed: Timed) -> Rate | None:
    """Measure growing square products; the highest rate, None where not even the smallest could be made.

    Args:
        product: Makes the product of two matrices with this side.
        timed: How it is timed.
    """
    rates: list[Rate] = []
    begin, took = time.monotonic(), 0.0
    for number, side in enumerate(SIDES):
        expected = took * (side / SIDES[number - 1]) ** 3 if number else 0.0
        late = time.monotonic() - begin > _BUDGET_S
        if expected > (_LONGEST_NS if number > 1 else _LONGEST_EARLY_NS) or (rates and late):
            break
        samples = sample_times(product(side), timed)
        took = min(samples)
        rates.append(rate_of(samples, 2 * side**3))
    return max(rates, key=lambda rate: rate.per_s, default=None)


def streams_of(calls: Callable[[int], Iterator[Call]], beyond: int, timed: Timed) -> tuple[Stream, ...]:
    """Measure the best rate at which each size of memory is streamed.

    Args:
        calls: Ways to read or copy so many bytes; a copy counts what it reads and what it writes.
        beyond: A size that no cache holds.
        timed: How they are timed.
    """
    return tuple(
        Stream(
            bytes=size,
            rate=max(
                (rate_of(sample_times(call, timed), size) for call in calls(size)), key=lambda r: r.per_s
            ),
        )
        for size in (*(size for size in STREAM_BYTES if size < beyond), beyond)
    )


def beyond_caches(last_level: int) -> int:
    """A size that a last-level cache of so many bytes does not hold."""
    return min(max(_BEYOND_CACHES * last_level, _LEAST_BEYOND), _MOST_BEYOND)


def last_level_cache() -> int:
    """Bytes of the largest cache of this machine's processor; 0 where the system does not tell."""
    sizes = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    return max((_bytes(size.read_text().strip()) for size in sizes), default=0)


def _bytes(text: str) -> int:
    factor = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:], 1)
    digits = text.rstrip("KMG")
    return int(digits) * factor if digits.isdecimal() else 0


_FAULT_BYTES = 8 * _MB
_FAULT_SAMPLES = 12


def fault_cost(threads: int) -> float:
    """Measure what one page fault costs: to get a page of fresh memory, and to give it back; nanoseconds.

    Several threads touch a part each at once, as an engine's threads do with a result, and what is told is wall time.
    Touching the same memory once more, when it is there, is taken off. 0 where the system does not count page faults.
    """
    if page_faults() == UNSEEN or not hasattr(mmap, "MAP_PRIVATE"):
        return 0.0
    samples = [_fault_sample(threads) for _ in range(_FAULT_SAMPLES)]
    fresh, again = (float(np.quantile(times, _QUIET)) for times in zip(*samples, strict=True))
    return max(fresh - again, 0.0)


def _fault_sample(threads: int) -> tuple[float, float]:
    """Time for a page, nanoseconds: to get it, write to it and give it back; and to write to it when it is there."""
    part = _FAULT_BYTES // threads
    memory = mmap.mmap(-1, part * threads, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    view = ctypes.c_char.from_buffer(memory)
    begin = ctypes.addressof(view)
    before = page_faults()
    first = _touch_at_once(begin, part, threads)
    faults = page_faults() - before
    second = _touch_at_once(begin, part, threads)
    del view
    closing = time.perf_counter_ns()
    memory.close()
    closed = time.perf_counter_ns()
    return (first + closed - closing) / max(faults, 1), second / max(faults, 1)


def _touch_at_once(begin: int, size: int, count: int) -> int:
    """Nanoseconds in which so many threads write to parts of that size, one after another in memory."""
    starts = [begin + size * number for number in range(count)]
    others = [threading.Thread(target=ctypes.memset, args=(start, 1, size)) for start in starts[1:]]
    started = time.perf_counter_ns()
    for thread in others:
        thread.start()
    ctypes.memset(begin, 1, size)
    for thread in others:
        thread.join()
    return time.perf_counter_ns() - started


def product_file(folder: Path, dtype: str, side: int) -> Path:
    """The graph of one square product."""
    return folder / f"product-{dtype}-{side}.onnx"


def stream_file(folder: Path) -> Path:
    """The graph that reads one tensor and writes another."""
    return folder / "stream.onnx"
