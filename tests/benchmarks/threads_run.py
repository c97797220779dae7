"""One situation of the threads' benchmark: a capture as a user gets it, and the same change made by hand."""

import time
from pathlib import Path
from typing import Any

from threads_files import BUILDERS
from threads_hand import Saving, factory, measure
from threads_score import Blamed, Outcome, Said
from threads_situation import Situation

from attrib.api import Analysis, load
from attrib.capture import CaptureOptions, capture
from attrib.model.document import Finding, LedgerRow

QUICKLY: dict[str, Any] = {"launches": 1, "max_time": 0.0}
"""For a try of the machinery; its figures do not count."""


def run_situation(situation: Situation, folder: Path, *, quickly: bool) -> Outcome:
    """Profile one situation, and make its change by hand.

    Raises:
        AttribError: The capture failed.
    """
    begin = time.perf_counter()
    found = load(capture(_options(situation, folder, quickly=quickly)))
    seconds = time.perf_counter() - begin
    hand = None
    if situation.hand is not None:
        few = {"launches": 1, "rounds": 5} if quickly else {}
        hand = measure(situation.hand.before, situation.hand.after, **few)
    return outcome_of(situation, found, seconds, hand)


def _options(situation: Situation, folder: Path, *, quickly: bool) -> CaptureOptions:
    options: dict[str, Any] = {"threads": 1} | situation.options
    if situation.file:
        options["onnx"] = BUILDERS[situation.file](folder)
    model = situation.model
    if "-" not in model:  # a factory; names of the zoo have a dash
        made = factory(model)
        model = f"{Path(__file__).with_name(f'{made.__module__}.py')}:{model}"
    effort = QUICKLY if quickly else {}
    return CaptureOptions(model=model, output=folder / "capture", **options, **effort)


def outcome_of(situation: Situation, found: Analysis, seconds: float, hand: Saving | None) -> Outcome:
    """What the report says, as far as it is scored or explains the score."""
    document = found.document
    passed = [
        one for one in document.findings if one.id in situation.expected.rules and one.state != "failed"
    ]
    latency = document.latency
    torch, onnxruntime = latency.torch_ns, latency.onnxruntime_ns
    order = {cause: place for place, cause in enumerate(document.judgement.named)}
    causes = sorted(document.causes, key=lambda row: order.get(row.cause, len(order)))
    return Outcome(
        situation=situation.name,
        torch_ns=torch.median if torch else 0,
        onnxruntime_ns=onnxruntime.median if onnxruntime else 0,
        delta_ns=latency.delta_ns.median if latency.delta_ns else 0,
        significant=latency.significant,
        findings=tuple(_said(finding) for finding in document.findings if finding.state == "failed"),
        causes=tuple(
            Blamed(
                cause=row.cause,
                torch_ns=row.torch_ns,
                onnxruntime_ns=row.onnxruntime_ns,
                delta_ns=row.delta_ns,
                ops=_ops([one for one in document.ledger if one.cause == row.cause]),
                named=row.cause in order,
            )
            for row in causes
        ),
        hand=hand,
        reasons=(
            *document.judgement.reasons,
            *(f"{one.id}: {one.state}: {one.reason or one.summary}" for one in passed),
        ),
        seconds=round(seconds, 1),
    )


def _said(finding: Finding) -> Said:
    text = " ".join([finding.title, finding.summary, *(row.text for row in finding.evidence)])
    return Said(
        rule=finding.id,
        text=text,
        saving_ns=finding.saving_ns,
        explains_ns=finding.explains_ns,
        low_ns=finding.low_ns,
        high_ns=finding.high_ns,
    )


def _ops(rows: list[LedgerRow]) -> tuple[str, ...]:
    """The ops of the largest row."""
    largest = max(rows, key=lambda row: abs(row.delta_ns), default=None)
    return (*largest.onnx_ops, *largest.torch_ops) if largest else ()
