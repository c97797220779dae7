"""The strip of plain steps: every step in order of time, or a bounded number of them that hides no outlier."""

import msgspec
import pytest

from attrib.report.view.axis import axis_ticks, log_ticks
from attrib.report.view.strip import MOST_MARKS, strip_of
from tests.report.factory import document
from tests.report.screens import blocks_of, busy, foreign, microseconds, quiet, with_outlier


def clouds(strip) -> dict[str, int]:
    return {cloud.role: len(cloud.counted) + len(cloud.left_out) for cloud in strip.clouds}


def test_every_step_has_its_place_in_time():
    made = quiet()
    strip = strip_of(made)
    walls = {
        role: sum(len(b.walls_ns) for b in made.plain_blocks if b.role == role) for role in clouds(strip)
    }
    assert clouds(strip) == walls == {"torch": 70, "onnxruntime": 70}
    for cloud in strip.clouds:
        places = [mark.x for mark in cloud.counted]
        assert places == sorted(places)
        assert all(0 < mark.x < 1 and 0 < mark.y < 1 for mark in (*cloud.counted, *cloud.left_out))


def test_disturbed_blocks_are_shaded_with_their_reason_and_what_does_not_count_is_told_apart():
    strip = strip_of(quiet())
    assert [shade.title.partition(":")[0] for shade in strip.shades] == [
        "Round 4, PyTorch",
        "Round 8, PyTorch",
    ]
    assert [len(cloud.left_out) for cloud in strip.clouds] == [10, 10]
    for shade in strip.shades:
        inside = [mark for mark in strip.clouds[0].left_out if shade.start < mark.x < shade.end]
        assert len(inside) == 5
    assert "Shaded: disturbed (2 of 28 blocks). Hollow: left out" in strip.caption
    assert "They count: too few were quiet." in strip_of(busy()).caption


def test_launches_are_separated():
    assert strip_of(quiet()).starts == pytest.approx((5 / 14, 10 / 14))
    alone = msgspec.structs.replace(quiet(), plain_blocks=blocks_of(9_000, 8_000, launches=1))
    assert strip_of(alone).starts == ()
    assert "started anew" not in strip_of(alone).caption


def test_many_steps_are_thinned_out_but_never_the_slowest():
    made = microseconds()
    strip = strip_of(made)
    assert sum(clouds(strip).values()) <= MOST_MARKS
    assert strip.caption.startswith("1,500 of the 12,000 timed steps of 30 rounds")
    first = made.plain_blocks[0]
    walls = list(first.walls_ns)
    walls[117] = 3 * max(walls)
    slow = msgspec.structs.replace(first, walls_ns=tuple(walls))
    with_slow = strip_of(msgspec.structs.replace(made, plain_blocks=(slow, *made.plain_blocks[1:])))
    assert max(mark.y for mark in with_slow.clouds[0].counted) == pytest.approx(1 / 1.06)


def test_more_blocks_than_marks_are_thinned_out_too():
    made = msgspec.structs.replace(
        quiet(), plain_blocks=blocks_of(9_000, 8_000, rounds=MOST_MARKS, steps=2, launches=1)
    )
    assert MOST_MARKS // 2 < sum(clouds(strip_of(made)).values()) <= MOST_MARKS


def test_axis_starts_at_zero_and_is_logarithmic_where_steps_differ_tenfold():
    linear = strip_of(quiet())
    assert linear.ticks[0] == (0, "0")
    assert "Logarithmic" not in linear.caption
    logarithmic = strip_of(with_outlier())
    assert logarithmic.caption.endswith("Logarithmic axis.")
    places = [y for y, _ in logarithmic.ticks]
    assert places == sorted(places)
    assert all(0 <= y <= 1 for y in places)
    usual = [mark.y for cloud in logarithmic.clouds for mark in cloud.counted]
    assert sorted(usual)[len(usual) // 2] < 0.5


def test_older_reports_show_the_steps_that_count():
    strip = strip_of(document())
    assert clouds(strip) == {"torch": 60, "onnxruntime": 60}
    assert strip.shades == strip.starts == ()
    assert strip.caption == "Every timed step of 12 rounds, in order of time."


def test_no_step_no_strip():
    assert strip_of(foreign()) is None


def test_ticks_are_round():
    assert axis_ticks(0, 785) == (0, 200, 400, 600)
    assert log_ticks(120, 5_600) == (200, 500, 1000, 2000, 5000)
    assert log_ticks(90, 25_000) == (100, 1000, 10_000)
