"""The headline in words, and what the reader must know before any attribution."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from attrib.model.document import CAUSES, Document
from attrib.model.manifest import ROLES, Role
from attrib.units import format_interval, format_ratio, unit_for

Tone = Literal["faster", "slower", "same", "none"]
Level = Literal["error", "warning", "note"]

_NAMED_CAUSES = 3

WRONG_DEVICE = "provider-not-used"
"""The finding that the requested execution provider was not used: then every figure is of another device."""

REMAINDERS = ("profiler_overhead", "unattributed")
"""Causes that explain nothing: what the profiler cost, and what was not matched. They are always shown, as the last."""

_ENGINES: dict[str, str] = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The headline.

    Attributes:
        tone: Whether ONNX Runtime is faster, slower, neither, or cannot be compared.
        lead: The claim, e.g. `ONNX Runtime is 1.83× faster than PyTorch`.
        figures: What it rests on, e.g. `71.2 ms against 130.4 ms per step (−59.2 ± 1.8 ms, 95 % interval)`.
        note: A further sentence, or empty.
    """

    tone: Tone
    lead: str
    figures: str
    note: str = ""

    @property
    def sentence(self) -> str:
        """Claim and figures in one sentence."""
        return f"{self.lead}: {self.figures}" if self.figures else self.lead


@dataclass(frozen=True, slots=True)
class AlertLine:
    """One case of an alert: what was seen, how that may distort the result, and how to record again without it."""

    text: str
    effect: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something that bears on whether the figures can be compared: a title and one line for each case."""

    level: Level
    title: str
    lines: tuple[AlertLine, ...]


def side_names(document: Document) -> dict[Role, str]:
    """What the two sides are called; in an A/A capture, which ran one engine twice, they are told apart by letter."""
    engines = {role: document.sides[role].engine if role in document.sides else role for role in ROLES}
    if engines["torch"] != engines["onnxruntime"]:
        return {role: _ENGINES[engine] for role, engine in engines.items()}
    name = _ENGINES[engines["torch"]]
    return {"torch": f"{name} (A)", "onnxruntime": f"{name} (B)"}


def verdict_of(document: Document) -> Verdict:
    """Put the headline into words."""
    names, latency = side_names(document), document.latency
    torch, ort, delta = latency.torch_ns, latency.onnxruntime_ns, latency.delta_ns
    if torch is None or ort is None or delta is None:
        return verdict_without_delta(document)
    half = max(delta.high - delta.median, delta.median - delta.low, 0)
    unit = unit_for(max(torch.median, ort.median), noise=half)
    signed = f"{unit.number(delta.median, sign=True)} ± {unit.text(half)}"
    figures = f"{unit.text(ort.median)} against {unit.text(torch.median)} per step ({signed}, 95 % interval)"
    if not latency.significant:
        return Verdict(
            tone="same",
            lead=f"No significant difference between {names['onnxruntime']} and {names['torch']}",
            figures=figures,
            note=describe_cancelling(document),
        )
    tone: Tone = "faster" if delta.median < 0 else "slower"
    small, large = sorted((torch.median, ort.median))
    ratio = f"{format_ratio(large / small)} " if small > 0 else ""
    return Verdict(
        tone=tone,
        lead=f"{names['onnxruntime']} is {ratio}{tone} than {names['torch']}",
        figures=figures,
        note=describe_largest(document),
    )


def describe_largest(document: Document) -> str:
    """The causes that matter most, in one line; empty where there is none."""
    explained = [cause for cause in document.causes if cause.cause not in REMAINDERS]
    causes = sorted(explained, key=lambda c: (-abs(c.delta_ns), c.cause))[:_NAMED_CAUSES]
    if not causes or not causes[0].delta_ns:
        return ""
    unit = unit_for(causes[0].delta_ns)
    named = [
        f"{CAUSES[c.cause].title.lower()} {unit.text(c.delta_ns, sign=True)}"
        for c in causes
        if round(c.delta_ns / unit.size, unit.digits)
    ]
    return f"Largest causes: {', '.join(named)}."


def describe_cancelling(document: Document) -> str:
    """How much cancels out where nothing is left of the difference: the rows may still hold some."""
    slower = sum(cause.delta_ns for cause in document.causes if cause.delta_ns > 0)
    saved = sum(cause.delta_ns for cause in document.causes if cause.delta_ns < 0)
    if not slower or not saved:
        return ""
    unit = unit_for(max(slower, -saved))
    return f"Causes worth {unit.text(slower, sign=True)} and {unit.text(saved, sign=True)} cancel out."


def verdict_without_delta(document: Document) -> Verdict:
    """The headline where a side was not timed: what was measured, and why the other was not."""
    names = side_names(document)
    estimates = {"torch": document.latency.torch_ns, "onnxruntime": document.latency.onnxruntime_ns}
    measured, reasons = [], []
    for role in ROLES:
        if (e := estimates[role]) is not None:
            step = format_interval(e.median, e.low, e.high, sign=False)
            measured.append(f"{names[role]} took {step} per step (95 % interval)")
        else:
            reasons.append(f"{names[role]}: {reason_without_steps(document, role)}")
    return Verdict(
        tone="none",
        lead="No comparison: one side is missing" if measured else "No comparison: no plain step was timed",
        figures=", ".join(measured),
        note="; ".join(reasons),
    )


def reason_without_steps(document: Document, role: Role) -> str:
    """Why a side has no plain steps."""
    side = document.sides.get(role)
    if side is None:
        recorded = role in document.profiled
        return "only profiled steps were recorded" if recorded else "nothing of it was recorded"
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
        if not output.equal:
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
