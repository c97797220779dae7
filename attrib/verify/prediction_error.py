"""Prediction error: whether a measured saving agrees with the predicted one, and what explains it where it does not."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from attrib.model.estimate import Delta
from attrib.model.experiment import SMALLEST, ExperimentResult, Prediction
from attrib.units import format_interval, format_ns, format_percent

STEADY = 0.1
"""A baseline that differs from the capture's by more than this share: the machine is not what it was."""

_LISTED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """A prediction that the measurement missed, with what the checks look at.

    Attributes:
        predicted: What the profile said.
        saving: What was measured.
        captured_ns: Median plain step of the engine in the capture; None where it is not known.
        baseline_ns: Median plain step of the original in this run.
        same: Whether the engine got the same model and the same options, so that the change changed nothing.
        before: Number of nodes of each op type that the original ran; empty where it is not known.
        after: Number of nodes of each op type that the variant ran; empty where it is not known.
        notes: What the bench noticed while it measured.
    """

    predicted: Prediction
    saving: Delta
    captured_ns: int | None
    baseline_ns: int
    same: bool
    before: Counter[str]
    after: Counter[str]
    notes: tuple[str, ...] = ()


def scale_prediction(predicted: Prediction, captured_ns: int, baseline_ns: int) -> Prediction:
    """Scale a prediction to the speed of another run: what a profile predicts is a share of the step.

    Args:
        predicted: What the profile said, in nanoseconds of the capture.
        captured_ns: Median plain step of the engine in the capture.
        baseline_ns: Median plain step of the unchanged model in the run that measures.
    """
    ratio = baseline_ns / captured_ns
    saving = Delta(
        **{end: round(getattr(predicted.saving_ns, end) * ratio) for end in ("low", "median", "high")}
    )
    if abs(ratio - 1) <= STEADY:
        return replace(predicted, saving_ns=saving)
    share = format_percent(saving.median / baseline_ns)
    basis = f"{predicted.basis} It is {share} of a step, and is given for the step of this run."
    return replace(predicted, saving_ns=saving, basis=basis)


def intervals_agree(predicted: Prediction, saving: Delta) -> bool:
    """Whether the intervals overlap; the lower end of an `at_most` is 0, and an `at_least` has no upper end."""
    low, high = predicted.bounds
    return low <= saving.high and saving.low <= high


def explain_unsettled(result: ExperimentResult, notes: Sequence[str]) -> str:
    """Say why a result settles nothing, what the bench noticed (a busy machine, first of all), and what may settle it."""
    wide: tuple[str, ...] = ()
    if result.saving_ns is not None and not result.busy:
        told = "half of what is predicted" if result.predicted else f"{format_percent(SMALLEST)} of the step"
        reach = format_ns(result.saving_ns.half_width)
        wide = (f"the interval reaches {reach} to either side, more than {told}",)
    return "; ".join(
        (*wide, *notes, "more time (--again --max-time SECONDS) or a quieter machine may settle it")
    )


def explain_disagreement(found: Disagreement) -> str:
    """List every reason that a check finds, in the order of the checks; where none does, say by how much it is off."""
    if reasons := [text for check in CHECKS if (text := check(found))]:
        return "; ".join(reasons)
    low, high = found.predicted.bounds
    gap = low - found.saving.high if found.saving.high < low else found.saving.low - high
    return f"off by {format_ns(gap)} or more; the graphs and the machine do not say why"


def check_speed(found: Disagreement) -> str:
    """1. The unchanged model took another time than in the capture, on which the prediction rests."""
    if not found.captured_ns:
        return ""
    change = found.baseline_ns / found.captured_ns - 1
    if abs(change) <= STEADY:
        return ""
    return (
        f"the unchanged model took {format_ns(found.baseline_ns)} here and {format_ns(found.captured_ns)} in the capture"
        f" ({format_percent(change, sign=True)}), so the machine was not in the same state"
    )


def check_same_graph(found: Disagreement) -> str:
    """2. The same graph ran: ONNX Runtime undid the change, or had made it already."""
    if found.same:
        return "the change changes nothing here: the engine got the same model and the same options"
    if not found.before or found.before != found.after or found.saving.low > 0:
        return ""
    return f"ONNX Runtime ran the same {found.before.total()} nodes as without the change"


def check_other_nodes(found: Disagreement) -> str:
    """3. Another graph ran that is slower: the nodes that came cost more than those that went."""
    came, went = found.after - found.before, found.before - found.after
    if not (came or went) or found.saving.median >= found.predicted.saving_ns.low:
        return ""
    cost = "cost more than was saved" if found.saving.high < 0 else "take back part of what was saved"
    return f"removed: {_list_counts(went)}; added: {_list_counts(came)}, which {cost}" if came else ""


def check_loss(found: Disagreement) -> str:
    """4. A gain was predicted and a loss was measured, with the same graph or one that is not known."""
    if found.saving.high >= 0 or found.predicted.saving_ns.median <= 0 or found.before != found.after:
        return ""
    saving = found.saving
    figure = format_interval(-saving.median, -saving.high, -saving.low, sign=False)
    return f"the change costs {figure} instead: what it replaces was not the slow part"


def check_larger_gain(found: Disagreement) -> str:
    """5. More was saved than the rows of the prediction take: the change reaches beyond them."""
    high = found.predicted.saving_ns.high
    if found.saving.low <= high:
        return ""
    return (
        f"it saves {format_ns(found.saving.low - high)} or more beyond the rows of the prediction, so it also speeds up"
        " work outside of these rows (memory, caches, fewer buffers)"
    )


def check_notes(found: Disagreement) -> str:
    """6. The bench noticed something: other work on the machine, or rounds that were left out."""
    return "; ".join(found.notes)


CHECKS: tuple[Callable[[Disagreement], str], ...] = (
    check_speed, check_same_graph, check_other_nodes, check_loss, check_larger_gain, check_notes,
)  # fmt: skip
"""Every check, the most general first; each gives a sentence, or nothing."""


def _list_counts(counts: Counter[str]) -> str:
    shown = [f"{count} {op}" for op, count in counts.most_common(_LISTED)]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} other kinds" if more > 0 else "") or "no nodes"
