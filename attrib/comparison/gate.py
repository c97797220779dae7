"""`gate`: limits that a capture must keep, alone or beside a baseline, and whether it keeps them.

A gate fails only where the figure is beyond its limit and the statistics agree that there is a change at all. It passes
where the figure is within the limit and the interval is narrow enough that a breach would have been seen. Everything else
is inconclusive: what was not measured is neither good nor bad.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from attrib.errors import UsageError
from attrib.model.diff import Diff
from attrib.model.document import Document
from attrib.model.estimate import Delta, Ratio
from attrib.model.experiment import ExperimentResult
from attrib.model.manifest import ENGINE_NAMES
from attrib.units import format_interval, format_ns, format_percent, format_ratios

GateState = Literal["passed", "failed", "inconclusive", "warned"]
RuleLevel = Literal["fail", "warn", "ignore"]
RULE_LEVELS: tuple[RuleLevel, ...] = ("fail", "warn", "ignore")

_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_LIMIT = re.compile(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(%|ns|us|µs|ms|s)\s*")
_PERCENT = 100


class StepLimit(msgspec.Struct, frozen=True):
    """How much slower a step may be: a share of what it is compared with, or a time in nanoseconds."""

    share: float = 0.0
    ns: int = 0

    def of(self, step_ns: int) -> int:
        """The limit in nanoseconds for a step."""
        return self.ns or round(self.share * step_ns)

    @property
    def text(self) -> str:
        """As a user writes it."""
        return format_ns(self.ns) if self.ns else format_percent(self.share)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a capture.

    Attributes:
        max_delta: How much slower ONNX Runtime's step may be than that of the baseline, or than PyTorch's without one; of an
            experiment, how much slower the changed step may be than the one beside it.
        max_ratio: The most that ONNX Runtime's step over PyTorch's may be.
        rules: What a finding of a rule means; a rule that is not named means nothing.
    """

    max_delta: StepLimit | None = None
    max_ratio: float | None = None
    rules: Mapping[str, RuleLevel] = {}


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One limit and what came of it.

    Attributes:
        name: What was asked, e.g. `max-delta`, or the rule's id.
        state: Whether it holds.
        text: The figure beside the limit.
        how: What would decide it, where it is inconclusive.
    """

    name: str
    state: GateState
    text: str
    how: str = ""


def parse_limit(text: str) -> StepLimit:
    """Read `5%`, `2ms` or `500us`.

    Raises:
        UsageError: It is none of these.
    """
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is no limit", hint="a share such as 5%, or a time such as 2ms or 500us")
    if match[2] == "%":
        return StepLimit(share=float(match[1]) / _PERCENT)
    return StepLimit(ns=round(float(match[1]) * _UNITS[match[2]]))


def gates(
    document: Document, limits: Limits, diff: Diff | None = None, experiment: ExperimentResult | None = None
) -> tuple[Gate, ...]:
    """Hold a capture against its limits.

    Args:
        document: The capture.
        limits: What is asked of it.
        diff: The change from the baseline to it; None without a baseline.
        experiment: What was measured in turns with the capture's own configuration, and is held against `max_delta`.
    """
    found = []
    if limits.max_delta is not None:
        if experiment is not None:
            found.append(_in_turns(limits.max_delta, experiment))
        elif diff is not None:
            found.append(_against_baseline(document, limits.max_delta, diff))
        else:
            found.append(_against_torch(document, limits.max_delta))
    if limits.max_ratio is not None:
        found.append(_ratio(document, limits.max_ratio))
    return (*found, *_rules(document, limits.rules))


def _against_baseline(document: Document, limit: StepLimit, diff: Diff) -> Gate:
    name = "max-delta"
    if diff.obstacles:
        text = f"the capture cannot be compared with the baseline: {' and '.join(diff.obstacles)}"
        return Gate(name=name, state="inconclusive", text=text, how=_again(document))
    step = next((step for step in diff.steps if step.role == "onnxruntime"), None)
    if step is None:
        text = f"{ENGINE_NAMES['onnxruntime']} was not measured in both"
        return Gate(name=name, state="inconclusive", text=text, how=_again(document))
    state = _state(step.change_ns, limit.of(step.before.median))
    change = format_interval(step.change_ns.median, step.change_ns.low, step.change_ns.high)
    share = format_percent(step.change_ns.median / max(step.before.median, 1), sign=True)
    text = f"{ENGINE_NAMES['onnxruntime']}'s step changed by {change} ({share}) from {format_ns(step.before.median)}"
    text += f"; limit +{limit.text}"
    return _told(document, name, state, text)


def _in_turns(limit: StepLimit, experiment: ExperimentResult) -> Gate:
    """Both steps were measured in turns, so that no drift between two captures widens the interval."""
    name, engine, before = "max-delta", ENGINE_NAMES[experiment.side], experiment.baseline_ns
    saving, title = experiment.saving_ns, experiment.title
    again = "on a machine that does nothing else: the same `attrib verify` with --again --tolerance 1 --max-time 600"
    if saving is None or before is None:
        reason = f" ({experiment.reason})" if experiment.reason else ""
        text = f"{title}: {experiment.state.replace('_', ' ')}{reason}"
        return Gate(name=name, state="inconclusive", text=text, how=again)
    change = Delta(median=-saving.median, low=-saving.high, high=-saving.low)
    share = format_percent(change.median / max(before.median, 1), sign=True)
    text = f"{title}: {engine}'s step changes by {format_interval(change.median, change.low, change.high)} ({share})"
    text += f" from {format_ns(before.median)}, measured in turns; limit +{limit.text}"
    if experiment.busy:
        return Gate(
            name=name, state="inconclusive", text=f"{text}; other programs disturbed most rounds", how=again
        )
    state = _state(change, limit.of(before.median))
    return Gate(name=name, state=state, text=text, how=again if state == "inconclusive" else "")


def _against_torch(document: Document, limit: StepLimit) -> Gate:
    delta, torch = document.latency.delta_ns, document.latency.torch_ns
    if (lack := _not_measured(document)) or delta is None or torch is None:
        return Gate(name="max-delta", state="inconclusive", text=lack, how=_again(document))
    interval = format_interval(delta.median, delta.low, delta.high)
    text = f"{ENGINE_NAMES['onnxruntime']} takes {interval} more than {ENGINE_NAMES['torch']}; limit +{limit.text}"
    return _told(document, "max-delta", _state(delta, limit.of(torch.median)), text)


def _ratio(document: Document, most: float) -> Gate:
    """PyTorch's step over ONNX Runtime's is what was measured: the other way round, its ends change places."""
    ratio = document.latency.ratio
    if (lack := _not_measured(document)) or ratio is None or min(ratio.low, ratio.value, ratio.high) <= 0:
        text = lack or "the ratio of the steps is not known"
        return Gate(name="max-ratio", state="inconclusive", text=text, how=_again(document))
    turned = Ratio(value=1 / ratio.value, low=1 / ratio.high, high=1 / ratio.low)
    value, low, high = format_ratios(turned.value, turned.low, turned.high)
    text = f"{ENGINE_NAMES['onnxruntime']}'s step is {value} {ENGINE_NAMES['torch']}'s ({low} to {high}); limit {most:g}×"
    state: GateState = "passed" if turned.high <= most else "failed" if turned.low > most else "inconclusive"
    return _told(document, "max-ratio", state, text)


def _state(change: Delta, limit: int) -> GateState:
    """Whether a change keeps its limit; see the module."""
    if change.median > limit:
        return "failed" if change.low > 0 else "inconclusive"
    narrow = change.half_width <= limit
    return "passed" if change.high <= limit or narrow else "inconclusive"


def _told(document: Document, name: str, state: GateState, text: str) -> Gate:
    return Gate(name=name, state=state, text=text, how=_again(document) if state == "inconclusive" else "")


def _not_measured(document: Document) -> str:
    """Why the difference between the engines says nothing; empty where it does."""
    if document.latency.delta_ns is None:
        return "both engines were not measured"
    if document.judgement.busy or document.judgement.inconclusive:
        return "the machine was busy"
    return ""


def _rules(document: Document, levels: Mapping[str, RuleLevel]) -> Iterator[Gate]:
    findings = {finding.id: finding for finding in document.findings}
    for name, level in levels.items():
        finding = findings.get(name)
        if level == "ignore":
            continue
        if finding is None or finding.state in ("not_applicable", "error"):
            reason = finding.reason if finding is not None else "the report has no such rule"
            yield Gate(name=name, state="inconclusive", text=f"not looked at: {reason}", how=_again(document))
        elif finding.state == "passed":
            yield Gate(name=name, state="passed", text=finding.title)
        else:
            yield Gate(name=name, state="failed" if level == "fail" else "warned", text=finding.title)


def _again(document: Document) -> str:
    """The command that measures longer, on a machine that does nothing else."""
    protocol = document.protocol
    tolerance = _PERCENT * protocol.tolerance / 2 if protocol is not None and protocol.tolerance else 1
    command = document.command or "attrib profile"
    return f"on a machine that does nothing else: `{command} --tolerance {tolerance:g} --max-time 600`"
