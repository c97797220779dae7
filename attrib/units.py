"""Durations in integer nanoseconds: the one formatter for readers, and the rounding that keeps sums exact."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_SCALES = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"), (1, "ns"))
_MOST_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit and a number of decimals, chosen once for figures that are read together.

    Attributes:
        size: Nanoseconds in one unit.
        symbol: `s`, `ms`, `µs` or `ns`.
        digits: Decimals shown.
    """

    size: int
    symbol: str
    digits: int

    def number(self, ns: float, *, sign: bool = False) -> str:
        """The bare number; with `sign`, a plus too. A value that rounds to zero has no sign."""
        return _signed(ns / self.size, self.digits, sign=sign)

    def text(self, ns: float, *, sign: bool = False) -> str:
        """The number with its unit, e.g. `12.3 ms`."""
        return f"{self.number(ns, sign=sign)} {self.symbol}"


MILLISECONDS, MICROSECONDS = Unit(1_000_000, "ms", 3), Unit(1_000, "µs", 1)
"""The units of tables: down to one microsecond, which is what ONNX Runtime's profile resolves."""


def scale_of(ns: float) -> tuple[int, str]:
    """The largest unit in which the magnitude of `ns` is at least one: its size in ns, and its symbol."""
    return next((row for row in _SCALES if abs(ns) >= row[0]), _SCALES[-1])


def unit_for(largest: float, *, noise: float = 0) -> Unit:
    """The unit in which `largest` is easy to read, with decimals down to the second digit of `noise`.

    Without noise the figure gets three significant digits: more would claim what was not measured.
    """
    size, symbol = scale_of(largest)
    digits = _decimals(noise / size, 2) if noise > 0 else _decimals(largest / size, 3)
    return Unit(size, symbol, 0 if size == 1 else digits)


def _decimals(magnitude: float, significant: int) -> int:
    """Decimals that show the magnitude to this many significant digits, from 0 to 3."""
    if not magnitude or not math.isfinite(magnitude):
        return 0
    exponent = int(f"{magnitude:.{significant - 1}e}".partition("e")[2])
    return min(max(significant - 1 - exponent, 0), _MOST_DIGITS)


def _signed(value: float, digits: int, *, sign: bool) -> str:
    """A number with thousands separators and a real minus sign."""
    text = f"{abs(value):,.{digits}f}"
    if not float(text.replace(",", "")):
        return text
    return ("−" if value < 0 else "+" if sign else "") + text


def _number(value: float, *, sign: bool) -> str:
    """Three significant digits, none after the point where the value is whole."""
    return _signed(value, 0 if float(value).is_integer() else _decimals(value, 3), sign=sign)


def format_ns(ns: float, *, sign: bool = False) -> str:
    """A duration for a reader, e.g. `12.3 ms`; with `sign`, `+12.3 ms` or `−12.3 ms`."""
    size, symbol = scale_of(ns)
    return f"{_number(ns / size, sign=sign)} {symbol}"


def format_interval(
    ns: float, low: float, high: float, *, sign: bool = True, scale: Unit | None = None
) -> str:
    """A duration with its interval in one unit: `−12.3 ± 0.4 ms`, or `−82.7 ms (−90.7 to −79.5)`.

    `±` stands only where it is true: where both ends are equally far within rounding. An interval that excludes 0 gets the
    decimals that show it.

    Args:
        ns: The duration.
        low: Lower end of its interval.
        high: Upper end.
        sign: Write a plus too.
        scale: Use its unit, for figures that stand in one column; the decimals still follow the interval.
    """
    near, far = sorted((abs(high - ns), abs(ns - low)))
    # The nearer end decides the decimals, unless it is so near that the farther one would get too many.
    noise = max(near, far / 10)
    unit = unit_for(max(abs(ns), far), noise=noise)
    if scale is not None:
        digits = _decimals(noise / scale.size, 2) if noise else scale.digits
        unit = Unit(scale.size, scale.symbol, digits)
    while _seems_to_hold_zero(ns, low, high, unit) and unit.digits < _MOST_DIGITS and unit.size > 1:
        unit = Unit(unit.size, unit.symbol, unit.digits + 1)
    hidden = _seems_to_hold_zero(ns, low, high, unit) and _nearest_end(low, high, unit)
    if _symmetric(ns, low, high, unit) and not hidden:
        return f"{unit.number(ns, sign=sign)} ± {unit.number(_half(ns, low, high))} {unit.symbol}"
    return f"{unit.text(ns, sign=sign)} ({format_ends(low, high, unit, sign=sign)})"


def _half(ns: float, low: float, high: float) -> float:
    return max(high - ns, ns - low, 0)


def _nearest_end(low: float, high: float, unit: Unit) -> float:
    """How far from 0 the nearer end is shown, in the unit."""
    return round(min(abs(low), abs(high)) / unit.size, unit.digits)


def _seems_to_hold_zero(ns: float, low: float, high: float, unit: Unit) -> bool:
    """Whether an interval that excludes 0 would be shown in this unit as one that holds it."""
    if low <= 0 <= high or not low <= ns <= high:
        return False
    if not _symmetric(ns, low, high, unit):
        return not _nearest_end(low, high, unit)
    ends = abs(ns), _half(ns, low, high)
    value, half = (round(end / unit.size, unit.digits) for end in ends)
    return value <= half


def format_ends(low: float, high: float, unit: Unit, *, sign: bool = True) -> str:
    """The ends of an interval as they are, e.g. `−90.7 to −79.5`."""
    return f"{unit.number(low, sign=sign)} to {unit.number(high, sign=sign)}"


def _symmetric(ns: float, low: float, high: float, unit: Unit) -> bool:
    """Whether both ends are equally far from the value: to one unit of the last decimal shown."""
    below, above = ns - low, high - ns
    return min(below, above) >= 0 and abs(above - below) <= unit.size / 10**unit.digits


def format_percent(share: float, *, sign: bool = False) -> str:
    """A share as a percentage, e.g. `12.3 %`."""
    return f"{_number(share * 100, sign=sign)} %"


def whole_percent(share: float) -> str:
    """A share that is known to no more than a percent, e.g. `71 %`."""
    percent = f"{100 * share:.0f} %"
    return "under 1 %" if share > 0 and percent == "0 %" else percent


def format_ratio(ratio: float) -> str:
    """A factor, e.g. `1.83×`; near one it gets the digits that tell it from one."""
    digits = max(_decimals(ratio - 1, 1), 2) if ratio - 1 < 1 else _decimals(ratio, 3)
    return f"{_signed(ratio, digits, sign=False)}×"


def format_ratios(value: float, low: float, high: float) -> tuple[str, str, str]:
    """A factor and the ends of its interval, e.g. `1.37×`, `1.30`, `1.44`: with decimals down to the noise.

    They get the decimals that tell the ends from 1 too: an interval that excludes 1 is not shown as holding it.
    """
    digits = _decimals(max(high - value, value - low), 1)
    while digits < _MOST_DIGITS and any(end != 1 and round(end, digits) == 1 for end in (low, high)):
        digits += 1
    value_text, low_text, high_text = (_signed(ratio, digits, sign=False) for ratio in (value, low, high))
    return f"{value_text}×", low_text, high_text


def round_to_sum(values: Sequence[float], total: int) -> list[int]:
    """Round to integers whose sum is exactly `total`, by the largest-remainder method (Hamilton's).

    Args:
        values: What to round; its sum must be within `len(values)` of `total`.
        total: The sum to reach.

    Raises:
        ValueError: The values are too far from the total for rounding alone to reach it.
    """
    floors = [int(value // 1) for value in values]
    missing = total - sum(floors)
    if not 0 <= missing <= len(floors):
        raise ValueError(f"rounding {len(floors)} values cannot bridge {missing} to reach {total}")
    largest = sorted(range(len(floors)), key=lambda i: (floors[i] - values[i], i))[:missing]
    for i in largest:
        floors[i] += 1
    return floors
