"""Rules about the speed and the number types of single operators."""

__all__ = [
    "denormal_values",
    "double_in_pytorch",
    "double_precision",
    "faster_kernel",
    "slower_fusion",
    "slower_kernel",
    "unfused_quantization",
    "unsupported_precision",
]
