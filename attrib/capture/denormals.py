"""How many weights are denormal: so small that a processor computes with them in microcode.

IEEE 754: a number that is not zero and smaller in magnitude than the smallest normal one, 1.2e-38 in float32.
"""

from typing import Any

MOST = 8_192
"""Values of one tensor that are looked at: in a model with a hundred tensors, a thousandth is some eight hundred values."""


def denormal_count(parameters: Any) -> int:
    """Denormal values among the weights; of a large tensor an even sample stands for the rest.

    Args:
        parameters: Tensors, e.g. `module.parameters()`. Those that hold no floating-point numbers count as none.
    """
    return sum(_of_tensor(tensor.detach()) for tensor in parameters if tensor.is_floating_point())


def _of_tensor(tensor: Any) -> int:
    import torch

    values = tensor.reshape(-1)
    stride = -(-values.numel() // MOST) or 1
    sample = values[::stride]
    if not sample.numel():
        return 0
    tiny = torch.finfo(tensor.dtype).smallest_normal
    found = int(((sample != 0) & (sample.abs() < tiny)).sum())
    share: float = found / sample.numel()
    size: int = values.numel()
    return round(share * size)
