"""What the gate says of recorded captures: the table of `gate.py`."""

import shutil

import gate
import pytest

from attrib.comparison import parse_limit


@pytest.fixture
def recorded(tmp_path, root):
    """Three times the same capture, as a group of `coverage.py record`."""
    for number in range(3):
        shutil.copytree(
            root / "sample_traces" / "distilbert-base-uncased", tmp_path / "group" / f"{number:02}"
        )
    return tmp_path


@pytest.mark.parametrize(("limit", "passed"), [("30%", 2), ("1ns", 0)])
def test_each_capture_is_held_against_the_one_before_it(recorded, limit, passed):
    *_, row = gate.unchanged(recorded, parse_limit(limit))
    _, name, pairs, *said, _ = (cell.strip() for cell in row.split("|"))
    assert (name, pairs) == ("group", "2")
    assert said == [str(passed), "0", str(2 - passed)]
