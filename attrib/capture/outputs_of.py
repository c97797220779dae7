"""A model's outputs as a flat, named list: the same names and order for PyTorch and for the exported graph."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def named_outputs(result: object) -> dict[str, Any]:
    """Every tensor of a result by name, in the order in which `torch.export` flattens it; None is left out.

    A mapping (such as a `ModelOutput`) names its outputs by its keys, nested sequences by position.
    """
    import torch

    if isinstance(result, torch.Tensor):
        return {"output": result}
    return dict(_flatten("", result))


def _flatten(prefix: str, value: object) -> Iterator[tuple[str, Any]]:
    import torch

    if isinstance(value, torch.Tensor):
        yield prefix, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flatten(f"{prefix}.{key}" if prefix else str(key), item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for i, item in enumerate(value):
            yield from _flatten(f"{prefix}.{i}" if prefix else f"output_{i}", item)
