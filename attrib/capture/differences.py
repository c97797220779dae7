"""How far ONNX Runtime's outputs are from PyTorch's."""

from typing import Any

import numpy as np
import numpy.typing as npt

from attrib.capture.inputs import Arrays
from attrib.capture.options import CaptureOptions
from attrib.capture.rewrites import REWRITES, lowest_precision
from attrib.model.manifest import OutputDifference

TOLERANCES = {"fp32": 1e-4, "fp16": 1e-2, "bf16": 5e-2, "int8": 1e-1}
"""Largest difference, relative to the largest PyTorch value, that counts as the same result.

Two float32 implementations that sum in another order are 1e-6 to 1e-5 apart after 12 to 24 layers; TF32, or GELU by
tanh instead of erf, gives about 1e-3 and must be noticed. float16 and bfloat16 carry 11 and 8 bits: some ten roundings.
int8 has 256 steps for the whole range of a tensor, whatever the size of a value: twice the bfloat16 tolerance.
"""


def compare_outputs(
    torch_outputs: Arrays, ort_outputs: Arrays, precision: str
) -> tuple[OutputDifference, ...]:
    """Compare outputs by name; where the names differ throughout but the number agrees, by order."""
    tolerance = TOLERANCES[precision]
    if torch_outputs.keys() != ort_outputs.keys() and len(torch_outputs) == len(ort_outputs):
        ort_outputs = dict(zip(torch_outputs, ort_outputs.values(), strict=True))
    rows = [_compare(name, value, ort_outputs.get(name), tolerance) for name, value in torch_outputs.items()]
    extra = [name for name in ort_outputs if name not in torch_outputs]
    rows += [
        _incomparable(name, ort_outputs[name], tolerance, "PyTorch has no such output") for name in extra
    ]
    return tuple(rows)


def note_on_outputs(rows: tuple[OutputDifference, ...], options: CaptureOptions) -> str:
    """What the user must know about the comparison: outputs that differ, or a tolerance that a rewrite has widened."""
    agree = all(row.equal for row in rows)
    precision = lowest_precision(options.precision, options.optimize)
    if precision == options.precision:
        return "" if agree else "the two engines' outputs differ beyond the tolerance of the precision"
    names = ", ".join(name for name in options.optimize if REWRITES[name].precision == precision)
    tolerance = f"the tolerance of {precision} ({TOLERANCES[precision]:g} of the largest value)"
    return (
        f"the outputs agree within {tolerance}, which applies because --optimize {names} computes in {precision}"
        if agree
        else f"the outputs differ beyond {tolerance}: --optimize {names} computes in {precision}, which changes the"
        " numbers, so a difference is expected; whether the model is still good enough, only its accuracy on real data"
        " can say"
    )


def _compare(
    name: str, own: npt.NDArray[Any], other: npt.NDArray[Any] | None, tolerance: float
) -> OutputDifference:
    if other is None:
        return _incomparable(name, own, tolerance, "ONNX Runtime has no such output")
    if own.shape != other.shape:
        return _incomparable(
            name, own, tolerance, f"ONNX Runtime's shape is {other.shape}, PyTorch's {own.shape}"
        )
    a, b = own.astype(np.float64).ravel(), other.astype(np.float64).ravel()
    if not np.array_equal(np.isfinite(a), np.isfinite(b)) or not np.array_equal(np.isnan(a), np.isnan(b)):
        return _incomparable(name, own, tolerance, "NaN or infinity where the other engine has none")
    finite = np.isfinite(a)
    a, b = a[finite], b[finite]
    max_abs = float(np.max(np.abs(a - b), initial=0.0))
    largest = float(np.max(np.abs(a), initial=0.0))
    max_rel = max_abs / largest if largest else (0.0 if not max_abs else 1.0)
    return OutputDifference(
        name=name,
        shape=own.shape,
        max_abs=max_abs,
        max_rel=max_rel,
        cosine=_cosine(a, b),
        tolerance=tolerance,
        equal=max_rel <= tolerance,
        reason="" if finite.all() else f"{int((~finite).sum())} values are not finite in either engine",
    )


def _cosine(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.dot(a, b) / norms) if norms else float(np.array_equal(a, b))


def _incomparable(name: str, own: npt.NDArray[Any], tolerance: float, reason: str) -> OutputDifference:
    return OutputDifference(
        name=name,
        shape=own.shape,
        max_abs=0.0,
        max_rel=0.0,
        cosine=0.0,
        tolerance=tolerance,
        equal=False,
        reason=reason,
    )
