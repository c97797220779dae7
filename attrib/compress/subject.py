"""What a compression is given, its Linear layers, and how far the outputs of two forms of a model are apart."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from attrib.errors import AttribError
from attrib.model.capture_options import Precision

Outputs = Mapping[str, Any]
"""Tensors by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A module that is to be compressed in place.

    Attributes:
        module: The module, where it is going to run and in its precision.
        precision: That precision.
        step: Runs it once on the workload's inputs; the same again while the module stays the same.
    """

    module: Any
    precision: Precision
    step: Callable[[], Outputs]


def linear_layers(module: Any) -> dict[str, Any]:
    """The Linear layers inside a module by name, where another kind of layer can take their place.

    A `TransformerEncoderLayer` reads the weights of its layers without calling them: those stay what they are.
    """
    import torch

    read = {
        child
        for part in module.modules()
        if isinstance(part, torch.nn.TransformerEncoderLayer)
        for child in part.modules()
    }
    return {
        name: part
        for name, part in module.named_modules()
        if name and type(part) is torch.nn.Linear and part not in read
    }


def largest_difference(own: Outputs, other: Outputs) -> float:
    """The largest difference of any output, relative to the largest value of that output before.

    Raises:
        AttribError: An output has another shape, or is NaN or infinite on one side only.
    """
    import torch

    found = [0.0]
    for name, value in own.items():
        if name not in other or other[name].shape != value.shape:
            raise AttribError(f"the output {name!r} does not keep its shape")
        a, b = (
            (torch.view_as_real(one) if one.is_complex() else one).detach().double()
            for one in (value, other[name])
        )
        both = a.isfinite() & b.isfinite()
        if not torch.isclose(a[~both], b[~both], rtol=0, atol=0, equal_nan=True).all():
            raise AttribError(
                f"the output {name!r} has NaN or infinity where it had none before, or none where it had"
            )
        if both.any():
            apart, scale = float((a - b)[both].abs().max()), float(a[both].abs().max())
            found.append(apart / scale if scale else apart)
    return max(found)
