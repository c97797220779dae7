"""The chart of causes: it leads from one step to the other, and never beyond what is true."""

from itertools import pairwise

import msgspec
import pytest

from attrib.report.view.waterfall import waterfall_of
from tests.report.factory import document, not_significant, one_sided
from tests.report.screens import busy, cause, inconclusive, microseconds, quiet, same, tiny_nodes


@pytest.mark.parametrize("make", [document, quiet, microseconds, same, not_significant])
def test_stairs_lead_from_one_step_to_the_other_from_zero(make):
    whole = make()
    chart = waterfall_of(whole)
    first, *steps, last = chart.bars
    assert chart.stepped
    assert chart.low_ns == 0
    assert (first.start_ns, first.end_ns) == (0, whole.latency.torch_ns.median)
    assert (last.start_ns, last.end_ns) == (0, whole.latency.onnxruntime_ns.median)
    for before, bar in pairwise((first, *steps)):
        assert bar.start_ns == before.end_ns
        assert bar.end_ns == bar.start_ns + bar.value_ns
    assert steps[-1].end_ns == last.end_ns


@pytest.mark.parametrize("make", [busy, tiny_nodes])
def test_stairs_that_would_leave_the_axis_are_not_drawn(make):
    chart = waterfall_of(make())
    assert not chart.stepped
    assert {bar.start_ns for bar in chart.bars} == {0}
    assert all(chart.low_ns <= bar.end_ns <= chart.high_ns for bar in chart.bars)


def test_an_interval_longer_than_a_step_is_no_stair():
    causes = tuple(
        msgspec.structs.replace(c, high_ns=200_000_000) if c.cause == "layout" else c for c in quiet().causes
    )
    assert waterfall_of(quiet()).stepped
    assert not waterfall_of(msgspec.structs.replace(quiet(), causes=causes)).stepped


def test_what_is_not_explained_is_one_bar_with_both_remainders_and_stands_last():
    bars = waterfall_of(quiet()).bars
    assert [bar.kind for bar in bars].count("remainder") == 1
    bar = bars[-2]
    assert (bar.label, bar.kind) == ("Not explained", "remainder")
    assert (bar.value_ns, bar.low_ns, bar.high_ns) == (-210_000, -3_100_000, 3_200_000)


def test_small_causes_are_summed_with_their_intervals_and_one_alone_keeps_its_name():
    bars = {bar.key: bar for bar in waterfall_of(quiet()).bars}
    small = bars["small"]
    assert small.label == "3 smaller causes"
    assert (small.value_ns, small.low_ns, small.high_ns) == (-290_000, -312_000, -250_000)
    assert small.meaning == "Work only in PyTorch, Work only in ONNX Runtime, Casts"
    assert {"cast", "extra_work", "missing_work"}.isdisjoint(bars)
    kept = tuple(c for c in quiet().causes if c.cause not in {"cast", "extra_work"})
    alone = {bar.key for bar in waterfall_of(msgspec.structs.replace(quiet(), causes=kept)).bars}
    assert "missing_work" in alone
    assert "small" not in alone


def test_bars_are_hollow_where_nothing_is_known():
    assert {
        bar.key: bar.hollow for bar in waterfall_of(same()).bars if bar.key in {"kernel", "framework"}
    } == {
        "kernel": True,
        "framework": True,
    }
    assert not any(bar.hollow for bar in waterfall_of(quiet()).bars)
    for make in (busy, inconclusive, tiny_nodes):
        chart = waterfall_of(make())
        assert not chart.reliable
        assert all(bar.hollow for bar in chart.bars if bar.kind in {"slower", "faster"})


@pytest.mark.parametrize(
    ("make", "symbol", "first"),
    [(quiet, "ms", "185.1"), (microseconds, "µs", "40.1"), (busy, "ms", "187"), (tiny_nodes, "ms", "43.1")],
)
def test_unit_and_decimals_are_chosen_by_the_step_and_the_noise(make, symbol, first):
    chart = waterfall_of(make())
    assert chart.unit.symbol == symbol
    assert chart.value(chart.bars[0]) == first


def test_rows_that_do_not_sum_are_shown_as_such():
    whole = document()
    bars = waterfall_of(msgspec.structs.replace(whole, causes=whole.causes[1:])).bars
    missing = next(bar for bar in bars if bar.key == "unsummed")
    assert missing.value_ns == whole.causes[0].delta_ns
    assert not any(bar.key == "unsummed" for bar in waterfall_of(whole).bars)


def test_no_delta_no_waterfall():
    assert waterfall_of(one_sided()) is None


def test_causes_alone_have_no_bar_for_what_is_not_explained():
    made = msgspec.structs.replace(quiet(), causes=(cause("kernel", -50.2, -51, -49),))
    assert [bar.key for bar in waterfall_of(made).bars] == ["torch", "kernel", "onnxruntime"]
