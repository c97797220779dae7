"""What else the machine did while a block of steps was timed, and how fast it was by itself in that minute.

Counters of the system, read before and after a block; what a system does not count is `UNSEEN`, never 0. Of the processors
those are looked at on which this process may run: what others do elsewhere on a large machine is theirs. The formats are
those of proc(5) and, for the pressure, of the kernel's `Documentation/accounting/psi.rst`.
"""

import os
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from attrib.capture.system.environment import (
    ROOT,
    affinity,
    allowed_processors,
    processor_ticks,
    read_text,
)
from attrib.model.disturbance import OTHERS_LIMIT, UNSEEN, BlockEvidence

_TICK_NS = 1_000_000_000 // (os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100)
_RESOLUTION_TICKS = 2
"""Ticks of each processor by which `/proc/stat` may be wrong between two readings."""

_BUSY = ("user", "nice", "system", "irq", "softirq")
_SLICE_S = 0.1


@dataclass(frozen=True, slots=True)
class _Counters:
    """Readings at one moment, in the units of `BlockEvidence`."""

    at_ns: int
    cpu_ns: int
    waiting_ns: int
    switches: int
    faults: int
    major_faults: int
    busy_ns: int
    stolen_ns: int
    pressure_ns: int


class BlockMeter:
    """Reads the counters before a block and after it. One reading takes half a millisecond."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._begin = _read(root)

    def end(self) -> BlockEvidence:
        """What happened since this meter was made."""
        begin, end = self._begin, _read(self._root)
        elapsed = end.at_ns - begin.at_ns
        own = end.cpu_ns - begin.cpu_ns
        processors = affinity()
        busy = _difference(begin.busy_ns, end.busy_ns)
        allowance = _RESOLUTION_TICKS * _TICK_NS * processors
        return BlockEvidence(
            elapsed_ns=elapsed,
            processors=processors,
            cpu_ns=own,
            waiting_ns=_difference(begin.waiting_ns, end.waiting_ns),
            switches=_difference(begin.switches, end.switches),
            others_ns=UNSEEN if busy == UNSEEN else max(busy - own - allowance, 0),
            stolen_ns=_difference(begin.stolen_ns, end.stolen_ns),
            pressure_ns=_difference(begin.pressure_ns, end.pressure_ns),
            faults=_difference(begin.faults, end.faults),
            frequency_khz=_frequency(self._root),
            major_faults=_difference(begin.major_faults, end.major_faults),
        )


def _difference(begin: int, end: int) -> int:
    return UNSEEN if UNSEEN in (begin, end) else max(end - begin, 0)


def _read(root: Path) -> _Counters:
    ticks = processor_ticks(root, allowed_processors())
    switches, faults, major_faults = _usage()
    return _Counters(
        waiting_ns=_waiting(root),
        switches=switches,
        faults=faults,
        major_faults=major_faults,
        busy_ns=sum(ticks[column] for column in _BUSY) * _TICK_NS if ticks else UNSEEN,
        stolen_ns=ticks["steal"] * _TICK_NS if ticks else UNSEEN,
        pressure_ns=_pressure(root),
        cpu_ns=time.process_time_ns(),
        at_ns=time.perf_counter_ns(),
    )


def _waiting(root: Path) -> int:
    """Time that all threads of this process were ready without a processor: the second figure of `schedstat`."""
    found, seen = 0, False
    try:
        tasks = [*(root / "proc/self/task").iterdir()]
    except OSError:
        return UNSEEN
    for task in tasks:
        fields = read_text(task / "schedstat").split()
        if len(fields) >= 2 and fields[1].isdecimal():  # noqa: PLR2004
            # Kernels without the accounting show zeros for a thread that has run.
            seen = seen or int(fields[0]) > 0
            found += int(fields[1])
    return found if seen else UNSEEN


def page_faults() -> int:
    """Page faults of this process so far; `UNSEEN` where the system does not count them. Takes less than a microsecond."""
    return _usage()[1]


def _usage() -> tuple[int, int, int]:
    """Involuntary switches, page faults, and those of them that waited for a disk, of this process."""
    try:
        import resource
    except ImportError:  # not on Windows
        return UNSEEN, UNSEEN, UNSEEN
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_nivcsw, used.ru_minflt + used.ru_majflt, used.ru_majflt


def _pressure(root: Path) -> int:
    """Time in which some process waited for a processor, since the system started."""
    for line in read_text(root / "proc/pressure/cpu").splitlines():
        total = line.rpartition("total=")[2]
        if line.startswith("some ") and total.isdecimal():
            return int(total) * 1000
    return UNSEEN


def _frequency(root: Path) -> int:
    """Mean clock of the processors now, kilohertz."""
    files = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
    found = [int(text) for file in files if (text := read_text(file).strip()).isdecimal()]
    return round(statistics.fmean(found)) if found else UNSEEN


def wait_until_quiet(limit_s: float, root: Path = ROOT) -> float:
    """Wait until others leave the processors alone, at most `limit_s` seconds; the engines must be idle.

    Returns:
        Seconds waited; 0 where the system does not say what its processors do.
    """
    begin = time.monotonic()
    while time.monotonic() - begin < limit_s:
        before = processor_ticks(root, allowed_processors())
        if before is None:
            return 0.0
        time.sleep(_SLICE_S)
        after = processor_ticks(root, allowed_processors())
        total = sum(after.values()) - sum(before.values()) if after else 0
        if after is None or total <= 0:
            return 0.0
        busy = sum(after[column] - before[column] for column in _BUSY)
        if busy <= OTHERS_LIMIT * total:
            break
    return time.monotonic() - begin


_PRODUCT_SIDE = 192
_COPY_BYTES = 1 << 25
_REPEATS = 5

_LAST_LEVEL = "sys/devices/system/cpu/cpu0/cache/index3/size"
_LARGEST_CACHE = 1 << 26
"""Of a larger last-level cache, more memory would have to be read than an engine's block should find displaced."""
_OWN_SHARE, _SHARED_SHARE = 0.875, 0.75
"""Of that cache, what each of two threads reads alone (together more than fits) and both together (which fits)."""
_PASSES, _READINGS = 3, 4


class ReferenceTimes(NamedTuple):
    """What fixed work took, nanoseconds.

    Attributes:
        product_ns: A product.
        copy_ns: A copy.
        own_ns: Two threads at once, each reading memory of its own; `UNSEEN` where there is one processor, or no cache.
        shared_ns: Two threads at once, both reading the same memory.
    """

    product_ns: int
    copy_ns: int
    own_ns: int = UNSEEN
    shared_ns: int = UNSEEN


class Reference:
    """Fixed work, timed in this process: the machine's speed of the minute, without any engine.

    It tells the luck of the minute from that of the engines' processes, and whether two threads share a last-level cache.
    It marks; nothing is ever corrected by it.
    """

    def __init__(self, root: Path = ROOT) -> None:
        import numpy as np

        chance = np.random.default_rng(0)
        # Integers, which numpy multiplies itself, on one thread: no library's pool comes into it.
        self._left = chance.integers(0, 9, (_PRODUCT_SIDE, _PRODUCT_SIDE), dtype=np.int64)
        self._source = chance.integers(0, 255, _COPY_BYTES, dtype=np.uint8)
        self._target = np.empty_like(self._source)
        self._copy = np.copyto
        cache = _last_level_bytes(root) if affinity() > 1 else 0
        self._own = [np.ones(int(_OWN_SHARE * cache) // 8, np.int64) for _ in range(2)] if cache else []
        self._shared = [own[: int(_SHARED_SHARE * cache) // 8] for own in self._own[:1]] * 2
        self.measure()

    def measure(self) -> ReferenceTimes:
        """Time all of it: the median of five products and copies, the fastest of four readings; some 70 ms in all."""
        products, copies = [], []
        for _ in range(_REPEATS):
            begin = time.perf_counter_ns()
            self._left @ self._left
            middle = time.perf_counter_ns()
            self._copy(self._target, self._source)
            products.append(middle - begin)
            copies.append(time.perf_counter_ns() - middle)
        pairs = [
            (_read_at_once(self._own), _read_at_once(self._shared))
            for _ in range(_READINGS * bool(self._own))
        ]
        return ReferenceTimes(
            round(statistics.median(products)),
            round(statistics.median(copies)),
            *(min(column) for column in zip(*pairs, strict=True)),
        )


def _last_level_bytes(root: Path) -> int:
    """Bytes of the last-level cache; 0 where the system does not say, or it is too large to be read through."""
    text = read_text(root / _LAST_LEVEL).strip()
    size = int(text[:-1]) << 10 if text.endswith("K") and text[:-1].isdecimal() else 0
    return size if size <= _LARGEST_CACHE else 0


def _read_at_once(blocks: Sequence[Any]) -> int:
    """Nanoseconds in which as many threads read a block each, a few times; numpy lets go of Python's lock meanwhile."""

    def read(block: Any) -> None:
        for _ in range(_PASSES):
            block.max()

    threads = [threading.Thread(target=read, args=(block,)) for block in blocks]
    begin = time.perf_counter_ns()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter_ns() - begin
