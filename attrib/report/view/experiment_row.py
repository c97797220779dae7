"""One experiment as a reader is shown it: both figures, whether they agree, and whether the outputs stayed equal."""

from typing import Literal

import msgspec

from attrib.model.estimate import Delta
from attrib.model.experiment import BOUND_WORDS, ExperimentResult
from attrib.report.view.dot_chart import ChartRow
from attrib.units import format_interval, format_ns

_STATES = {
    "failed": "failed",
    "timed_out": "timed out",
    "unavailable": "unavailable",
    "not_applicable": "not applicable",
    "interrupted": "interrupted",
}

Agreement = Literal["agrees", "missed", "not settled", "no prediction", ""]


class ExperimentRow(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment, in words.

    Attributes:
        anchor: By which links find it.
        result: What was recorded.
        predicted: e.g. `3.10 ms [2.80, 3.40]`; empty without a prediction.
        measured: The same of what was measured; empty where nothing was.
        agreement: Whether the two agree; empty where nothing was measured.
        doubt: Why the saving may be none; empty where it is significant.
        outputs: Whether the outputs stayed equal, e.g. `equal`.
        state: Why nothing was measured, e.g. `timed out: no step within 600 s`; empty otherwise.
        chart: Both in the chart of a group.
    """

    anchor: str
    result: ExperimentResult
    predicted: str
    measured: str
    agreement: Agreement
    doubt: Literal["", "noise", "not settled"]
    outputs: str
    state: str
    chart: ChartRow | None = None

    @property
    def sentence(self) -> str:
        """Predicted beside measured in one line."""
        if self.state:
            return self.state
        agreement = self.agreement if self.predicted else ""
        return ": ".join(part for part in (self.figures, agreement, self.result.note) if part)

    @property
    def figures(self) -> str:
        """Both figures; only the measured one where there is no prediction. They are of the step of their own run."""
        step = self.result.baseline_ns
        measured = f"measured {self.measured}" + (f" of {format_ns(step.median)}" if step else "")
        return f"predicted {self.predicted}, {measured}" if self.predicted else measured


def figure(saving: Delta) -> str:
    """A saving with its interval."""
    return format_interval(saving.median, saving.low, saving.high, sign=False)


def experiment_row(result: ExperimentResult, anchor: str) -> ExperimentRow:
    """Put one experiment into words."""
    prediction, saving = result.predicted, result.saving_ns
    agreement: Agreement = ""
    state = ""
    if saving is None:
        state = _STATES.get(result.state, "no figure was recorded")
        state += f": {result.reason}" if result.reason else ""
    elif prediction is not None and not result.settled:
        agreement = "not settled"
    elif result.agrees is None:
        agreement = "no prediction"
    else:
        agreement = "agrees" if result.agrees else "missed"
    return ExperimentRow(
        anchor=anchor,
        result=result,
        predicted=BOUND_WORDS[prediction.kind] + figure(prediction.saving_ns) if prediction else "",
        measured=figure(saving) if saving else "",
        agreement=agreement,
        doubt=_doubt(result),
        outputs=describe_outputs(result),
        state=state,
    )


def _doubt(result: ExperimentResult) -> Literal["", "noise", "not settled"]:
    if not result.settled and result.predicted is None:
        return "not settled"  # else the agreement says so
    return "" if result.significant else "noise"


def describe_outputs(result: ExperimentResult) -> str:
    """Whether the outputs stayed equal, or how far apart they are; empty where nothing was measured.

    Of several outputs it is the one that is furthest beyond its tolerance.
    """
    if result.saving_ns is None:
        return ""
    if result.outputs_equal is None:
        return "not compared"
    worst = max(result.outputs, key=lambda output: (not output.equal, output.max_abs), default=None)
    if worst is None or (result.outputs_equal and not result.changes_numbers):
        return "equal" if result.outputs_equal else "differ"
    apart = worst.reason or f"max abs {worst.max_abs:.2g}, cosine {worst.cosine:.6g}"
    return f"{'within' if result.outputs_equal else 'beyond'} the tolerance of {worst.tolerance:.2g}: {apart}"
