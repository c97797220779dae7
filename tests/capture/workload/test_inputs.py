import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrib.capture.workload.inputs import inputs_hash, load_inputs, random_tokens, save_inputs, tokenize_text
from attrib.errors import AttribError

SIZES = {"vocabulary": 30522, "batch_size": 2, "seq_len": 128, "seed": 0, "pad_id": 0}


def tokens(**changes):
    return random_tokens(**(SIZES | {"padding": 0.0, "segments": True} | changes))


def test_tokens_are_what_a_tokenizer_gives():
    arrays = tokens()
    assert list(arrays) == ["input_ids", "attention_mask", "token_type_ids"]
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.int64)}
    assert {array.shape for array in arrays.values()} == {(2, 128)}


def test_models_without_segments_get_none():
    assert "token_type_ids" not in tokens(segments=False)


def test_seed_decides():
    assert np.array_equal(tokens()["input_ids"], tokens()["input_ids"])
    assert not np.array_equal(tokens()["input_ids"], tokens(seed=1)["input_ids"])


@given(
    vocabulary=st.integers(2, 60_000),
    seq_len=st.integers(1, 64),
    padding=st.floats(0, 0.999),
    pad_id=st.integers(0, 1),
)
def test_padding_hides_the_end_and_leaves_a_token(vocabulary, seq_len, padding, pad_id):
    arrays = tokens(vocabulary=vocabulary, seq_len=seq_len, padding=padding, pad_id=pad_id)
    mask, ids = arrays["attention_mask"], arrays["input_ids"]
    kept = mask.sum(axis=1)
    assert (kept >= 1).all()
    assert abs((seq_len - kept[0]) - seq_len * padding) <= 1
    assert (np.diff(mask, axis=1) <= 0).all()
    assert (ids[mask == 0] == pad_id).all()
    assert (ids < vocabulary).all()


def test_special_tokens_are_never_drawn():
    assert tokens(seq_len=4096)["input_ids"].min() >= 1000


def test_file_gives_back_what_was_saved(tmp_path):
    arrays = tokens() | {"scale": np.float32(2.0).reshape(())}
    save_inputs(tmp_path / "inputs.npz", arrays)
    read = load_inputs(tmp_path / "inputs.npz")
    assert list(read) == list(arrays)
    assert inputs_hash(read) == inputs_hash(arrays)


def test_inputs_called_like_a_parameter_of_numpy_are_saved(tmp_path):
    save_inputs(tmp_path / "inputs.npz", {"file": np.ones(2), "allow_pickle": np.ones(3)})
    assert set(load_inputs(tmp_path / "inputs.npz")) == {"file", "allow_pickle"}


def test_pickled_inputs_are_refused(tmp_path):
    np.savez(tmp_path / "inputs.npz", x=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        load_inputs(tmp_path / "inputs.npz")


@pytest.mark.parametrize(
    "change",
    [
        {"input_ids": np.zeros((2, 4), np.int64)},
        {"input_ids": np.ones((2, 4), np.int32)},
        {"input_ids": np.ones((4, 2), np.int64)},
        {"other": np.ones((2, 4), np.int64)},
    ],
)
def test_hash_notices_values_types_shapes_and_names(change):
    assert inputs_hash(change) != inputs_hash({"input_ids": np.ones((2, 4), np.int64)})


@pytest.mark.engines
def test_text_without_a_tokenizer_says_so(tmp_path):
    with pytest.raises(AttribError, match="--text needs a tokenizer"):
        tokenize_text(str(tmp_path), ("a sentence",), batch_size=1, seq_len=8)
