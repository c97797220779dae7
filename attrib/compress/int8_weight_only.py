"""`int8-weight-only`: Linear layers whose weights are int8 with one scale a row, multiplied by `aten::_weight_int8pack_mm`.

On a CPU that operator has a fast kernel for bfloat16 only (for float32 it takes some forty times as long as the product
of float32 weights), so that activations are cast to bfloat16 around it. Its kernels go through a row in blocks: where the
row is no multiple of `_BLOCK`, torch 2.13 reads past its end, gives noise, or crashes. Such layers stay as they are.
"""

from typing import Any

import torch

from attrib.compress.subject import Subject, linear_layers
from attrib.errors import AttribError
from attrib.wording import counted

_BLOCK = 32
_LARGEST = 127


class Int8Linear(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A Linear layer with int8 weights, `[out, in]`, and bfloat16 scales, `[out]`."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight = linear.weight.detach().float()
        largest = weight.abs().amax(dim=1)
        scale = (largest / _LARGEST).to(torch.bfloat16).clamp_min(torch.finfo(torch.bfloat16).tiny)
        rounded = (weight / scale.float()[:, None]).round().clamp(-_LARGEST, _LARGEST)
        self.weight = torch.nn.Parameter(rounded.to(torch.int8), requires_grad=False)
        self.register_buffer("scale", scale)
        self.bias = linear.bias

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """The product with the weights, in bfloat16, and the bias in the precision of what is given."""
        rows = given.reshape(-1, self.in_features).to(torch.bfloat16).contiguous()
        product = torch._weight_int8pack_mm(rows, self.weight, self.scale)  # noqa: SLF001  (it has no public name)
        result = product.reshape(*given.shape[:-1], self.out_features).to(given.dtype)
        return result if self.bias is None else result + self.bias


def layers(module: Any) -> list[torch.nn.Linear]:
    """The Linear layers inside a module that the kernel can compute."""
    return [part for part in linear_layers(module).values() if not part.in_features % _BLOCK]


def compress(subject: Subject, linears: list[torch.nn.Linear], _share: float) -> str:
    """Put int8 layers in the place of the Linear ones; what was done.

    Raises:
        AttribError: This PyTorch has no such operator.
    """
    if not hasattr(torch, "_weight_int8pack_mm"):
        raise AttribError(f"torch {torch.__version__} has no aten::_weight_int8pack_mm")
    made = {linear: Int8Linear(linear) for linear in linears}
    for name, part in list(subject.module.named_modules(remove_duplicate=False)):
        if part in made:
            subject.module.set_submodule(name, made[part])
    return f"kept the weights of {counted(len(linears), 'Linear layer')} in int8, products in bfloat16"
