"""When two tensors are the same numbers: element by element within a tolerance, whatever their axes are called.

Exporters flatten batches, split heads and transpose; ONNX Runtime packs channels into blocks. None of that changes a
number, so a tensor is compared in every order that its axes allow. Numbers that stand for "masked out" (the lowest of a
type, infinities, NaN) must lie at the same places and are not compared further: next to -3e38 everything looks equal.

What every order of the axes leaves alone (the number of elements, their mean and root mean square) finds the candidates;
a few elements refuse most of them, and all of them, or of a large tensor a drawn million, decide.
"""

import bisect
import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt

from attrib.model.values import ROUGH, Kind

Array = npt.NDArray[Any]

TOLERANCE: dict[str, float] = {"fp32": 1e-3, "fp16": 2e-2, "bf16": 6e-2, "int8": 0.15}
"""By the roughest precision that takes part. Unrelated tensors differ by more than their root mean square."""

APPROXIMATED = {"optimum-o3": 2e-2, "optimum-o4": 2e-2}
"""By rewrite: these replace Gelu by its tanh approximation."""

EXACT = 1e-7
"""Tolerance for two tensors of one engine and one type: what only moved has not changed."""

MASKED = 1e4
"""Magnitude that no activation here reaches; float16's lowest value, -65504, is beyond it."""

BLOCKS = (4, 8, 16)
"""Channels in one block of ONNX Runtime's NCHWc layout."""

_IMAGE = 4
"""Axes of a tensor that may be blocked: batch, channels, height, width."""

MAX_AXES = 6
"""More axes are compared as they lie: their orders are too many."""

PROBES = 64
"""Elements compared before all others."""

MOST_ELEMENTS = 1 << 20
"""Elements compared; of a larger tensor so many are drawn, the same in both."""

MOST_CANDIDATES = 256
"""Tensors that a tensor is compared with: where more have its moments, the numbers tell little, and each costs a look."""

NEAREST = 4.0
"""A class so many times as far away as the nearest one is not the same."""

_LEAST = 1e-9
"""Differences below this are rounding, whatever the nearest one is."""


def tolerance_of(precision: str, rewrites: Sequence[str] = ()) -> float:
    """The tolerance of a capture.

    Args:
        precision: The roughest that takes part, as `--precision` has it.
        rewrites: Names of `--optimize`.
    """
    return max(TOLERANCE[precision], *(APPROXIMATED.get(name, 0.0) for name in ("", *rewrites)))


class Numbers:
    """One tensor, with what speeds its comparison up.

    Attributes:
        array: Its elements.
        is_float: It holds floating-point numbers.
        is_quantized: It holds what a quantization may have made.
    """

    def __init__(self, array: Array) -> None:
        self.array = (
            array.view(array.real.dtype).reshape(*array.shape, 2) if array.dtype.kind == "c" else array
        )
        self.is_float = self.array.dtype.kind == "f"
        self.is_quantized = self.array.dtype in (np.int8, np.uint8)

    @cached_property
    def _kept(self) -> Array:
        """The elements that are not masked, flat."""
        flat = self.array.reshape(-1)
        if not self.is_float:
            return flat
        with np.errstate(invalid="ignore"):
            there = np.abs(flat) < MASKED
        return flat if there.all() else flat[there]

    @cached_property
    def moments(self) -> tuple[int, int, float, float]:
        """Elements, masked ones, and mean and root mean square of the others: equal for every order of the axes."""
        kept = self._kept
        masked = self.array.size - kept.size
        found = (self.array.size, masked, 0.0, 0.0)
        if kept.size:
            wide = kept.astype(np.float64, copy=False)
            found = (
                self.array.size,
                masked,
                float(wide.mean()),
                float(np.sqrt(np.dot(wide, wide) / wide.size)),
            )
        self.is_trivial  # noqa: B018  (it needs what is dropped now)
        del self._kept
        return found

    @cached_property
    def is_trivial(self) -> bool:
        """A scalar, or one number throughout: it equals too much by chance."""
        kept = self._kept
        if kept.size <= 1:
            return True
        low, high = float(kept.min()), float(kept.max())
        return high - low <= 1e-6 * max(abs(low), abs(high), 1e-30)

    @property
    def kind(self) -> Kind:
        """What it can tell."""
        if self.is_trivial:
            return "constant"
        return "numbers" if self.is_float else "integers"

    @cached_property
    def standard(self) -> "Numbers":
        """The numbers without their offset and scale, which quantization chooses."""
        wide = self.array.astype(np.float64)
        if self.is_float:
            with np.errstate(invalid="ignore"):
                wide[~(np.abs(wide) < MASKED)] = np.nan
        spread = float(np.nanstd(wide)) or 1.0
        return Numbers((wide - float(np.nanmean(wide))) / spread)

    def orders(self) -> Iterator[Array]:
        """The tensor in every order that its axes allow; the given one first."""
        for shaped in self._readings():
            axes = range(shaped.ndim)
            for order in permutations(axes) if shaped.ndim <= MAX_AXES else [tuple(axes)]:
                yield shaped.transpose(order)

    def _readings(self) -> Iterator[Array]:
        yield self.array.squeeze()
        if self.array.ndim == _IMAGE:
            n, c, *rest = self.array.shape
            for block in BLOCKS:
                if c % block == 0 and c > block:
                    yield self.array.reshape(n, c // block, *rest, block).squeeze()


def unpadded(array: Array) -> Iterator[Numbers]:
    """What a tensor of blocked channels holds without those that fill up its last block; nothing where there are none."""
    if array.ndim != _IMAGE:
        return
    n, c, *rest = array.shape
    for block in BLOCKS:
        if c % block:
            continue
        channels = np.moveaxis(array.reshape(n, c // block, *rest, block), -1, 2).reshape(n, c, *rest)
        used = np.flatnonzero(channels.any(axis=(0, 2, 3)))
        last = int(used[-1]) + 1 if used.size else 0
        # Channels of the model's own may be zero as well, but no block is empty.
        for count in range(last, c) if c - last < block else ():
            yield Numbers(np.ascontiguousarray(channels[:, :count]))


def same(a: Numbers, b: Numbers, tolerance: float) -> bool:
    """Whether two tensors hold the same numbers, in any order of either one's axes."""
    return distance(a, b, tolerance) is not None


def distance(a: Numbers, b: Numbers, tolerance: float) -> float | None:
    """How far apart two tensors are: root mean square of the differences as a share of that of the numbers.

    Args:
        a: One tensor.
        b: The other; of a quantized one only what it holds up to its scale and zero point is compared.
        tolerance: Largest difference, as a share of the element and of the root mean square; the root mean square of
            the differences where it is rough.

    Returns:
        None where they do not hold the same numbers.
    """
    if a.is_quantized != b.is_quantized:
        a, b = a.standard, b.standard
    if not _alike(a.moments, b.moments, tolerance):
        return None
    scale = max(a.moments[3], b.moments[3])
    for one, other in ((a, b), (b, a)):
        found = _nearest_order(one, other, scale, tolerance)
        if found is not None:
            return found
    return None


def _alike(a: tuple[int, int, float, float], b: tuple[int, int, float, float], tolerance: float) -> bool:
    scale = max(a[3], b[3])
    return a[:2] == b[:2] and abs(a[3] - b[3]) <= tolerance * scale and abs(a[2] - b[2]) <= tolerance * scale


def _nearest_order(a: Numbers, b: Numbers, scale: float, tolerance: float) -> float | None:
    """Compare every order of the axes of `a` with `b` as it lies."""
    flat = b.array.reshape(-1)
    if not flat.size:
        return 0.0
    probes = _places(flat.size, PROBES)
    probed = _wide(flat[probes], b.is_float)
    compared = _places(flat.size, MOST_ELEMENTS)
    for order in map(np.atleast_1d, a.orders()):
        found = _wide(order[np.unravel_index(probes, order.shape)], a.is_float)
        if _difference(found, probed, scale, tolerance) is None:
            continue
        taken = (
            order.reshape(-1)
            if compared.size == flat.size
            else order[np.unravel_index(compared, order.shape)]
        )
        apart = _difference(_wide(taken, a.is_float), _wide(flat[compared], b.is_float), scale, tolerance)
        if apart is not None:
            return apart
    return None


def _places(size: int, most: int) -> npt.NDArray[np.int64]:
    """Which elements are compared: all, or so many drawn ones, the same for every tensor of one size."""
    if size <= most:
        return np.arange(size)
    return np.random.default_rng(size).integers(0, size, most)


def _wide(values: Array, floats: bool) -> npt.NDArray[np.float64]:
    """Elements as double, masked ones as NaN."""
    wide = np.asarray(values).astype(np.float64)
    if floats:
        with np.errstate(invalid="ignore"):
            wide[~(np.abs(wide) < MASKED)] = np.nan
    return wide


def _difference(
    a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], scale: float, tolerance: float
) -> float | None:
    """Root mean square of the differences by `scale`; None where one is beyond the tolerance, or masked on one side.

    Where the tolerance is rough the root mean square alone decides: what quantization cuts off is far away in a few places.
    """
    nowhere = np.isnan(a)
    if (nowhere != np.isnan(b)).any():
        return None
    apart = np.abs(a - b)
    if nowhere.any():
        apart, b = apart[~nowhere], b[~nowhere]
    if not apart.size:
        return 0.0
    typical = float(np.sqrt(np.dot(apart, apart) / apart.size)) / (scale or 1.0)
    far = typical > tolerance if tolerance > ROUGH else bool((apart > tolerance * (scale + np.abs(b))).any())
    return None if far else typical


class SameNumbers:
    """Finds among many tensors those that hold the numbers of another one.

    Tensors with equal numbers are one class.

    Attributes:
        kinds: What each class can tell.
        classes: The class of each tensor that was added, in that order.
    """

    def __init__(self) -> None:
        self.kinds: list[Kind] = []
        self.classes: list[int] = []
        self._members: list[Numbers] = []
        # By elements and masked ones, sorted by root mean square: (root mean square, class).
        self._sorted: dict[tuple[int, int], list[tuple[float, int]]] = defaultdict(list)
        self._of_size: dict[int, list[int]] = defaultdict(list)

    def add(self, tensor: Numbers) -> int:
        """Add a tensor; its class, a new one where no other holds exactly its numbers."""
        found = next(
            (
                number
                for number in self._candidates(tensor, EXACT)
                if self._members[number].array.dtype == tensor.array.dtype
                and same(tensor, self._members[number], EXACT)
            ),
            None,
        )
        if found is None:
            found = len(self._members)
            self._members.append(tensor)
            self.kinds.append(tensor.kind)
            size, masked, _, power = tensor.moments
            bisect.insort(self._sorted[size, masked], (power, found))
            self._of_size[size].append(found)
        self.classes.append(found)
        return found

    def near(self, tolerance: float) -> Iterator[tuple[int, int]]:
        """Pairs of classes that are within a tolerance of each other."""
        for number, tensor in enumerate(self._members):
            if self.kinds[number] == "constant":
                continue
            for other in self._candidates(tensor, tolerance):
                if other < number and same(tensor, self._members[other], tolerance):
                    yield other, number

    def nearest(self, tensor: Numbers, tolerance: float) -> tuple[int, ...]:
        """The classes that hold a tensor's numbers within the tolerance, the nearest first, none far beyond it."""
        near = []
        for number in self._candidates(tensor, tolerance):
            apart = distance(tensor, self._members[number], tolerance)
            if apart is not None:
                near.append((apart, number))
        near.sort()
        return tuple(number for apart, number in near if apart <= max(NEAREST * near[0][0], _LEAST))

    def _candidates(self, tensor: Numbers, tolerance: float) -> Iterator[int]:
        """Classes that moments do not tell apart from a tensor, the nearest root mean square first."""
        size, masked, _, power = tensor.moments
        if tensor.is_quantized:
            yield from self._of_size.get(size, ())
            return
        its = self._sorted.get((size, masked), [])
        # The scale of the comparison is the larger of both, hence the slightly wider window.
        low, high = power * (1 - tolerance), power / max(1 - tolerance, EXACT)
        within = its[
            bisect.bisect_left(its, (low, -1)) : bisect.bisect_right(its, (high, len(self._members)))
        ]
        for _, number in heapq.nsmallest(MOST_CANDIDATES, within, key=lambda entry: abs(entry[0] - power)):
            yield number
        if tolerance > ROUGH:
            yield from (n for n in self._of_size.get(size, ()) if self._members[n].is_quantized)
