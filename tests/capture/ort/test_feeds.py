import numpy as np
import pytest

from attrib.capture.ort.feeds import match_inputs
from attrib.errors import AttribError

IDS = np.ones((1, 8), np.int64)
MASK = np.zeros((1, 8), np.int64)
INPUTS = {"input_ids": IDS, "attention_mask": MASK}


def test_inputs_are_matched_by_name_whatever_their_order():
    signature = [
        ("attention_mask", "tensor(int64)", [1, 8]),
        ("input_ids", "tensor(int64)", ["batch", "seq"]),
    ]
    matched, notes = match_inputs(signature, INPUTS)
    assert matched["input_ids"] is IDS
    assert matched["attention_mask"] is MASK
    assert notes == []


def test_graph_may_take_fewer_inputs():
    matched, notes = match_inputs([("input_ids", "tensor(int64)", [1, 8])], INPUTS)
    assert list(matched) == ["input_ids"]
    assert notes == []


def test_other_names_are_matched_by_order_with_a_note():
    signature = [("ids", "tensor(int64)", [1, 8]), ("mask", "tensor(int64)", [1, 8])]
    matched, notes = match_inputs(signature, INPUTS)
    assert matched["ids"] is IDS
    assert matched["mask"] is MASK
    assert "input_ids -> ids" in notes[0]


@pytest.mark.parametrize(
    "signature",
    [
        [("input_ids", "tensor(int32)", [1, 8]), ("attention_mask", "tensor(int64)", [1, 8])],
        [("input_ids", "tensor(int64)", [1, 16]), ("attention_mask", "tensor(int64)", [1, 8])],
        [("input_ids", "tensor(int64)", [8]), ("attention_mask", "tensor(int64)", [1, 8])],
        [("ids", "tensor(int64)", [1, 8])],
        [("ids", "tensor(float)", [1, 8]), ("mask", "tensor(int64)", [1, 8])],
        [("ids", "tensor(string)", [1, 8]), ("mask", "tensor(int64)", [1, 8])],
    ],
)
def test_mismatch_lists_both_sides(signature):
    with pytest.raises(AttribError, match="do not match") as caught:
        match_inputs(signature, INPUTS)
    assert signature[0][0] in str(caught.value)
    assert "attention_mask int64[1,8]" in str(caught.value)
