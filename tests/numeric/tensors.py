"""When two tensors are the same numbers: element by element within a tolerance, whatever their axes are called.

Exporters flatten batches, split heads and transpose; ONNX Runtime packs channels into blocks. None of that changes a
number, so a tensor is compared in every order that its axes allow. Numbers that stand for "masked out" (the lowest of a
type, infinities, NaN) must lie at the same places and are not compared further: next to -3e38 everything looks equal.
"""

from collections.abc import Iterator
from functools import cached_property
from itertools import permutations

import numpy as np
import numpy.typing as npt

MASKED = 1e4
"""Magnitude that no activation here reaches; float16's lowest value, -65504, is beyond it."""
BLOCKS = (4, 8, 16)
"""Channels in one block of ONNX Runtime's NCHWc layout."""
MAX_AXES = 6
ROUGH = 0.1
"""A tolerance above this is one of quantized numbers."""


class Values:
    """One tensor, with what speeds its comparison up."""

    def __init__(self, array: npt.NDArray[np.generic]) -> None:
        self.array = array
        self.is_float = array.dtype.kind == "f"
        self.is_quantized = array.dtype in (np.int8, np.uint8)

    @cached_property
    def numbers(self) -> npt.NDArray[np.float64]:
        """The elements, masked ones as NaN."""
        found = self.array.astype(np.float64)
        if self.is_float:
            with np.errstate(invalid="ignore"):
                found[~(np.abs(found) < MASKED)] = np.nan
        return found

    @cached_property
    def moments(self) -> tuple[int, int, float, float]:
        """Elements, masked ones, and mean and root mean square of the others: equal for every order of the axes."""
        kept = self.numbers[~np.isnan(self.numbers)]
        if not kept.size:
            return self.numbers.size, self.numbers.size, 0.0, 0.0
        mean, power = float(kept.mean()), float(np.sqrt(np.mean(kept**2)))
        return self.numbers.size, self.numbers.size - kept.size, mean, power

    @cached_property
    def standard(self) -> "Values":
        """The numbers without their offset and scale, which quantization chooses."""
        spread = float(np.nanstd(self.numbers)) or 1.0
        return Values((self.numbers - float(np.nanmean(self.numbers))) / spread)

    @cached_property
    def is_trivial(self) -> bool:
        """A scalar, or one number throughout: it equals too much by chance."""
        kept = self.numbers[~np.isnan(self.numbers)]
        return kept.size < 2 or float(np.ptp(kept)) <= 1e-6 * max(float(np.abs(kept).max()), 1e-30)

    def orders(self) -> Iterator[npt.NDArray[np.float64]]:
        """The elements, flat, in every order that permuting axes gives; the given one first."""
        for shaped in self._readings():
            axes = range(shaped.ndim)
            for order in permutations(axes) if shaped.ndim <= MAX_AXES else [tuple(axes)]:
                yield shaped.transpose(order).reshape(-1)

    def _readings(self) -> Iterator[npt.NDArray[np.float64]]:
        yield self.numbers.squeeze()
        if self.numbers.ndim == 4:
            n, c, *rest = self.numbers.shape
            for block in BLOCKS:
                if c % block == 0:
                    yield self.numbers.reshape(n, c // block, *rest, block).squeeze()


def same(a: Values, b: Values, tolerance: float) -> bool:
    """Whether two tensors hold the same numbers, in any order of either one's axes.

    Args:
        a: One tensor.
        b: The other.
        tolerance: Largest difference, as a share of the element and of the root mean square; the root mean square of
            the differences where it is rough.
    """
    size, masked, mean, power = a.moments
    other_size, other_masked, other_mean, other_power = b.moments
    scale = max(power, other_power)
    if (size, masked) != (other_size, other_masked) or abs(power - other_power) > tolerance * scale:
        return False
    if abs(mean - other_mean) > tolerance * scale:
        return False
    flat = (a.numbers.reshape(-1), b.numbers.reshape(-1))
    return any(_close(order, flat[1], scale, tolerance) for order in a.orders()) or any(
        _close(order, flat[0], scale, tolerance) for order in b.orders()
    )


_PROBES = 64


def _close(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], scale: float, tolerance: float) -> bool:
    """Compare a few elements first: a wrong order shows at once."""
    step = max(1, len(a) // _PROBES)
    near = _near_on_average if tolerance > ROUGH else _near_everywhere
    return near(a[::step], b[::step], scale, tolerance) and near(a, b, scale, tolerance)


def _near_everywhere(
    a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], scale: float, tolerance: float
) -> bool:
    return np.allclose(a, b, rtol=tolerance, atol=tolerance * scale, equal_nan=True)


def _near_on_average(
    a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], scale: float, tolerance: float
) -> bool:
    """By the root mean square: what quantization cuts off is far away in a few places."""
    if (np.isnan(a) != np.isnan(b)).any():
        return False
    return bool(np.sqrt(np.nanmean((a - b) ** 2)) <= tolerance * scale)
