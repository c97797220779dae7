"""What the samples come to: medians, ratios of the same round, and the rows of shared/design.md's section 9."""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

import msgspec
from peers import ATTRIB, GC_OFF, HTA, JSON, LOADER, SIMDJSON
from recordings import Trace
from traces_measure import Sample, Samples

LARGE = 300 * 10**6
"""Bytes from which a file counts as large."""

FIXED_PEAK = 60 * 10**6
"""Memory that the interpreter and the libraries may take, whatever the file."""

GZIP_PEAK = 1.1
"""Memory for a gzip file counts as unchanged up to this ratio: the allocator is not exact."""


Clock = Literal["seconds", "processor"]


class Measured(msgspec.Struct, frozen=True):
    """One file and all its samples."""

    trace: Trace
    samples: Samples


class Ratio(NamedTuple):
    """A median over rounds, and the smallest and largest of them."""

    middle: float
    low: float
    high: float


def kept(samples: Iterable[Sample | None]) -> list[Sample]:
    """The samples that hold a time."""
    return [sample for sample in samples if sample is not None and not sample.error]


def seconds(measured: Measured, label: str) -> float:
    """Median wall time of a reader; NaN where it never ended."""
    return _median(sample.seconds for sample in kept(measured.samples.get(label, [])))


def peak(measured: Measured, label: str) -> float:
    """Median peak memory of a reader, bytes."""
    return _median(sample.peak for sample in kept(measured.samples.get(label, [])))


def _median(values: Iterable[float]) -> float:
    held = list(values)
    return statistics.median(held) if held else math.nan


def ratio(measured: Measured, above: str, below: str, of: Clock = "seconds") -> Ratio | None:
    """Time of one reader divided by that of another, within each round that has both."""
    pairs = zip(measured.samples.get(above, []), measured.samples.get(below, []), strict=False)
    values = [getattr(a, of) / getattr(b, of) for a, b in pairs if a and b and not a.error and not b.error]
    return Ratio(statistics.median(values), min(values), max(values)) if values else None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One figure beside what must and what should be reached.

    `processor` is the same ratio in processor time, which a busy machine does not stretch; it is shown, not judged.
    """

    work: str
    beside: str
    file: str
    value: float
    shown: str
    must: float
    aim: float | None
    at_least: bool
    unit: str = "x"
    processor: float | None = None

    @property
    def reached(self) -> str:
        """`aim`, `must` or `NO`; a row without an aim says `yes` or `NO`."""
        for name, bound in (("aim", self.aim), ("must" if self.aim is not None else "yes", self.must)):
            if bound is not None and (self.value >= bound if self.at_least else self.value <= bound):
                return name
        return "NO"


def _large(measured: Measured) -> bool:
    return not measured.trace.public and measured.trace.size >= LARGE


def _large_kineto(measured: Measured) -> bool:
    return _large(measured) and measured.trace.kind == "kineto"


def _public(measured: Measured) -> bool:
    return measured.trace.public


def _kineto(measured: Measured) -> bool:
    """The large recorded ones and the public ones: what section 9 calls any of these."""
    return _large_kineto(measured) or _public(measured)


def _large_ort(measured: Measured) -> bool:
    return _large(measured) and measured.trace.kind == "ort"


class Rule(NamedTuple):
    """Attrib must be so many times as fast as a reader (or, for the floor, at most so many times as slow)."""

    work: str
    chosen: Callable[[Measured], bool]
    beside: str
    must: float
    aim: float


RULES = (
    Rule("Kineto trace >= 300 MB", _large_kineto, JSON, 3, 5),
    Rule("public GPU trace", _public, JSON, 1.5, 3),
    Rule("public GPU trace", _public, GC_OFF, 1.2, 2.4),
    Rule("any of these", _kineto, HTA, 5, 10),
    Rule("any of these", _kineto, SIMDJSON, 10, 5),
    Rule("ORT profile >= 300 MB", _large_ort, JSON, 3, 5),
    Rule("ORT profile >= 300 MB", _large_ort, LOADER, 3, 5),
)


def verdicts(all_measured: list[Measured]) -> list[Verdict]:
    """Every row of section 9 that these files can tell about."""
    rows = [row for rule in RULES for measured in all_measured for row in _beside(rule, measured)]
    for measured in all_measured:
        rows += _memory(measured)
    rows += _growth([m for m in all_measured if m.trace.kind == "kineto" and not m.trace.public])
    rows += _growth([m for m in all_measured if m.trace.kind == "ort"])
    for measured in all_measured:
        rows += _gzip(measured)
    return rows


def _beside(rule: Rule, measured: Measured) -> Iterator[Verdict]:
    floor = rule.beside == SIMDJSON
    above, below = (ATTRIB, rule.beside) if floor else (rule.beside, ATTRIB)
    found = ratio(measured, above, below) if rule.chosen(measured) else None
    if found is not None:
        yield Verdict(work=rule.work, beside=rule.beside, file=measured.trace.name, value=found.middle, must=rule.must,
                      aim=rule.aim, at_least=not floor, shown=spread(found),
                      processor=_processor(measured, above, below))  # fmt: skip


def _processor(measured: Measured, above: str, below: str) -> float | None:
    found = ratio(measured, above, below, "processor")
    return found.middle if found else None


def spread(found: Ratio) -> str:
    """A ratio with its smallest and largest round."""
    return f"{found.middle:.2f}x ({found.low:.2f} to {found.high:.2f})"


def _memory(measured: Measured) -> Iterator[Verdict]:
    """Peak memory beyond what any process needs, as a share of the file."""
    value = (peak(measured, ATTRIB) - FIXED_PEAK) / measured.trace.size
    if _large(measured) and not math.isnan(value):
        shown = f"{peak(measured, ATTRIB) / 1e6:.0f} MB = 60 MB + {value:.2f}x"
        yield Verdict(work="peak memory, file >= 300 MB", beside="file size", file=measured.trace.name, value=value,
                      must=0.7, aim=0.4, at_least=False, shown=shown, unit="x + 60 MB")  # fmt: skip


def _growth(measured: list[Measured]) -> Iterator[Verdict]:
    """Time per byte of each larger file, beside that of the smallest."""
    known = [m for m in sorted(measured, key=lambda m: m.trace.size) if not math.isnan(seconds(m, ATTRIB))]
    for larger in known[1:]:
        value = per_megabyte(larger) / per_megabyte(known[0])
        if larger.trace.size >= 2 * known[0].trace.size:
            yield Verdict(work="time per MB", beside=known[0].trace.name, file=larger.trace.name, value=value, must=1.15,
                          aim=None, at_least=False, shown=f"{value:.2f}x")  # fmt: skip


def per_megabyte(measured: Measured) -> float:
    """Seconds that attrib takes for a megabyte."""
    return seconds(measured, ATTRIB) / (measured.trace.size / 1e6)


def _gzip(measured: Measured) -> Iterator[Verdict]:
    packed = f"{ATTRIB}, gzip"
    found = ratio(measured, packed, ATTRIB)
    if found is None:
        return
    yield Verdict(work="gzip input, time", beside="the plain file", file=measured.trace.name, value=found.middle,
                  must=1.5, aim=1.3, at_least=False, shown=spread(found),
                  processor=_processor(measured, packed, ATTRIB))  # fmt: skip
    memory = peak(measured, packed) / peak(measured, ATTRIB)
    yield Verdict(work="gzip input, peak memory", beside="the plain file", file=measured.trace.name, value=memory,
                  must=GZIP_PEAK, aim=None, at_least=False, shown=f"{memory:.2f}x")  # fmt: skip
