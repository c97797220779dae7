"""A ledger without the work that a finding accounts for, and weighted sums of work."""

import numpy as np
import pytest

from attrib.api import load
from attrib.model.manifest import ROLES

SAMPLE = "sample_traces/distilbert-base-uncased"


@pytest.fixture(scope="module")
def ledger(request):
    return load(request.config.rootpath / SAMPLE).ledger_rows


def totals(ledger):
    return {role: sum(getattr(row, f"{role}_ns") for row in ledger.rows) for role in ROLES}


def test_without_anything_it_is_the_same(ledger):
    same = ledger.without((), ())
    assert same.rows == ledger.rows
    assert np.array_equal(same.replicates, ledger.replicates)


def test_a_row_that_goes_takes_its_time_along(ledger):
    gone = ledger.rows[3]
    left = ledger.without((gone.id,), ())
    assert [row.id for row in left.rows] == [row.id for row in ledger.rows if row.id != gone.id]
    assert totals(ledger)["torch"] - totals(left)["torch"] == gone.torch_ns


def test_single_nodes_leave_the_rest_of_their_row(ledger):
    row = next(row for row in ledger.rows if len(row.onnx_nodes) > 2 and row.torch_calls)
    node = row.onnx_nodes[1]
    left = next(r for r in ledger.without((), (node,)).rows if r.id == row.id)
    assert left.onnx_nodes == tuple(name for name in row.onnx_nodes if name != node)
    assert len(left.onnx_ops) == len(left.onnx_nodes)
    spent = ledger.work("onnxruntime", [node]).median
    assert row.onnxruntime_ns - left.onnxruntime_ns == spent
    assert left.delta_ns == left.onnxruntime_ns - left.torch_ns
    assert left.low_ns <= left.delta_ns <= left.high_ns


def test_a_row_without_work_left_goes(ledger):
    row = next(row for row in ledger.rows if row.onnx_nodes and row.torch_calls)
    left = ledger.without((), (*row.onnx_nodes, *row.torch_calls))
    assert row.id not in {r.id for r in left.rows}
    assert (
        left.total([r.id for r in left.rows]).median
        == ledger.total([r.id for r in ledger.rows if r.id != row.id]).median
    )


def test_weights_add_up_and_take_away(ledger):
    nodes = [row.onnx_nodes[0] for row in ledger.rows if row.onnx_nodes][:4]
    one, other = (ledger.work("onnxruntime", names) for names in (nodes[:2], nodes[2:]))
    weights = dict.fromkeys(nodes[:2], 1.0) | dict.fromkeys(nodes[2:], -0.5)
    claim = ledger.weigh({"onnxruntime": weights})
    assert claim.median == pytest.approx(one.median - 0.5 * other.median, abs=1)
    assert claim.low <= claim.median <= claim.high


def test_both_sides_in_one_sum_are_the_delta_of_their_row(ledger):
    row = next(row for row in ledger.rows if row.cause == "kernel")
    calls, nodes = dict.fromkeys(row.torch_calls, -1.0), dict.fromkeys(row.onnx_nodes, 1.0)
    claim = ledger.weigh({"torch": calls, "onnxruntime": nodes})
    assert claim.median == pytest.approx(row.delta_ns, abs=1)
    assert (claim.low, claim.high) == pytest.approx((row.low_ns, row.high_ns), abs=2)


def test_a_framework_part_can_be_weighted_by_its_region(ledger):
    api = next(row for row in ledger.rows if row.region == "(framework)/ort api")
    half = ledger.weigh({"onnxruntime": {api.region: 0.5}})
    assert half.median == pytest.approx(api.onnxruntime_ns / 2, abs=1)


def test_names_that_nobody_knows_weigh_nothing(ledger):
    assert ledger.weigh({"torch": {"nothing": 1.0}}).median == 0
