"""The heap of a worker: what lies in reserve is mapped, and stays."""

import subprocess
import sys

import pytest

from attrib.capture.workers import heap

glibc = pytest.mark.skipif(heap._glibc() is None, reason="only glibc hands memory back like this")

FAULTS = """
import ctypes, resource, sys
from attrib.capture.workers.heap import BLOCK, give_back_memory, reserve_heap, settle_heap
settle_heap()
if sys.argv[1] == "reserved":
    assert reserve_heap(available=1 << 40) > 4 * BLOCK
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
libc.free.restype, libc.free.argtypes = None, (ctypes.c_void_p,)
count = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = count()
for _ in range(3):
    held = [libc.malloc(2_500_000) for _ in range(40)]
    for block in held:
        ctypes.memset(block, 1, 2_500_000)
    for block in reversed(held):
        libc.free(block)
print(count() - before)
"""


def faults(how):
    found = subprocess.run(
        [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True, timeout=60
    )
    return int(found.stdout)


@glibc
def test_what_lies_in_reserve_is_not_faulted_in_again():
    pages = 40 * 2_500_000 // 4096
    # Without a reserve 100 MB are handed back each time, but for the 64 that glibc keeps.
    assert faults("none") > pages
    assert faults("reserved") < pages / 20


def test_a_machine_without_memory_keeps_nothing_in_reserve():
    assert heap.reserve_heap(available=100 << 20) == 0


@glibc
def test_the_system_tells_what_is_available():
    assert heap._available() > 0
