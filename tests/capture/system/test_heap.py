"""Spare memory: what a recorder keeps does not push the step's own results into fresh memory."""

import ctypes
import json
import os
import subprocess
import sys

import pytest

from attrib.capture.system import heap

STEPS = """
import ctypes, json, sys
from contextlib import nullcontext
from attrib.capture.system.disturbance import page_faults
from attrib.capture.system.heap import _libc, spare_memory

libc, size, records = _libc(), 4 << 20, []
if sys.argv[1] == "gap":
    gap = libc.malloc(size + 4096)
    while libc.malloc(1 << 16) < gap:  # until one lies behind it
        pass
    libc.free(gap)

def step(recorded):
    for _ in range(4):
        result = libc.malloc(size)
        ctypes.memset(result, 1, size)
        libc.free(result)
        if recorded:
            records.append(libc.malloc(100_000))

def faults(recorded, around=nullcontext):
    with around():
        before = page_faults()
        for _ in range(5):
            step(recorded)
        found = page_faults() - before
        while records:
            libc.free(records.pop())
    return found

step(False)
print(json.dumps({
    "plain": faults(False),
    "spare": faults(True, lambda: spare_memory(5, 4 * size)),
    "after": faults(False),
    "recorded": faults(True),
}))
"""
"""Four results a step, each freed before the next, in a gap or at the end of the heap; a record takes a piece of the gap."""

PAGES = (4 << 20) // 4096


def faults(where):
    """Page faults of five steps: plain, recorded with spare memory, plain again, recorded without it."""
    # As glibc learns to, it maps no result by itself.
    done = subprocess.run(
        [sys.executable, "-c", STEPS, where],
        capture_output=True, text=True, check=False, env=os.environ | {"MALLOC_MMAP_MAX_": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc 2.33"
)
class TestWithGlibc:
    def test_records_leave_the_results_the_memory_that_they_have(self):
        found = faults("gap")
        assert found["recorded"] > 10 * PAGES
        assert max(found["plain"], found["spare"], found["after"]) < PAGES // 10

    def test_steps_that_get_fresh_memory_do_so_again_afterwards(self):
        found = faults("end")
        assert found["spare"] < PAGES // 10
        assert found["plain"] == pytest.approx(20 * PAGES, rel=0.1)
        assert found["after"] == pytest.approx(20 * PAGES, rel=0.1)


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(heap.sys, "platform", "darwin")
    monkeypatch.setattr(heap.ctypes, "memset", None)
    with heap.spare_memory(3):
        pass
