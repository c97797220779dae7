"""Dynamic int8: what PyTorch's own function makes of the Linear layers, and which of them it may touch."""

import torch

from attrib.compress.run import compress, compressible, parameter_count
from tests.compress.models import model_of, subject_of


def test_every_linear_layer_becomes_pytorchs_own_and_the_outputs_move_a_little():
    module, step = model_of("bert")
    count = parameter_count(module)
    (done,) = compress(subject_of(module, step), ("int8-dynamic",))
    assert done.what == "quantized 13 Linear layers to int8, activations in every step"
    kinds = [type(part) for part in module.modules() if type(part).__name__ == "Linear"]
    assert kinds == [torch.ao.nn.quantized.dynamic.Linear] * 13
    assert 0 < done.apart < 0.1
    assert parameter_count(module) == count, "a weight is one, wherever it is kept"
    assert compressible(module) == ()


def test_layers_whose_weights_another_one_reads_are_left_alone():
    torch.manual_seed(0)
    encoder = torch.nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    module = torch.nn.Sequential(encoder, torch.nn.Linear(32, 32)).eval().requires_grad_(requires_grad=False)
    x = torch.randn(2, 5, 32)
    for name in ("int8-dynamic", "int8-weight-only"):
        (done,) = compress(subject_of(module, lambda: {"output": module(x)}), (name,))
        assert "1 Linear layer" in done.what
        assert type(encoder.linear1) is torch.nn.Linear
        module[1] = torch.nn.Linear(32, 32).requires_grad_(requires_grad=False)
