"""Comparing the outputs of two sides: how far apart they are, and whether that is within the tolerance."""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from attrib.capture.workload.inputs import Arrays
from attrib.model.capture_options import CaptureOptions
from attrib.model.manifest import ENGINE_NAMES, TOLERANCES, OutputDifference
from attrib.rewrite.registry import REWRITES, lowest_precision

_ENGINES = (ENGINE_NAMES["torch"], ENGINE_NAMES["onnxruntime"])


_NEAREST = 4.0
"""An output so many times as far away as the nearest one is not meant."""


class OutputComparison(NamedTuple):
    """How far the outputs differ, and a note where some were paired by something else than their names."""

    rows: tuple[OutputDifference, ...]
    note: str = ""


def compare_outputs(
    first: Arrays, second: Arrays, precision: str, sides: tuple[str, str] = _ENGINES
) -> OutputComparison:
    """Compare outputs; a row bears the name of the first side, where both have such an output.

    Args:
        first: Outputs of the side to which the differences are relative.
        second: Outputs of the other one.
        precision: Whose tolerance applies.
        sides: What to call the sides.
    """
    tolerance = TOLERANCES[precision]
    pairs, otherwise = _pair_outputs(first, second, tolerance)
    rows = [
        _compare(name, value, second[pairs[name]] if name in pairs else None, tolerance, sides)
        for name, value in first.items()
    ]
    # Which of the others an output without a counterpart is, is not known: none of them is surplus then.
    lost = [name for name in first if name not in pairs]
    reason = f"it may be {' or '.join(lost)} of {sides[0]}" if lost else f"{sides[0]} has no such output"
    taken = set(pairs.values())
    rows += [
        _incomparable(name, value, tolerance, reason) for name, value in second.items() if name not in taken
    ]
    told = "; ".join(
        f"by {how}: {', '.join(f'{own} -> {other}' for own, other in its.items())}"
        for how, its in otherwise.items()
        if its
    )
    return OutputComparison(
        tuple(rows), f"{sides[1]} names its outputs otherwise; they were matched {told}" if told else ""
    )


def _pair_outputs(
    first: Arrays, second: Arrays, tolerance: float
) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """The second side's output for each of the first's; and those not paired by name, by what they were paired.

    1. By name where one side has all names of the other: it may return less.
    2. Else by what they hold, where only one is as near.
    3. What is left by name; then in order, where as many are left of a shape, or as many in all.
    """
    if first.keys() <= second.keys() or second.keys() <= first.keys():
        return {name: name for name in first if name in second}, {}
    nearest = {name: _nearest(name, value, second, tolerance) for name, value in first.items()}
    chosen = Counter(its[0] for its in nearest.values() if len(its) == 1)
    pairs = {name: its[0] for name, its in nearest.items() if len(its) == 1 and chosen[its[0]] == 1}
    by_value = {own: other for own, other in pairs.items() if own != other}
    taken = set(pairs.values())
    pairs |= {name: name for name in first if name not in pairs and name in second and name not in taken}
    by_order: dict[str, str] = {}
    for shape in (*dict.fromkeys(value.shape for value in first.values()), None):
        left = [
            [name for name, value in side.items() if name not in known and shape in (None, value.shape)]
            for side, known in (
                (first, {**pairs, **by_order}),
                (second, {*pairs.values(), *by_order.values()}),
            )
        ]
        if len(left[0]) == len(left[1]):
            by_order |= dict(zip(*left, strict=True))
    return pairs | by_order, {"what they hold": by_value, "order": by_order}


def _nearest(name: str, own: npt.NDArray[Any], others: Arrays, tolerance: float) -> list[str]:
    """The names of those that hold the same as an output within the tolerance, and none of them much nearer."""
    rows = [_compare(other, own, value, tolerance, _ENGINES) for other, value in others.items()]
    apart = {row.name: row.max_rel for row in rows if row.equal}
    if name in apart:
        return [name]
    limit = _NEAREST * min(apart.values(), default=0.0)
    return [other for other, distance in apart.items() if distance <= limit]


def note_on_outputs(rows: tuple[OutputDifference, ...], options: CaptureOptions) -> str:
    """Write what the user must know: that outputs differ, or that a rewrite has widened the tolerance; empty otherwise."""
    agree = not any(row.differs for row in rows)
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
