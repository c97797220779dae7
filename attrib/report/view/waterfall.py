"""The chart of causes: from the PyTorch step to the ONNX Runtime step, one bar for each cause."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from attrib.model.document import CAUSES, Document
from attrib.model.estimate import Delta, Estimate
from attrib.report.view.verdict import (
    REMAINDERS,
    add_causes,
    difference_unit,
    judgement_of,
    order_causes,
    side_names,
    slower_step,
    unexplained_of,
)
from attrib.units import Unit, format_ends
from attrib.wording import counted

BarKind = Literal["total", "slower", "faster", "remainder"]

_SMALL = 0.01
"""Share of the slower step below which causes are summed in one bar."""

_FAR = 1.0
"""Steps by which an end of an interval, or a running total above the slower step, leaves the axis."""


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One bar, from `start_ns` to `end_ns` on the axis of step time.

    Attributes:
        key: The cause, `small`, `not-explained`, `unsummed`, or the role of a total.
        label: What the reader calls it.
        kind: A step, what costs or saves time in ONNX Runtime, or what is not explained.
        start_ns: From where it is drawn: where the bar before it ended, or 0.
        end_ns: To where.
        value_ns: The delta, or the step.
        low_ns: Lower end of the value's 95 % interval.
        high_ns: Upper end.
        hollow: Not to be relied on: the interval holds 0, or no cause is reliable.
        meaning: What the cause is, in a sentence.
    """

    key: str
    label: str
    kind: BarKind
    start_ns: int
    end_ns: int
    value_ns: int
    low_ns: int
    high_ns: int
    hollow: bool = False
    meaning: str = ""


class Waterfall(msgspec.Struct, frozen=True, kw_only=True):
    """Bars and the axis on which they are drawn; 0 is always on it.

    `stepped` says that every bar starts where the one before it ended; where that would leave the axis, each starts at 0.
    `reliable` is false where no single cause may be believed. `unit` is the one unit of all figures.
    """

    bars: tuple[Bar, ...]
    low_ns: int
    high_ns: int
    stepped: bool
    reliable: bool
    unit: Unit

    def value(self, bar: Bar) -> str:
        """The figure of a bar, signed where it is a difference."""
        return self.unit.number(bar.value_ns, sign=bar.kind != "total")

    def ends(self, bar: Bar) -> str:
        """Its interval, as it is."""
        return format_ends(bar.low_ns, bar.high_ns, self.unit, sign=bar.kind != "total")


def waterfall_of(document: Document) -> Waterfall | None:
    """Bars from the PyTorch step over every cause to the ONNX Runtime step; None without a delta."""
    latency, names = document.latency, side_names(document)
    if latency.delta_ns is None or latency.torch_ns is None or latency.onnxruntime_ns is None:
        return None
    judged, slower = judgement_of(document), slower_step(document)
    reliable = judged.split_reliable and not judged.inconclusive
    bars = [_difference(*row, reliable=reliable) for row in _rows(document, slower)]
    # What the causes miss of the headline: 0, or a bug that the reader must see.
    if missing := latency.delta_ns.median - sum(cause.delta_ns for cause in document.causes):
        label, meaning = (
            "Not in any row (a bug in attrib)",
            "The rows should sum to the headline and do not.",
        )
        whole = Delta(median=missing, low=missing, high=missing)
        bars.append(_difference("unsummed", label, meaning, whole, reliable=False))
    torch = _total("torch", names["torch"], latency.torch_ns)
    ort = _total("onnxruntime", names["onnxruntime"], latency.onnxruntime_ns)
    steps = _as_steps(bars, torch.end_ns)
    stepped = _stay_on_axis(steps, slower)
    shown = (torch, *(steps if stepped else bars), ort)
    ends = [0, *(ns for bar in shown for ns in (bar.start_ns, bar.end_ns))]
    return Waterfall(
        bars=shown,
        low_ns=min(ends),
        high_ns=max(*ends, min(ends) + 1),
        stepped=stepped,
        reliable=reliable,
        unit=difference_unit(document),
    )


def _rows(document: Document, slower: int) -> list[tuple[str, str, str, Delta]]:
    """Key, label, meaning and value of every bar between the totals: causes, the small ones in one, the remainder."""
    causes = [cause for cause in order_causes(document) if cause.cause not in REMAINDERS]
    small = [cause for cause in causes if abs(cause.delta_ns) < _SMALL * slower]
    if len(small) < 2:  # noqa: PLR2004 - one alone is shown by its own name
        small = []
    rows: list[tuple[str, str, str, Delta]] = [
        (c.cause, CAUSES[c.cause].title, CAUSES[c.cause].meaning, add_causes([c]))
        for c in causes
        if c not in small
    ]
    if small:
        names = ", ".join(CAUSES[cause.cause].title for cause in small)
        rows.append(("small", counted(len(small), "smaller cause"), names, add_causes(small)))
    if len(causes) < len(document.causes):
        meaning = " ".join(CAUSES[cause].meaning for cause in REMAINDERS)
        rows.append(("not-explained", "Not explained", meaning, unexplained_of(document)))
    return rows


def _difference(key: str, label: str, meaning: str, value: Delta, *, reliable: bool) -> Bar:
    """A bar from 0."""
    remainder = key in {"not-explained", "unsummed"}
    return Bar(
        key=key,
        label=label,
        kind="remainder" if remainder else "slower" if value.median > 0 else "faster",
        start_ns=0,
        end_ns=value.median,
        value_ns=value.median,
        low_ns=value.low,
        high_ns=value.high,
        hollow=not remainder and (not reliable or value.low <= 0 <= value.high),
        meaning=meaning,
    )


def _total(key: str, label: str, step: Estimate) -> Bar:
    return Bar(
        key=key,
        label=label,
        kind="total",
        start_ns=0,
        end_ns=step.median,
        value_ns=step.median,
        low_ns=step.low,
        high_ns=step.high,
    )


def _as_steps(bars: Sequence[Bar], start: int) -> list[Bar]:
    """The same bars, each from where the one before it ended."""
    placed = []
    for bar in bars:
        placed.append(replace(bar, start_ns=start, end_ns=start + bar.value_ns))
        start += bar.value_ns
    return placed


def _stay_on_axis(steps: Sequence[Bar], slower: int) -> bool:
    """Whether stairs can be drawn: no running total below 0 or far above the steps, no interval longer than a step."""
    return all(
        0 <= bar.end_ns <= (1 + _FAR) * slower and max(abs(bar.low_ns), abs(bar.high_ns)) <= _FAR * slower
        for bar in steps
    )
