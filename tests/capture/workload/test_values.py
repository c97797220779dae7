"""Counting denormal weights and masked tokens, on tensors."""

import pytest

from attrib.capture.workload.inputs import padding_settings
from attrib.capture.workload.weights import MOST, denormal_count

torch = pytest.importorskip("torch")


def test_denormal_values_are_neither_zero_nor_normal():
    values = torch.tensor([0.0, 1e-40, -1e-39, 2e-38, 1.0])
    assert denormal_count([values]) == 2


def test_what_counts_is_the_smallest_number_of_the_type_that_is_computed_in():
    assert denormal_count([torch.tensor([1e-6, 1.0], dtype=torch.float16)]) == 0  # computed in float32
    assert denormal_count([torch.tensor([1e-40, 1.0], dtype=torch.float32)]) == 1
    assert denormal_count([torch.tensor([1e-40], dtype=torch.float64)]) == 0


def test_integers_and_empty_tensors_hold_none():
    assert denormal_count([torch.ones(3, dtype=torch.int64), torch.empty(0)]) == 0


def test_a_large_tensor_is_sampled_and_scaled():
    values = torch.ones(10 * MOST)
    values[: 5 * MOST] = 1e-40
    assert denormal_count([values]) == pytest.approx(5 * MOST, rel=0.01)


def test_parameters_that_need_gradients_are_counted_without_them():
    assert denormal_count([torch.nn.Parameter(torch.full((4,), 1e-40))]) == 4


def test_padding_of_rows_of_unequal_length():
    mask = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]])
    assert padding_settings({"attention_mask": mask}) == {
        "masked_tokens": "0.5000",
        "masked_in_all": "0.2500",
    }


@pytest.mark.parametrize("mask", [None, torch.ones(4), torch.ones(1, 1, 4, 4), torch.ones(0, 4)])
def test_what_is_no_mask_of_tokens_is_left_alone(mask):
    assert padding_settings({} if mask is None else {"attention_mask": mask}) == {}
