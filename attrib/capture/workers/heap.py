"""The C library's heap of a worker, so that a profiled step finds memory as a plain one does.

glibc hands the end of its heap back to the system when more than twice the largest block that was ever freed lies free there
(`mallopt`, dynamic thresholds, up to 64 MB). In a small model that is a few megabytes. And torch.profiler keeps a
few short strings for every op until the profile is written: each takes the remainder of an aligned tensor that was freed, so
that the next tensor of that size no longer fits. Then every tensor of a profiled step is fresh memory, page by page,
and the plain steps behind it may go on like that: the same step took 4 ms, 12 ms or, profiled, 16 ms.
"""

import ctypes
import sys
from pathlib import Path
from typing import Any

BLOCK = (32 << 20) - (8 << 10)
"""Just below the largest block, in bytes, that glibc still takes from its heap (`DEFAULT_MMAP_THRESHOLD_MAX`, 64-bit)."""

RESERVED = 8
"""Blocks in reserve: what the tensors of some profiled steps need that cannot take the place of earlier ones."""

_POINTER = 8
_NEEDED = 2 << 30
"""Bytes that must be available before any are taken in reserve."""


def settle_heap() -> None:
    """Free one large block, as any process has that ever freed a large array: up to 64 MB are then kept for the next step.

    Nothing is switched off or set: the thresholds stay dynamic. Another C library than glibc has none, and is left alone.
    """
    libc = _glibc()
    if libc is not None:
        libc.free(libc.malloc(BLOCK))


def reserve_heap(available: int | None = None) -> int:
    """Put free memory that is already mapped into the heap, where it is not handed back; how many bytes.

    A block above it, which is never written and so takes no memory, stays for as long as the process.

    Args:
        available: Free bytes; None to ask the system.
    """
    libc = _glibc()
    if libc is None or (_available() if available is None else available) < _NEEDED:
        return 0
    blocks = [libc.malloc(BLOCK) for _ in range(RESERVED)]
    libc.malloc(BLOCK)
    for block in filter(None, blocks):
        ctypes.memset(block, 0, BLOCK)
        libc.free(block)
    return BLOCK * sum(block is not None for block in blocks)


def give_back_memory() -> None:
    """Give freed memory back to the system."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> Any:
    """The C library with its types, where it is glibc on 64 bits; else None."""
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_void_p) < _POINTER:
        return None
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_trim"):  # musl
        return None
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    libc.free.restype, libc.free.argtypes = None, (ctypes.c_void_p,)
    return libc


def _available() -> int:
    """Free bytes of the machine, or of the container where that has less; 0 where it is not told."""
    meminfo, group = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
    lines = meminfo.read_text(encoding="ascii").splitlines() if meminfo.is_file() else []
    free = next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), 0)
    limit, used = group / "memory.max", group / "memory.current"
    if limit.is_file() and used.is_file() and (most := limit.read_text().strip()).isdigit():
        free = min(free, int(most) - int(used.read_text()))
    return free
