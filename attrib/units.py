"""Integer nanoseconds: the one formatter, and the rounding that keeps sums exact."""

from collections.abc import Sequence

_SCALES = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"), (1, "ns"))


def scale_of(ns: float) -> tuple[int, str]:
    """The largest unit in which the magnitude of `ns` is at least one: its size in ns, and its symbol."""
    return next((row for row in _SCALES if abs(ns) >= row[0]), _SCALES[-1])


def _number(value: float, *, sign: bool) -> str:
    magnitude = abs(value)
    digits = 0 if magnitude >= 100 or magnitude == int(magnitude) else 1 if magnitude >= 10 else 2
    text = f"{magnitude:,.{digits}f}"
    if not float(text.replace(",", "")):
        return text
    prefix = "−" if value < 0 else "+" if sign else ""
    return prefix + text


def format_ns(ns: float, *, sign: bool = False) -> str:
    """A duration for a reader, e.g. `12.3 ms`; with `sign`, `+12.3 ms` or `−12.3 ms`."""
    size, symbol = scale_of(ns)
    return f"{_number(ns / size, sign=sign)} {symbol}"


def format_interval(ns: float, low: float, high: float) -> str:
    """A signed duration with its half-width, e.g. `−12.3 ± 0.4 ms`: one unit, the wider side of the interval."""
    size, symbol = scale_of(max(abs(ns), (high - low) / 2, key=abs))
    half = max(high - ns, ns - low, 0)
    return f"{_number(ns / size, sign=True)} ± {_number(half / size, sign=False)} {symbol}"


def format_percent(share: float, *, sign: bool = False) -> str:
    """A share as a percentage, e.g. `12.3 %`."""
    return f"{_number(share * 100, sign=sign)} %"


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
