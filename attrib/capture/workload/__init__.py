"""The model and its inputs: where they come from, how they are built, and how outputs are compared.

Knows no engine but PyTorch, which builds the model, and times nothing.
"""

__all__ = [
    "build",
    "caches",
    "differences",
    "factory",
    "flat_module",
    "handover",
    "inputs",
    "recorded_step",
    "same_numbers",
    "sources",
    "weights",
]
