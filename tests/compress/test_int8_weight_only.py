"""Weight-only int8: the layer's numbers, and the layers that PyTorch's kernel cannot compute."""

import pytest
import torch

from attrib.compress.int8_weight_only import Int8Linear, layers
from attrib.compress.run import compress, parameter_count
from tests.compress.models import model_of, subject_of


@pytest.mark.parametrize("shape", [(7, 64), (2, 3, 64), (1, 64)])
@pytest.mark.parametrize("bias", [True, False])
def test_layer_multiplies_by_its_rounded_weights(shape, bias):
    torch.manual_seed(0)
    linear = torch.nn.Linear(64, 24, bias=bias).requires_grad_(requires_grad=False)
    made, x = Int8Linear(linear), torch.randn(shape)
    rounded = made.weight.float() * made.scale.float()[:, None]
    # A weight is off by half a step of its row at most, and by what bfloat16 makes of 127 such steps.
    step = linear.weight.abs().amax(dim=1, keepdim=True) / 127
    assert ((rounded - linear.weight).abs() <= step * (0.5 + 127 / 2**8)).all()
    expected = torch.nn.functional.linear(x, rounded, linear.bias)
    assert made(x).shape == expected.shape
    assert made(x).dtype == torch.float32
    assert (made(x) - expected).abs().max() <= 2e-2 * expected.abs().max()


def test_row_of_zeros_stays_zeros():
    linear = torch.nn.Linear(32, 2).requires_grad_(requires_grad=False)
    linear.weight[0] = 0
    x = torch.randn(3, 32)
    assert torch.equal(Int8Linear(linear)(x)[:, 0], linear.bias[0].expand(3))


def test_rows_that_the_kernel_reads_past_the_end_of_stay_as_they_are():
    module = torch.nn.Sequential(torch.nn.Linear(40, 64), torch.nn.Linear(64, 40), torch.nn.Linear(40, 8))
    assert layers(module) == [module[1]]


def test_a_layer_that_stands_in_two_places_is_one_layer_in_both():
    torch.manual_seed(0)
    shared = torch.nn.Linear(32, 32)
    module = torch.nn.ModuleDict({"a": shared, "b": shared}).requires_grad_(requires_grad=False)
    x = torch.randn(2, 32)
    compress(subject_of(module, lambda: {"output": module["b"](module["a"](x))}), ("int8-weight-only",))
    assert type(module["a"]) is Int8Linear
    assert module["a"] is module["b"]


def test_weights_are_int8_and_still_count():
    module, step = model_of("bert", intermediate_size=64)
    count = parameter_count(module)
    (done,) = compress(subject_of(module, step), ("int8-weight-only",))
    assert done.what == "kept the weights of 13 Linear layers in int8, products in bfloat16"
    assert 0 < done.apart < 0.1
    assert parameter_count(module) == count
    assert module.encoder.layer[0].attention.self.query.weight.dtype == torch.int8
