"""Settings of PyTorch that bear on speed on a CUDA device, for comparison with those of ONNX Runtime's provider."""

import contextlib
from collections.abc import Callable

import torch

from attrib.capture.options import Device

_READ: dict[str, Callable[[], object]] = {
    "cuda_matmul_tf32": lambda: torch.backends.cuda.matmul.allow_tf32,
    "cuda_fp16_reduced_precision": lambda: torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction,
    "cuda_bf16_reduced_precision": lambda: torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction,
    "cudnn": lambda: torch.backends.cudnn.enabled,
    "cudnn_tf32": lambda: torch.backends.cudnn.allow_tf32,
    "cudnn_benchmark": lambda: torch.backends.cudnn.benchmark,
    "cudnn_deterministic": lambda: torch.backends.cudnn.deterministic,
    "cudnn_version": torch.backends.cudnn.version,
    "cuda_version": lambda: torch.version.cuda,
    "cuda_allocator": torch.cuda.memory.get_allocator_backend,
    "cuda_attention": lambda: " ".join(
        name for name, switch in _ATTENTION.items() if getattr(torch.backends.cuda, switch)()
    ),
}
"""Setting -> how it is read. Some builds, versions and mixtures of old and new settings refuse to tell."""

_ATTENTION: dict[str, str] = {
    "flash": "flash_sdp_enabled",
    "memory-efficient": "mem_efficient_sdp_enabled",
    "cudnn": "cudnn_sdp_enabled",
    "math": "math_sdp_enabled",
}
"""Kernels among which `scaled_dot_product_attention` may choose, and the function of `torch.backends.cuda` that tells."""


def torch_settings(device: Device) -> dict[str, str]:
    """The device, and on CUDA what rounds, chooses kernels and allocates there."""
    found = {"device": str(device)}
    for name, read in _READ.items() if device == "cuda" else ():
        with contextlib.suppress(RuntimeError, AttributeError):
            value = read()
            found[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return found
