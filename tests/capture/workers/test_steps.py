import mmap

import pytest

from attrib.capture.workers import steps
from attrib.capture.workers.steps import steps_of, time_steps
from attrib.model.disturbance import UNSEEN

PAGES = 500


def test_page_faults_are_counted_step_by_step():
    sizes = iter([1, PAGES, 1])

    def step():
        size = next(sizes) * mmap.PAGESIZE
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory[:: mmap.PAGESIZE] = b"x" * (size // mmap.PAGESIZE)
        memory.close()

    timed = time_steps(step, 3)
    assert timed.faults[1] >= PAGES
    assert max(timed.faults[0], timed.faults[2]) < PAGES // 2
    assert timed.evidence.faults >= sum(timed.faults)
    lead = time_steps(lambda: None, 2)
    assert steps_of(lead, timed, "").faults == (*lead.faults, *timed.faults)


def test_what_a_system_does_not_count_is_unseen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(steps, "page_faults", lambda: UNSEEN)
    assert time_steps(lambda: None, 2).faults == [UNSEEN, UNSEEN]
