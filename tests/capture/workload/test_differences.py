import numpy as np
import pytest

from attrib.capture.workload.differences import compare_outputs


def compare(own, other, precision="fp32"):
    return compare_outputs({"y": np.asarray(own)}, {"y": np.asarray(other)}, precision).rows[0]


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
    assert [(r.name, r.equal) for r in compare_outputs(own, other, "fp32").rows] == [
        ("a", True),
        ("b", False),
    ]
    assert [(r.name, r.equal) for r in compare_outputs(other, own, "fp32").rows] == [
        ("a", True),
        ("b", False),
    ]


def test_other_names_but_the_same_number_are_compared_by_order():
    compared = compare_outputs({"logits": np.ones(2)}, {"output_0": np.zeros(2)}, "fp32")
    assert [(row.name, row.equal) for row in compared.rows] == [("logits", False)]
    assert "by order: logits -> output_0" in compared.note


class TestOtherNames:
    OWN = np.arange(6.0).reshape(2, 3)

    def compared(self, own, other):
        found = compare_outputs(own, other, "fp32")
        return {row.name: row.reason or row.equal for row in found.rows}, found.note

    def test_an_output_among_further_ones_is_found_by_what_it_holds(self):
        other = {"keys": -self.OWN, "y": self.OWN + 1e-6, "values": np.zeros((2, 3))}
        rows, note = self.compared({"output": self.OWN}, other)
        none = "PyTorch has no such output"
        assert rows == {"output": True, "keys": none, "values": none}
        assert note == (
            "ONNX Runtime names its outputs otherwise; they were matched by what they hold: output -> y"
        )

    def test_what_they_hold_comes_before_the_order(self):
        rows, note = self.compared({"a": self.OWN, "b": -self.OWN}, {"x": -self.OWN, "y": self.OWN})
        assert rows == {"a": True, "b": True}
        assert "what they hold: a -> y, b -> x" in note

    def test_equal_ones_are_told_apart_by_order_where_there_are_as_many(self):
        rows, note = self.compared({"a": self.OWN, "b": self.OWN}, {"x": self.OWN, "y": self.OWN})
        assert rows == {"a": True, "b": True}
        assert "by order: a -> x, b -> y" in note

    def test_the_order_is_that_within_a_shape(self):
        rows, note = self.compared(
            {"a": self.OWN, "b": np.ones(4)}, {"x": np.zeros(4), "y": -self.OWN, "z": np.ones(7)}
        )
        assert rows == {"a": False, "b": False, "z": "PyTorch has no such output"}
        assert "by order: a -> y, b -> x" in note

    def test_none_is_surplus_where_any_may_be_the_missing_one(self):
        rows, note = self.compared({"output": self.OWN}, {"y": 2 * self.OWN, "keys": -self.OWN})
        assert rows["output"] == "ONNX Runtime has no such output"
        assert rows["y"] == rows["keys"] == "it may be output of PyTorch"
        assert note == ""

    def test_a_shared_name_decides_between_equal_ones(self):
        rows, _ = self.compared({"a": self.OWN, "b": np.ones(4)}, {"x": self.OWN, "a": self.OWN})
        assert rows["a"] is True
