"""Two tensors are the same numbers in any order of their axes, and nothing else is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from attrib.capture.workload.same_numbers import (
    MASKED,
    MOST_ELEMENTS,
    Numbers,
    SameNumbers,
    distance,
    same,
    tolerance_of,
    unpadded,
)

LARGE = np.random.default_rng(0).standard_normal((2, 12, 5, 16)).astype(np.float32)


def test_a_tensor_is_the_same_in_any_order_of_its_axes():
    ours = Numbers(LARGE)
    assert same(ours, Numbers(LARGE.transpose(0, 2, 1, 3).reshape(10, 192)), 1e-3)
    assert same(Numbers(LARGE.reshape(2, 12, 80)), Numbers(LARGE.reshape(24, 80)), 1e-3)
    blocked = LARGE.reshape(2, 3, 4, 5, 16).transpose(0, 1, 3, 4, 2).reshape(LARGE.shape)
    assert same(ours, Numbers(blocked), 1e-3)


def test_tensors_that_only_look_alike_differ():
    shuffled = np.random.default_rng(1).permutation(LARGE.reshape(-1)).reshape(LARGE.shape)
    nudged = LARGE.copy()
    nudged[0, 0, 0, 0] += 0.1
    for other in (shuffled, nudged, -LARGE, LARGE[:1], LARGE + np.float32(0.1)):
        assert not same(Numbers(LARGE), Numbers(other), 1e-3)


def test_masked_numbers_do_not_hide_a_difference():
    masked = LARGE.copy()
    masked[..., 8:] = np.finfo(np.float32).min
    other = masked.copy()
    other[..., :8] += 0.1
    assert same(Numbers(masked), Numbers(masked.copy()), 1e-3)
    assert not same(Numbers(masked), Numbers(other), 1e-3)
    assert not same(Numbers(masked), Numbers(np.roll(masked, 1, axis=-1)), 1e-3)


def test_quantized_numbers_are_the_same_but_not_every_two_tensors():
    coarse = np.round(LARGE * 20) / 20 + np.where(np.abs(LARGE) > 3, 1.0, 0.0)
    unrelated = np.random.default_rng(1).standard_normal(LARGE.shape)
    assert same(Numbers(LARGE), Numbers(coarse), 0.15)
    assert not same(Numbers(LARGE), Numbers(coarse), 1e-3)
    assert not same(Numbers(LARGE), Numbers(unrelated), 0.15)
    steps = Numbers(np.clip(np.round(LARGE * 40) + 128, 0, 255).astype(np.uint8))
    assert same(steps, Numbers(LARGE), 0.15)


def test_a_large_tensor_is_compared_by_drawn_elements_in_the_right_order():
    large = np.random.default_rng(2).standard_normal((3, MOST_ELEMENTS // 2)).astype(np.float32)
    assert distance(Numbers(large), Numbers(np.ascontiguousarray(large.T)), 1e-3) == 0.0
    changed = large.copy()
    changed[:, ::3] *= 1.01
    assert not same(Numbers(large), Numbers(changed), 1e-3)


def test_channels_that_fill_up_a_block_are_left_out():
    ours = np.random.default_rng(4).standard_normal((2, 24, 3, 5)).astype(np.float32)
    padded = np.concatenate([ours, np.zeros((2, 8, 3, 5), np.float32)], axis=1)
    blocked = padded.reshape(2, 2, 16, 3, 5).transpose(0, 1, 3, 4, 2).reshape(padded.shape)
    assert not same(Numbers(blocked), Numbers(ours), 1e-3)
    assert any(same(found, Numbers(ours), 1e-3) for found in unpadded(blocked))
    assert not any(same(found, Numbers(-ours), 1e-3) for found in unpadded(blocked))
    assert list(unpadded(ours.reshape(48, 15))) == []


def test_classes_too_near_to_be_told_apart_are_known():
    known = SameNumbers()
    for array in (LARGE, LARGE + np.float32(1e-6), -LARGE, LARGE * np.float32(1.5)):
        known.add(Numbers(array))
    assert list(known.near(1e-3)) == [(0, 1)]


def test_of_very_many_tensors_alike_only_some_are_compared(monkeypatch):
    from attrib.capture.workload import same_numbers

    monkeypatch.setattr(same_numbers, "MOST_CANDIDATES", 3)
    known = SameNumbers()
    chance = np.random.default_rng(5)
    for _ in range(50):
        known.add(Numbers(np.sign(chance.standard_normal(64)).astype(np.float32)))
    assert len(list(known._candidates(Numbers(np.ones(64, np.float32)), 1e-3))) == 3


def test_what_tells_nothing_is_a_constant():
    assert Numbers(np.float32(3.0).reshape(())).kind == "constant"
    assert Numbers(np.zeros((4, 4), np.float32)).kind == "constant"
    assert Numbers(np.full((4, 4), -np.inf, np.float32)).kind == "constant"
    assert Numbers(np.zeros((0, 4), np.float32)).kind == "constant"
    assert Numbers(np.arange(4)).kind == "integers"
    assert Numbers(LARGE).kind == "numbers"


def test_complex_numbers_are_pairs():
    pairs = LARGE.reshape(-1, 2)
    assert same(Numbers(pairs[:, 0] + 1j * pairs[:, 1]), Numbers(pairs), 1e-6)


def test_the_roughest_of_all_rewrites_sets_the_tolerance():
    assert tolerance_of("fp32") == 1e-3
    assert tolerance_of("fp32", ("optimum-o3",)) == 2e-2
    assert tolerance_of("int8", ("optimum-o3",)) == 0.15


def test_equal_tensors_are_one_class_and_the_nearest_class_is_found():
    known = SameNumbers()
    noisy = LARGE * (1 + 1e-4 * np.random.default_rng(3).standard_normal(LARGE.shape)).astype(np.float32)
    given = [LARGE, np.zeros((4, 4), np.float32), LARGE.transpose(1, 0, 2, 3), noisy]
    assert [known.add(Numbers(np.ascontiguousarray(array))) for array in given] == [0, 1, 0, 2]
    assert known.classes == [0, 1, 0, 2]
    assert known.kinds == ["numbers", "constant", "numbers"]
    # Within the tolerance of both, but nearly equal to one.
    assert known.nearest(Numbers(LARGE * np.float32(1 + 1e-6)), 1e-3) == (0,)
    assert known.nearest(Numbers(noisy.reshape(24, 80)), 1e-3) == (2,)
    assert known.nearest(Numbers(-LARGE), 1e-3) == ()


def test_numbers_of_another_type_are_another_class():
    known = SameNumbers()
    assert [known.add(Numbers(LARGE)), known.add(Numbers(LARGE.astype(np.float16)))] == [0, 1]


@given(
    array=arrays(
        np.float32,
        array_shapes(min_dims=1, max_dims=5, max_side=5),
        elements=st.floats(-1e3, 1e3, width=32)
        | st.sampled_from([np.float32(-2 * MASKED), np.float32(np.nan)]),
    ),
    chance=st.randoms(use_true_random=False),
)
def test_any_permutation_of_axes_and_any_shape_of_the_same_elements_is_the_same(array, chance):
    order = list(range(array.ndim))
    chance.shuffle(order)
    moved = np.ascontiguousarray(array.transpose(order))
    assert same(Numbers(array), Numbers(moved.reshape(-1)), 1e-6)
    assert same(Numbers(moved), Numbers(array), 1e-6)


@pytest.mark.parametrize("change", ["one element", "two swapped"])
@given(seed=st.integers(0, 2**32 - 1))
def test_a_single_element_tells(change, seed):
    chance = np.random.default_rng(seed)
    array = chance.standard_normal((7, 11, 3)).astype(np.float32)
    other = array.copy()
    place = tuple(chance.integers(0, size) for size in array.shape)
    if change == "one element":
        other[place] += 1
    else:
        other[0, 0, 0], other[6, 10, 2] = array[6, 10, 2], array[0, 0, 0] + 1
    assert not same(Numbers(array), Numbers(other), 1e-3)
