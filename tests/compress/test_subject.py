"""How far two sets of outputs are apart, and where no figure can say it."""

import pytest
import torch

from attrib.compress.subject import largest_difference
from attrib.errors import AttribError

NAN, INF = float("nan"), float("inf")


def test_difference_is_relative_to_the_largest_value_of_its_own_output():
    own = {"a": torch.tensor([1.0, -4.0]), "b": torch.tensor([100.0])}
    other = {"a": torch.tensor([1.0, -3.0]), "b": torch.tensor([101.0])}
    assert largest_difference(own, other) == 0.25
    assert largest_difference(own, own) == 0.0


def test_what_is_not_finite_on_both_sides_does_not_count():
    own, other = torch.tensor([NAN, INF, 2.0]), torch.tensor([NAN, INF, 1.0])
    assert largest_difference({"a": own}, {"a": other}) == 0.5


@pytest.mark.parametrize("other", [[1.0, NAN], [1.0, INF]])
def test_what_is_not_finite_on_one_side_is_said(other):
    with pytest.raises(AttribError, match="NaN or infinity where it had none"):
        largest_difference({"a": torch.tensor([1.0, 2.0])}, {"a": torch.tensor(other)})


def test_infinity_of_the_other_sign_is_another_output():
    with pytest.raises(AttribError, match="NaN or infinity"):
        largest_difference({"a": torch.tensor([INF])}, {"a": torch.tensor([-INF])})


def test_other_shapes_cannot_be_compared():
    with pytest.raises(AttribError, match="does not keep its shape"):
        largest_difference({"a": torch.ones(2)}, {"a": torch.ones(3)})
