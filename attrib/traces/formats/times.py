"""Microseconds as files spell them to integer nanoseconds, exactly.

Kineto writes microseconds with three decimals (`1419247332972.313`) or, in older versions, integers since the
epoch; ORT writes integers. A float64 cannot hold every such number, so the fast path proves that it can
before it is used.
"""

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]

LIMIT_NS = 1 << 61
"""Times beyond ±73 years are not times; within, the sum of two still fits in 64 bits."""

UNUSABLE = np.iinfo(np.int64).min
"""Stands for a time that is missing, not a number or out of range."""

_HALF = 0.5
_DIGITS = 17  # 1.7e15 µs since the epoch has 16
_DECIMALS = 3


def nanoseconds_from_floats(microseconds: Iterable[float], count: int = -1) -> Int64s | None:
    """Nanoseconds, or None where float64 may have lost one (or a value is not finite).

    A decimal with three places that was read as the nearest float64 is off by at most half a unit in the last
    place. While a thousand times that stays below one half (2**43 µs, 101 days), rounding finds the decimal
    again.
    """
    values = np.fromiter(microseconds, np.float64, count)
    if not values.size:
        return np.empty(0, np.int64)
    largest = np.abs(values).max()
    error = 500 * np.spacing(largest) if np.isfinite(largest) else np.inf
    if error >= _HALF:
        return None
    whole = np.floor(values)
    thousandths = (values - whole) * 1000
    rounded = np.rint(thousandths)
    if np.abs(thousandths - rounded).max() > error + 1e-9:
        return None
    return whole.astype(np.int64) * 1000 + rounded.astype(np.int64)


def nanoseconds_from_texts(microseconds: Iterable[bytes]) -> Int64s:
    """Nanoseconds from the numbers' own text; `UNUSABLE` where that is no time."""
    return np.fromiter(map(nanoseconds_from_text, microseconds), np.int64)


def nanoseconds_from_text(text: bytes) -> int:
    """Nanoseconds from one JSON number or a string that holds one.

    Digits beyond the third decimal are rounded half to even.
    """
    whole, dot, decimals = text.partition(b".")
    if whole.isdigit() and len(whole) < _DIGITS:
        if not dot:
            return _time_or_unusable(int(whole) * 1000)
        if decimals.isdigit() and len(decimals) <= _DECIMALS:
            return _time_or_unusable(int(whole) * 1000 + int(decimals.ljust(_DECIMALS, b"0")))
    try:
        number = Decimal(text.decode("ascii").strip('" \t\r\n'))
    except (InvalidOperation, UnicodeDecodeError):
        return UNUSABLE
    if not number.is_finite() or number.adjusted() > _DIGITS:
        return UNUSABLE
    if number.adjusted() < -_DIGITS:
        return 0
    return _time_or_unusable(int(number.scaleb(_DECIMALS).to_integral_value()))


def _time_or_unusable(nanoseconds: int) -> int:
    return nanoseconds if abs(nanoseconds) < LIMIT_NS else UNUSABLE
