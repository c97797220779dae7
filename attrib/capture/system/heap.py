"""Spare memory of this process's heap, so that recording a step does not move the step's own results to fresh memory.

With glibc a result that is freed leaves a gap, and the next one of its size lies there again, in pages that the process
has. A profiler's records stay, though. Where one of them takes a piece of a gap, the gap is too short for the next result:
that goes to the end of the heap, which the system must back page by page, and gives it back when it is freed.
"""

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attrib.capture.system.environment import memory_bytes

_PIECE = 1 << 16
"""Less than the least size that glibc maps by itself: a piece comes from the heap."""

_MOST_SPARE = 1 << 28
"""Bytes of spare memory; of a model whose results take more, some steps may still meet fresh memory."""

_MOST_SHARE = 32
"""No more of the memory that this process may use than one part in so many."""


class _MallInfo(ctypes.Structure):
    """What `mallinfo2` gives; see mallinfo(3)."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    )  # fmt: skip


def _libc() -> Any:
    """The C library of this process; None where it is not glibc 2.33 or later."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is None or not hasattr(libc, "mallinfo2"):
        return None
    libc.mallinfo2.restype = _MallInfo
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
    return libc


@contextmanager
def spare_memory(steps: int, fresh_bytes: int = 0) -> Iterator[None]:
    """Hold memory at the end of the heap, which is backed already, for as many steps.

    Each step may spoil all the gaps that the one before it left, so that there is as much as all gaps together for each.
    What took it is freed at the end, garbage included, and then the heap is as long as before. Nothing happens where the C
    library is another one, or where the gaps alone, which have to be filled first, hold more than `_MOST_SPARE`.

    Args:
        steps: How many steps will run meanwhile.
        fresh_bytes: What a step takes beyond the gaps.
    """
    libc = _libc()
    free = int(libc.mallinfo2().fordblks) if libc is not None else 0
    if libc is None or free > _MOST_SPARE:
        yield
        return
    spare = min((free + fresh_bytes) * (steps + 1), _MOST_SPARE, memory_bytes() // _MOST_SHARE)
    # The gaps are filled first: what does not fit into them any more lies behind everything that is there.
    pieces = [piece for _ in range((free + spare) // _PIECE + 1) if (piece := libc.malloc(_PIECE))]
    for piece in pieces:
        ctypes.memset(piece, 0, _PIECE)
    # The last piece stays, and keeps the heap from shrinking.
    last = max(pieces, default=None)
    for piece in pieces:
        if piece != last:
            libc.free(piece)
    try:
        yield
    finally:
        gc.collect()
        libc.free(last)
