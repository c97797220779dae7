"""`int8-dynamic`: PyTorch's own dynamic quantization of Linear layers, products of int8 weights and int8 activations.

Weights are int8 with one scale a layer; each step finds a scale for the activations. The kernels run on a CPU and begin
with float32 weights. Only layers that are exactly `torch.nn.Linear` change.
"""

import warnings
from typing import Any

import torch

from attrib.compress.subject import Subject, linear_layers
from attrib.errors import AttribError
from attrib.wording import counted

layers = linear_layers
"""Which layers it quantizes."""


def compress(subject: Subject, linears: dict[str, Any], _share: float) -> str:
    """Quantize the Linear layers in place; what was done.

    Raises:
        AttribError: This PyTorch has no dynamic quantization any more.
    """
    try:
        from torch.ao.quantization import quantize_dynamic
    except ImportError as error:
        raise AttribError(
            f"torch {torch.__version__} has no torch.ao.quantization.quantize_dynamic",
            hint="--optimize int8-dynamic quantizes the exported graph",
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated in favor of a package that attrib does not require
        quantize_dynamic(subject.module, set(linears), dtype=torch.qint8, inplace=True)
    return f"quantized {counted(len(linears), 'Linear layer')} to int8, activations in every step"
