"""A few kills of a real capture; `python tests/faults/fault_real.py 50` makes as many as one likes."""

import pytest
from fault_real import kills

pytestmark = [pytest.mark.engines, pytest.mark.slow]


def test_real_capture_that_is_killed_is_finished_by_resume(tmp_path):
    """One of the parent, one of a worker, one before a change of the disk."""
    found = kills(tmp_path, 3, seed=0)
    assert sum(found.values()) == 3
    assert any("resumed with" in what for what in found), found
