"""What a compression is given, and how far the outputs of two forms of a model are apart."""

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


def largest_difference(own: Outputs, other: Outputs) -> float:
    """The largest difference of any output, relative to the largest value of that output before.

    Raises:
        AttribError: An output has another shape, or is NaN or infinite on one side only.
    """
    found = [0.0]
    for name, value in own.items():
        if name not in other or other[name].shape != value.shape:
            raise AttribError(f"the output {name!r} does not keep its shape")
        a, b = value.double(), other[name].double()
        both = a.isfinite() & b.isfinite()
        if not a[~both].equal(b[~both]) and not (a[~both].isnan() & b[~both].isnan()).all():
            raise AttribError(
                f"the output {name!r} has NaN or infinity where it had none before, or none where it had"
            )
        if both.any():
            apart, scale = float((a - b)[both].abs().max()), float(a[both].abs().max())
            found.append(apart / scale if scale else apart)
    return max(found)
