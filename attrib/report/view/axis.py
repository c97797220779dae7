"""Round values on an axis, shared by the charts."""

import math

_TICKS = 5


def axis_ticks(low: int, high: int) -> tuple[int, ...]:
    """Round values on a linear axis: steps of 1, 2 or 5 times a power of ten."""
    rough = max((high - low) / _TICKS, 1)
    power = 10 ** math.floor(math.log10(rough))
    step = int(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough))
    first = -(-low // step) * step
    return tuple(range(first, high + 1, step))


def log_ticks(low: int, high: int) -> tuple[int, ...]:
    """Powers of ten on a logarithmic axis, and their double and fivefold where there are few."""
    powers = [10**n for n in range(len(str(max(high, 1))))]
    whole = tuple(power for power in powers if low <= power <= high)
    if len(whole) > 1:
        return whole
    return tuple(factor * power for power in powers for factor in (1, 2, 5) if low <= factor * power <= high)
