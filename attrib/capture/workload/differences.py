"""Comparing the outputs of two sides: how far apart they are, and whether that is within the tolerance."""

from typing import Any

import numpy as np
import numpy.typing as npt

from attrib.capture.workload.inputs import Arrays
from attrib.model.capture_options import CaptureOptions
from attrib.model.manifest import TOLERANCES, OutputDifference
from attrib.rewrite.registry import REWRITES, lowest_precision

_ENGINES = ("PyTorch", "ONNX Runtime")


def compare_outputs(
    first: Arrays, second: Arrays, precision: str, sides: tuple[str, str] = _ENGINES
) -> tuple[OutputDifference, ...]:
    """Compare outputs by name; where the names differ throughout but the number agrees, by order.

    Args:
        first: Outputs of the side to which the differences are relative.
        second: Outputs of the other one.
        precision: Whose tolerance applies.
        sides: What to call the sides.
    """
    tolerance = TOLERANCES[precision]
    if first.keys() != second.keys() and len(first) == len(second):
        second = dict(zip(first, second.values(), strict=True))
    rows = [_compare(name, value, second.get(name), tolerance, sides) for name, value in first.items()]
    rows += [
        _incomparable(name, value, tolerance, f"{sides[0]} has no such output")
        for name, value in second.items()
        if name not in first
    ]
    return tuple(rows)


def note_on_outputs(rows: tuple[OutputDifference, ...], options: CaptureOptions) -> str:
    """Write what the user must know: that outputs differ, or that a rewrite has widened the tolerance; empty otherwise."""
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
    name: str,
    own: npt.NDArray[Any],
    other: npt.NDArray[Any] | None,
    tolerance: float,
    sides: tuple[str, str],
) -> OutputDifference:
    if other is None:
        return _incomparable(name, own, tolerance, f"{sides[1]} has no such output")
    if own.shape != other.shape:
        reason = f"{sides[1]}'s shape is {other.shape}, {sides[0]}'s {own.shape}"
        return _incomparable(name, own, tolerance, reason)
    a, b = own.astype(np.float64).ravel(), other.astype(np.float64).ravel()
    if not np.array_equal(np.isfinite(a), np.isfinite(b)) or not np.array_equal(np.isnan(a), np.isnan(b)):
        return _incomparable(name, own, tolerance, "NaN or infinity where the other side has none")
    finite = np.isfinite(a)
    a, b = a[finite], b[finite]
    max_abs = float(np.max(np.abs(a - b), initial=0.0))
    largest = float(np.max(np.abs(a), initial=0.0))
    max_rel = max_abs / largest if largest else (0.0 if not max_abs else 1.0)
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return OutputDifference(
        name=name,
        shape=own.shape,
        max_abs=max_abs,
        max_rel=max_rel,
        cosine=float(np.dot(a, b) / norms) if norms else float(np.array_equal(a, b)),
        tolerance=tolerance,
        equal=max_rel <= tolerance,
        reason="" if finite.all() else f"{int((~finite).sum())} values are not finite on either side",
    )


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
