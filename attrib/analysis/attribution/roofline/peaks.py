"""What the machine can do, from what either engine's worker reached on it. Reports read this: it imports no numpy."""

from collections.abc import Mapping, Sequence

from attrib.model.manifest import ROLES, Role, Side
from attrib.model.roofline import Peaks, Rate, Stream


def machine_limits(sides: Mapping[Role, Side]) -> dict[Role, Peaks]:
    """What the machine can do, for either side: the better of what both engines reached with the same arithmetic.

    Returns:
        Nothing for a side where neither engine measured.
    """
    measured = {role: side.peaks for role, side in sides.items() if side.peaks is not None}
    found: dict[Role, Peaks] = {}
    for role in ROLES:
        own = measured.get(role) or next(iter(measured.values()), None)
        if own is not None:
            alike = {r: p for r, p in measured.items() if p.device == own.device}
            found[role] = _combine(own, alike)
    return found


def _combine(own: Peaks, measured: Mapping[Role, Peaks]) -> Peaks:
    dtypes = sorted({dtype for peaks in measured.values() for dtype in peaks.products})
    products = {}
    for dtype in dtypes:
        math = own.products[dtype].math if dtype in own.products else None
        rates = [
            (role, p.products[dtype])
            for role, p in measured.items()
            if dtype in p.products and math in (None, p.products[dtype].math)
        ]
        products[dtype] = _fastest(rates)
    sizes = sorted({stream.bytes for peaks in measured.values() for stream in peaks.streams})
    streams = tuple(
        Stream(bytes=size, rate=_fastest([(r, s.rate) for r, p in measured.items() for s in p.streams if s.bytes == size]))
        for size in sizes
    )  # fmt: skip
    return Peaks(
        device=own.device,
        threads=max(peaks.threads for peaks in measured.values()),
        products=products,
        streams=streams,
        floor_ns=own.floor_ns,
        fault_ns=own.fault_ns,
    )


def _fastest(rates: Sequence[tuple[Role, Rate]]) -> Rate:
    role, rate = max(rates, key=lambda item: item[1].per_s)
    return Rate(
        per_s=rate.per_s, typical_per_s=rate.typical_per_s, samples=rate.samples, math=rate.math, engine=role
    )
