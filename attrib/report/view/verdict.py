"""The headline in words, and what the reader must know before any attribution."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from attrib.model.document import CAUSES, Cause, CauseRow, Document, Judgement
from attrib.model.estimate import Delta, Ratio
from attrib.model.manifest import ROLES, Role, engine_titles
from attrib.units import Unit, format_ends, format_interval, format_ratio, format_ratios, unit_for
from attrib.wording import enumerated

Tone = Literal["faster", "slower", "same", "none"]
Level = Literal["error", "warning", "note"]

_NAMED_CAUSES = 3
_MOST_CONDITIONS = 2
"""Failed conditions that the sentence names; of more it names the first and counts the others."""

_MOST_UNEXPLAINED = 0.25
"""Share of the slower step that the remainders may reach, with their interval, before no cause is believed."""

_LAUNCHES_NEEDED = 2
_ONE_LAUNCH = "each engine was started once: another start may differ by more than these intervals say"
_BUSY = "this machine was busy"
_PROVIDER_CHECK = "Requested provider used"
_BUSY_CHECKS = ("Quiet machine", "Machine not loaded")
"""Conditions that the sentence says already where the device was another one, or the machine was busy."""

WRONG_DEVICE = "provider-not-used"
"""The finding that the requested execution provider was not used: then every figure is of another device."""

REMAINDERS: tuple[Cause, ...] = ("profiler_overhead", "unattributed")
"""Causes that explain nothing: what the profiler cost, and what was not matched. They are always shown, as the last."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The first lines of every rendering.

    Attributes:
        tone: Whether ONNX Runtime is faster, slower, neither, or cannot be compared.
        sentence: The claim with its interval and what speaks against it, e.g. `ONNX Runtime is 1.37× faster than PyTorch
            (1.30 to 1.44), but the outputs differ`.
        figures: What it rests on, e.g. `134.9 ms against 185.1 ms a step; difference −50.2 ± 1.8 ms, 95 % interval`.
        why: The causes that stand out of the noise, and what is not explained.
        remark: What the intervals cannot know, what was disturbed, and what became of it, in quiet sentences.
        significant: Whether there is a difference.
        split_reliable: Whether single causes may be believed.
        busy: Whether the machine was busy.
        reasons: Why the sentence says less than it might.
    """

    tone: Tone
    sentence: str
    figures: str = ""
    why: str = ""
    remark: str = ""
    significant: bool = False
    split_reliable: bool = True
    busy: bool = False
    reasons: tuple[str, ...] = ()


class AlertLine(msgspec.Struct, frozen=True):
    """One case of an alert: what was seen, how that may distort the result, and how to record again without it."""

    text: str
    effect: str = ""
    fix: str = ""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that bears on whether the figures can be compared: a title and one line for each case."""

    level: Level
    title: str
    lines: tuple[AlertLine, ...]


def side_names(document: Document) -> dict[Role, str]:
    """What the two sides are called; in an A/A capture, which ran one engine twice, they are told apart by letter."""
    return engine_titles({role: side.engine for role, side in document.sides.items()})


def judgement_of(document: Document) -> Judgement:
    """The document's judgement; one that an older attrib wrote has none, and its intervals are judged here."""
    if document.judgement != Judgement() or document.latency.delta_ns is None:
        return document.judgement
    reliable = most_unexplained(document) <= _MOST_UNEXPLAINED * slower_step(document)
    sure = [c for c in order_causes(document) if c.cause not in REMAINDERS and not holds_zero(c)]
    return Judgement(
        significant=document.latency.significant,
        split_reliable=reliable,
        named=tuple(c.cause for c in sure) if reliable else (),
    )


def holds_zero(cause: CauseRow) -> bool:
    """Whether nothing is known of a cause but noise."""
    return cause.low_ns <= 0 <= cause.high_ns


def slower_step(document: Document) -> int:
    """The longer of the two plain steps, in nanoseconds; 0 without any."""
    steps = (document.latency.torch_ns, document.latency.onnxruntime_ns)
    return max((step.median for step in steps if step is not None), default=0)


def order_causes(document: Document) -> tuple[CauseRow, ...]:
    """Causes by size of their delta; what the profiler took and what stays unexplained come last."""
    last = {cause: place for place, cause in enumerate(REMAINDERS, start=1)}
    return tuple(sorted(document.causes, key=lambda c: (last.get(c.cause, 0), -abs(c.delta_ns), c.cause)))


def add_causes(causes: Iterable[CauseRow]) -> Delta:
    """Causes together. The ends of their intervals are added: no less than 95 % lies between them."""
    parts = [*causes]
    return Delta(
        median=sum(part.delta_ns for part in parts),
        low=sum(part.low_ns for part in parts),
        high=sum(part.high_ns for part in parts),
    )


def unexplained_of(document: Document) -> Delta:
    """Both remainders together."""
    return add_causes(cause for cause in document.causes if cause.cause in REMAINDERS)


def most_unexplained(document: Document) -> int:
    """The farthest that either remainder, or both, may be from 0, in the difference or on a side, in nanoseconds."""
    parts = [cause for cause in document.causes if cause.cause in REMAINDERS]
    rest = unexplained_of(document)
    ends = [rest.low, rest.high, *(ns for c in parts for ns in (c.low_ns, c.high_ns))]
    sides = [sum(c.torch_ns for c in parts), sum(c.onnxruntime_ns for c in parts)]
    return max(map(abs, (*ends, *sides)))


def difference_unit(document: Document) -> Unit:
    """The unit of what is said of the difference: three or four digits of the step, and no more than the noise allows."""
    delta, slower = document.latency.delta_ns, slower_step(document)
    half = max(delta.high - delta.median, delta.median - delta.low) if delta else 0
    return unit_for(slower, noise=max(slower / 30, half))


def verdict_of(document: Document) -> Verdict:
    """Put the measurement into words: no more than it supports."""
    names, latency, judged = side_names(document), document.latency, judgement_of(document)
    torch, ort, delta = latency.torch_ns, latency.onnxruntime_ns, latency.delta_ns
    if torch is None or ort is None or delta is None:
        return verdict_without_delta(document)
    conditions = failed_conditions(document, busy=judged.busy)
    half = max(delta.high - delta.median, delta.median - delta.low, 0)
    unit = unit_for(max(torch.median, ort.median), noise=half)
    figures = f"{unit.text(ort.median)} against {unit.text(torch.median)} a step"
    if judged.inconclusive:
        figures += " while other programs ran: no interval of it can be believed"
    else:
        difference = format_interval(delta.median, delta.low, delta.high, scale=unit)
        figures += f"; difference {difference}, 95 % interval"
    if (
        not judged.significant
        and not judged.inconclusive
        and not judged.busy
        and (may := may_be(judged, latency.ratio))
    ):
        figures += f": {names['onnxruntime']} is {may}"
    known = judged.significant and not judged.busy and not judged.inconclusive
    why = describe_causes(document, judged, sure=known and not conditions)
    once = (_ONE_LAUNCH,) if latency.launches < _LAUNCHES_NEEDED else ()
    direction: Tone = "faster" if delta.median < 0 else "slower"
    return Verdict(
        tone=direction if known else "none" if judged.inconclusive else "same",
        sentence=sentence_of(document, names, judged, conditions),
        figures=figures,
        why=why,
        remark=_sentences((*once, *_not_yet_said(document, judged, why))),
        significant=judged.significant,
        split_reliable=judged.split_reliable and not judged.inconclusive,
        busy=judged.busy or judged.inconclusive,
        reasons=(*conditions, *judged.reasons),
    )


def sentence_of(
    document: Document, names: dict[Role, str], judged: Judgement, conditions: tuple[str, ...]
) -> str:
    """The claim, as far as it goes, and what speaks against it.

    Args:
        document: What was measured.
        names: What the sides are called.
        judged: How far it carries.
        conditions: Conditions of a fair comparison that failed, as clauses.
    """
    ort, torch, ratio = names["onnxruntime"], names["torch"], document.latency.ratio
    word = "faster" if document.latency.delta_ns and document.latency.delta_ns.median < 0 else "slower"
    told = conditions if len(conditions) <= _MOST_CONDITIONS else conditions[:1]
    if hidden := len(conditions) - len(told):
        told = (*told, f"{hidden} more conditions of a fair comparison do not hold")
    against = enumerated((*told, *([_BUSY] if judged.busy or judged.inconclusive else ())))
    if judged.inconclusive:
        return f"Inconclusive: {against}"
    if not judged.significant:
        claim = f"No significant difference between {ort} and {torch}"
    elif judged.busy:
        claim = f"{ort} looks {word}"
    else:
        claim = f"{ort} is {_factor(document, word)} than {torch}{_factor_ends(ratio, word)}"
    but = f", but {against}" if against else ""
    may = may_be(judged, ratio) if judged.busy else ""
    return f"{claim}{but}{f': {may}' if may else ''}"


def _factor(document: Document, word: str) -> str:
    """`1.37× faster`; of a report without a ratio the quotient of its steps; `faster` where one took no time."""
    if (ratio := document.latency.ratio) is not None:
        return f"{format_ratios(*turned(ratio, word))[0]} {word}"
    torch, ort = document.latency.torch_ns, document.latency.onnxruntime_ns
    small, large = sorted((torch.median, ort.median)) if torch and ort else (0, 0)
    return f"{format_ratio(large / small)} {word}" if small > 0 else word


def _factor_ends(ratio: Ratio | None, word: str) -> str:
    if ratio is None:
        return ""
    _, low, high = format_ratios(*turned(ratio, word))
    return f" ({low} to {high})"


def turned(ratio: Ratio, word: str) -> tuple[float, float, float]:
    """Value and ends of a ratio as the factor by which ONNX Runtime is `faster`; the inverse where it is `slower`."""
    if word == "faster" or min(ratio.value, ratio.low, ratio.high) <= 0:
        return ratio.value, ratio.low, ratio.high
    return 1 / ratio.value, 1 / ratio.high, 1 / ratio.low


def may_be(judged: Judgement, ratio: Ratio | None) -> str:
    """What the interval of a ratio leaves possible: `between 1.1× and 1.9×`, or `between 1.2× slower and 1.4× faster`.

    It is empty where it would contradict the judgement: where the ratio seems known and the difference is not.
    """
    if ratio is None or ratio.low <= 0:
        return ""
    if ratio.low > 1 or ratio.high < 1:
        _, low, high = format_ratios(*turned(ratio, "faster" if ratio.low > 1 else "slower"))
        return f"between {low}× and {high}×" if judged.significant else ""
    return f"between {format_ratio(1 / ratio.low)} slower and {format_ratio(ratio.high)} faster"


def failed_conditions(document: Document, *, busy: bool) -> tuple[str, ...]:
    """Conditions of a fair comparison that do not hold, as clauses, the gravest first; none of them twice.

    Args:
        document: What was measured.
        busy: The sentence says anyway that the machine was busy.
    """
    elsewhere = any(f.id == WRONG_DEVICE and f.state == "failed" for f in document.findings)
    said = {_PROVIDER_CHECK: elsewhere, **dict.fromkeys(_BUSY_CHECKS, busy)}
    clauses = (
        "the input is damaged" if document.damage else "",
        "the requested execution provider was not used" if elsewhere else "",
        "the outputs differ" if any(output.differs for output in document.outputs) else "",
        *(
            _as_clause(check.title) if check.title else f"“{check.check}” does not hold"
            for check in document.comparability
            if check.state == "failed" and not said.get(check.check)
        ),
    )
    return tuple(dict.fromkeys(clause for clause in clauses if clause))


def _as_clause(title: str) -> str:
    """A title inside a sentence: its first letter small, unless it begins a name."""
    first = title.partition(" ")[0]
    return title if first[1:].lower() != first[1:] else title[:1].lower() + title[1:]


def _not_yet_said(document: Document, judged: Judgement, why: str) -> list[str]:
    """The reasons that neither the line of causes nor a failed condition gives already."""
    details = [check.detail for check in document.comparability if check.state == "failed"]
    return [
        reason
        for reason in judged.reasons
        if reason.partition(":")[0] not in why.lower() and not any(reason in detail for detail in details)
    ]


def _sentences(parts: Iterable[str]) -> str:
    return " ".join(f"{part[:1].upper()}{part[1:].rstrip('.')}." for part in parts)


def describe_causes(document: Document, judged: Judgement, *, sure: bool) -> str:
    """Which causes stand out of the noise, and what is not explained.

    Args:
        document: What was measured.
        judged: How far it carries; no other cause is named than those it names.
        sure: Nothing speaks against the difference itself.
    """
    rest, unit = unexplained_of(document), difference_unit(document)
    if judged.inconclusive:
        return "Neither the difference nor its causes can be told."
    if not judged.split_reliable:
        but = "The difference is sure, but the" if sure else "The"
        return f"{but} split is not reliable: {_describe_unexplained(document, unit)} not explained."
    if not document.causes:
        return ""
    by_cause = {cause.cause: cause for cause in document.causes if cause.cause not in REMAINDERS}
    named = [by_cause[cause] for cause in judged.named if cause in by_cause]
    shown = [c for c in named if round(c.delta_ns / unit.size, unit.digits)] or named[:1]
    texts = [
        f"{CAUSES[c.cause].title.lower()} {unit.text(c.delta_ns, sign=True)}" for c in shown[:_NAMED_CAUSES]
    ]
    cancels = any(c.delta_ns > 0 for c in shown) and any(c.delta_ns < 0 for c in shown)
    said = ""
    if judged.significant:
        said = f"Why: {', '.join(texts)}." if texts else "No single cause stands out of the noise."
    elif cancels:
        said = f"Causes that cancel out: {', '.join(texts)}."
    if rest == Delta(median=0, low=0, high=0):
        return said
    left = format_interval(rest.median, rest.low, rest.high, scale=unit)
    return f"{said} Not explained: {left}.".lstrip()


def _describe_unexplained(document: Document, unit: Unit) -> str:
    """How much is not explained: of the difference, or of either side where that is little because both are alike."""
    rest, names = unexplained_of(document), side_names(document)
    if max(abs(rest.low), abs(rest.high)) > _MOST_UNEXPLAINED * slower_step(document):
        return f"{format_ends(rest.low, rest.high, unit)} {unit.symbol} of a step are"
    parts = [cause for cause in document.causes if cause.cause in REMAINDERS]
    sides = (sum(c.torch_ns for c in parts), sum(c.onnxruntime_ns for c in parts))
    torch, ort = (unit.text(ns, sign=True) for ns in sides)
    return f"{torch} of {names['torch']}'s profiled step and {ort} of {names['onnxruntime']}'s are"


def verdict_without_delta(document: Document) -> Verdict:
    """The first lines where a side was not timed: what was measured, and why the other was not."""
    names = side_names(document)
    estimates = {"torch": document.latency.torch_ns, "onnxruntime": document.latency.onnxruntime_ns}
    measured, reasons = [], []
    for role in ROLES:
        if (e := estimates[role]) is not None:
            step = format_interval(e.median, e.low, e.high, sign=False)
            measured.append(f"{names[role]} took {step} a step (95 % interval)")
        else:
            reasons.append(f"{names[role]}: {reason_without_steps(document, role)}")
    recorded = [names[role] for role in ROLES if role in document.profiled or estimates[role] is not None]
    missing = "one side is missing" if measured else "no plain step was timed"
    if not measured and len(recorded) == 1:
        missing = f"only {recorded[0]} was recorded"
    doubts = document.judgement.reasons
    return Verdict(
        tone="none",
        sentence=f"No comparison: {missing}",
        figures=", ".join(measured),
        why="; ".join(reasons),
        remark=_sentences(doubts),
        split_reliable=False,
        busy=document.judgement.busy,
        reasons=(missing, *doubts, *reasons),
    )


def reason_without_steps(document: Document, role: Role) -> str:
    """Why a side has no plain steps."""
    side = document.sides.get(role)
    if side is None:
        recorded = role in document.profiled
        return "only profiled steps were recorded" if recorded else "no step of it was recorded"
    if side.state == "complete":
        return "no plain step was timed"
    return f"{side.state}: {side.error}" if side.error else side.state


_LOST_EVENTS = (
    "steps that lost events show too little work, and the missing time counts as framework overhead"
)
_RECORD_AGAIN = "capture again, or get an intact copy"


def alerts_of(document: Document) -> tuple[Alert, ...]:
    """What to know first, gravest first: damaged input, the wrong device, other outputs, failed conditions, warnings."""
    elsewhere = next((f for f in document.findings if f.id == WRONG_DEVICE and f.state == "failed"), None)
    damaged = [
        AlertLine(damage.place(), f"{damage.outcome()}: {_LOST_EVENTS}", _RECORD_AGAIN)
        for damage in document.damage
    ]
    wrong = []
    for output in document.outputs:
        if output.differs:
            apart = f"largest difference {output.max_abs:.3g}, tolerance {output.tolerance:.3g}"
            wrong.append(AlertLine(f"{output.name}: {output.reason or apart}"))
    failed = [
        AlertLine(f"{check.title or check.check}: {check.detail}", check.effect, check.fix)
        for check in document.comparability
        if check.state == "failed"
    ]
    alerts: tuple[tuple[Level, str, Iterable[AlertLine]], ...] = (
        ("error", "The input is damaged: this report shows only what was recovered", damaged),
        (
            "error",
            elsewhere.title if elsewhere else "",
            [AlertLine(elsewhere.summary, fix=elsewhere.fix)] if elsewhere else [],
        ),
        ("error", "The outputs differ: the two sides do not compute the same thing", wrong),
        ("warning", "Conditions of a fair comparison do not hold", failed),
        ("note", "Warnings from the capture", map(AlertLine, document.warnings)),
    )
    shown = (Alert(level=level, title=title, lines=tuple(lines)) for level, title, lines in alerts)
    return tuple(alert for alert in shown if alert.lines)
