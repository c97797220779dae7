"""Why a prediction and its measurement do not agree, as far as what is known of the two runs can tell."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from attrib.model.estimate import Delta
from attrib.model.experiment import Prediction
from attrib.units import format_interval, format_ns, format_percent

STEADY = 0.1
"""A baseline that differs from the capture's by more than this share: the machine is not what it was."""

_LISTED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """What the checks look at.

    Attributes:
        predicted: What the profile said.
        saving: What was measured.
        captured_ns: Median plain step of the engine in the capture; None where it is not known.
        baseline_ns: Median plain step of the original in this run.
        same: The engine got the same model and the same options: the change changed nothing.
        before: Op types that the original's session ran, with their number; empty where not known.
        after: The same of the variant's.
        notes: What the bench had to say.
    """

    predicted: Prediction
    saving: Delta
    captured_ns: int | None
    baseline_ns: int
    same: bool
    before: Counter[str]
    after: Counter[str]
    notes: tuple[str, ...] = ()


def scaled(predicted: Prediction, captured_ns: int, baseline_ns: int) -> Prediction:
    """A prediction in the time of another run: its share of the step is what the profile told.

    Args:
        predicted: What the profile said, in the capture's time.
        captured_ns: Median plain step of the engine in the capture.
        baseline_ns: The same of the unchanged model in the run that measures.
    """
    ratio = baseline_ns / captured_ns
    saving = Delta(
        **{end: round(getattr(predicted.saving_ns, end) * ratio) for end in ("low", "median", "high")}
    )
    if abs(ratio - 1) <= STEADY:
        return replace(predicted, saving_ns=saving)
    basis = (
        f"{predicted.basis} In the time of this run, in which the unchanged model takes {format_ns(baseline_ns)};"
        f" {format_ns(captured_ns)} in the capture."
    )
    return replace(predicted, saving_ns=saving, basis=basis)


def agree(predicted: Prediction, saving: Delta) -> bool:
    """Whether the intervals overlap; what saves at most so much may save nothing, at least so much any more."""
    low, high = _bounds(predicted)
    return low <= saving.high and (predicted.kind == "at_least" or saving.low <= high)


def _bounds(predicted: Prediction) -> tuple[int, int]:
    ends = predicted.saving_ns
    return (min(0, ends.low) if predicted.kind == "at_most" else ends.low), ends.high


def reason_of(miss: Miss) -> str:
    """Every reason that was found, in the order of the checks; what is left open is said too."""
    found = [text for check in CHECKS if (text := check(miss))]
    return "; ".join(found) or _open(miss)


def _other_speed(miss: Miss) -> str:
    """1. The same thing took another time than in the capture, on which the prediction rests."""
    if not miss.captured_ns:
        return ""
    change = miss.baseline_ns / miss.captured_ns - 1
    if abs(change) <= STEADY:
        return ""
    return (
        f"the unchanged model took {format_ns(miss.baseline_ns)} here and {format_ns(miss.captured_ns)} in the capture"
        f" ({format_percent(change, sign=True)}), so the machine was not in the same state"
    )


def _same_graph(miss: Miss) -> str:
    """2. What ran is the same: the change was undone, or ONNX Runtime had done it already."""
    if miss.same:
        return "the change changes nothing here: the engine got the same model and the same options"
    if not miss.before or miss.before != miss.after or miss.saving.low > 0:
        return ""
    return f"ONNX Runtime ran the same {miss.before.total()} nodes as without the change"


def _other_nodes(miss: Miss) -> str:
    """3. The graph is another one, and slower: what came costs more than what went."""
    came, went = miss.after - miss.before, miss.before - miss.after
    if not (came or went) or miss.saving.median >= miss.predicted.saving_ns.low:
        return ""
    cost = "cost more than was saved" if miss.saving.high < 0 else "take back part of what was saved"
    return f"{_listed(went, 'went')}, and {_listed(came, 'came, which ' + cost)}" if came else ""


def _loss(miss: Miss) -> str:
    """4. A gain was predicted and a loss measured, with the same graph or one that is not known."""
    if miss.saving.high >= 0 or miss.predicted.saving_ns.median <= 0 or miss.before != miss.after:
        return ""
    figure = _figure(miss.saving, -1)
    return f"the change costs {figure} instead: what it replaces was not the slow part"


def _more(miss: Miss) -> str:
    """5. More was saved than the rows take: the change reaches beyond them."""
    high = miss.predicted.saving_ns.high
    if miss.saving.low <= high:
        return ""
    return (
        f"it saves {format_ns(miss.saving.low - high)} or more beyond the rows of the prediction, so it also speeds up"
        " what the profile charges to others (memory, caches, fewer buffers)"
    )


def _unsteady(miss: Miss) -> str:
    """6. The bench itself saw something: other work on the machine, rounds that were left out."""
    return "; ".join(miss.notes)


CHECKS: tuple[Callable[[Miss], str], ...] = (
    _other_speed, _same_graph, _other_nodes, _loss, _more, _unsteady,
)  # fmt: skip
"""Every check, the most general first; each gives a sentence, or nothing."""


def _open(miss: Miss) -> str:
    low, high = _bounds(miss.predicted)
    gap = low - miss.saving.high if miss.saving.high < low else miss.saving.low - high
    return f"off by {format_ns(gap)} or more; the graphs and the machine do not say why"


def _listed(counts: Counter[str], verb: str) -> str:
    shown = [f"{count} {op}" for op, count in counts.most_common(_LISTED)]
    more = len(counts) - len(shown)
    listed = ", ".join(shown) + (f" and {more} other kinds" if more > 0 else "")
    return f"{listed or 'no nodes'} {verb}"


def _figure(delta: Delta, sign: int) -> str:
    ends = sorted((sign * delta.low, sign * delta.high))
    return format_interval(sign * delta.median, *ends, sign=False)
