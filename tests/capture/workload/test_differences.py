import numpy as np
import pytest

from attrib.capture.workload.differences import compare_outputs


def compare(own, other, precision="fp32"):
    return compare_outputs({"y": np.asarray(own)}, {"y": np.asarray(other)}, precision)[0]


def test_equal_outputs_are_equal():
    row = compare([1.0, -2.0], [1.0, -2.0])
    assert (row.equal, row.max_abs, row.max_rel, row.cosine) == (True, 0.0, 0.0, pytest.approx(1.0))


def test_difference_is_relative_to_the_largest_value():
    row = compare([100.0, 0.0], [100.0, 0.005])
    assert row.max_rel == pytest.approx(5e-5)
    assert row.equal


def test_float32_notices_what_tf32_would_do():
    assert not compare([1.0, 0.5], [1.001, 0.5]).equal
    assert compare([1.0, 0.5], [1.001, 0.5], "fp16").equal


@pytest.mark.parametrize(
    ("own", "other", "says"),
    [
        ([1.0, 2.0], [[1.0, 2.0]], "shape"),
        ([1.0, 2.0], [1.0, np.nan], "NaN"),
        ([1.0, np.inf], [1.0, 2.0], "infinity"),
        ([np.nan, 1.0], [np.inf, 1.0], "NaN"),
    ],
)
def test_what_cannot_be_compared_is_no_match(own, other, says):
    row = compare(own, other)
    assert not row.equal
    assert says in row.reason


def test_nan_in_both_engines_is_named_but_no_mismatch():
    row = compare([1.0, np.nan], [1.0, np.nan])
    assert row.equal
    assert "not finite" in row.reason


def test_all_zero_outputs():
    assert compare([0.0, 0.0], [0.0, 0.0]).equal
    assert not compare([0.0, 0.0], [0.0, 1e-9]).equal


def test_integer_and_boolean_outputs_are_compared():
    assert compare(np.array([1, 2]), np.array([1, 2])).equal
    assert not compare(np.array([True]), np.array([False])).equal


def test_missing_and_extra_outputs_are_rows():
    own, other = {"a": np.ones(1), "b": np.ones(1)}, {"a": np.ones(1)}
    assert [(r.name, r.equal) for r in compare_outputs(own, other, "fp32")] == [("a", True), ("b", False)]
    assert [(r.name, r.equal) for r in compare_outputs(other, own, "fp32")] == [("a", True), ("b", False)]


def test_other_names_but_the_same_number_are_compared_by_order():
    rows = compare_outputs({"logits": np.ones(2)}, {"output_0": np.ones(2)}, "fp32")
    assert [(row.name, row.equal) for row in rows] == [("logits", True)]
