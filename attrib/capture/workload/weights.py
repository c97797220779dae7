"""What is done to weights: seeded, told apart, hashed, and counted where they are denormal."""

import hashlib
import random
from collections.abc import Mapping
from typing import Any

_NOISE_STD = 0.02
"""As small as the spread of BERT's own initialization, and far from denormal numbers."""

_SAMPLE = 64


def seed_everything(seed: int) -> None:
    """Seed every generator that a model's constructor may draw from."""
    import numpy as np
    import torch

    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  (the user's factory may use the legacy generator)


def make_distinct(module: Any, seed: int) -> None:
    """Add seeded noise to every vector of weights.

    Exporters merge initializers of equal value, and a freshly initialized BERT has all-zero biases and all-one layer
    norms: without the noise another graph would be measured than with trained weights. Matrices are random already.
    Tied weights are one tensor and stay tied.
    """
    import torch

    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim <= 1 and parameter.is_floating_point():
                noise = torch.randn(parameter.shape, generator=generator) * _NOISE_STD
                parameter.add_(noise.to(parameter.dtype))


def fingerprint(module: Any) -> str:
    """A hash of every tensor's name, type, shape and a spread sample of its values."""
    return hash_of(tensor_prints(module))


def hash_of(prints: Mapping[str, bytes]) -> str:
    """One hash of the prints of a module's tensors."""
    digest = hashlib.sha256()
    for name, tensor in prints.items():
        digest.update(name.encode() + tensor)
    return digest.hexdigest()


def tensor_prints(module: Any) -> dict[str, bytes]:
    """Of every tensor of a module, by its qualified name: type, shape and a spread sample of its values."""
    import torch

    found = {}
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if not isinstance(tensor, torch.Tensor) or torch.nn.parameter.is_lazy(tensor):
                continue
            flat = tensor.detach().reshape(-1)
            sample = flat[:: max(1, flat.numel() // _SAMPLE)].to("cpu", torch.float64)
            found[name] = f" {tensor.dtype} {tuple(tensor.shape)}".encode() + sample.numpy().tobytes()
    return found


MOST = 8_192
"""Values of one tensor that are counted: in a model with a hundred tensors, a thousandth is some eight hundred values."""


def denormal_count(parameters: Any) -> int:
    """Count the denormal values among the weights; of a large tensor an even sample stands for the rest.

    A processor computes with denormal numbers in microcode. IEEE 754: a number that is not zero and smaller in magnitude
    than the smallest normal one, 1.2e-38 in float32. Narrower types are computed in float32, in which what is denormal in
    float16 is an ordinary number.

    Args:
        parameters: Tensors, e.g. `module.parameters()`. Those that hold no floating-point numbers count as none.
    """
    import torch

    count = 0
    for tensor in parameters:
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        values = tensor.detach().reshape(-1)
        computed = tensor.dtype if tensor.dtype == torch.float64 else torch.float32
        sample = values[:: -(-values.numel() // MOST)].to(computed)
        tiny = torch.finfo(computed).smallest_normal
        found = int(((sample != 0) & (sample.abs() < tiny)).sum())
        count += round(found / sample.numel() * values.numel())
    return count
