"""Predictions: what the profile says a change will save, written down before anything is measured.

Two kinds. An *estimate* where the profile holds the time that goes away, less the time that comes in its place. *At most*
where it holds only what can go away. Where it holds neither, an experiment says why, and predicts nothing.

The ledger's intervals know how much the same work varied. They do not know how well other nodes of the run tell what work
would take in another form: whatever is told by such peers is widened by `PEER_MARGIN`.
"""

from collections.abc import Iterable

from attrib.findings.evidence.ledger_queries import ids, rows_holding
from attrib.model.estimate import Delta
from attrib.model.experiment import Prediction
from attrib.model.manifest import Role
from attrib.verify.protocol import Situation

PEER_MARGIN = 0.25
"""Nodes of one op reach rates per element that differ by about so much within a run (BERT-base: Add, Where, Gemm)."""


def step_ns(situation: Situation, role: Role) -> int:
    """The plain step of a side; where no plain step was measured, the sum of its rows."""
    latency = situation.evidence.latency
    side = latency.torch_ns if role == "torch" else latency.onnxruntime_ns
    if side is not None:
        return side.median
    rows = situation.evidence.ledger.rows
    return sum(row.torch_ns if role == "torch" else row.onnxruntime_ns for row in rows)


def estimate(
    situation: Situation, role: Role, saving: Delta, basis: str, works: Iterable[str] = ()
) -> Prediction:
    """The profile holds what goes away, less what comes instead; a loss is negative.

    Args:
        situation: Whose rows the works are in.
        role: The side that is changed.
        saving: The saving with its interval.
        basis: One sentence with figures.
        works: Calls and nodes behind it.
    """
    step = step_ns(situation, role)
    low, median, high = sorted(min(value, step) for value in (saving.low, saving.median, saving.high))
    return Prediction(
        kind="estimate",
        saving_ns=Delta(median=median, low=low, high=high),
        basis=basis,
        rows=_rows(situation, works),
    )


def at_most(
    situation: Situation, role: Role, bound: Delta, basis: str, works: Iterable[str] = ()
) -> Prediction:
    """The profile holds what can go away at most: `median` is that bound, `high` the upper end of its interval."""
    step = step_ns(situation, role)
    median, high = sorted(min(max(value, 0), step) for value in (bound.median, bound.high))
    return Prediction(
        kind="at_most",
        saving_ns=Delta(median=median, low=0, high=high),
        basis=basis,
        rows=_rows(situation, works),
    )


def _rows(situation: Situation, works: Iterable[str]) -> tuple[str, ...]:
    return ids(rows_holding(situation.evidence, works))


def plus(*deltas: Delta) -> Delta:
    """The sum of figures that err together: the ends add up."""
    return Delta(
        median=sum(delta.median for delta in deltas),
        low=sum(delta.low for delta in deltas),
        high=sum(delta.high for delta in deltas),
    )


def minus(delta: Delta) -> Delta:
    """The same with the other sign."""
    return Delta(median=-delta.median, low=-delta.high, high=-delta.low)


def times(delta: Delta, factor: float) -> Delta:
    """A share of a figure, or a multiple; the factor is not negative."""
    median, low, high = (round(value * factor) for value in (delta.median, delta.low, delta.high))
    return Delta(median=median, low=low, high=high)


def widened(delta: Delta, ns: float) -> Delta:
    """An interval that is wider by so much at either end."""
    return Delta(median=delta.median, low=round(delta.low - ns), high=round(delta.high + ns))


def between(one: Delta, other: Delta) -> Delta:
    """What lies between two estimates of the same thing: from the lowest to the highest end, the middle as the median."""
    return Delta(
        median=(one.median + other.median) // 2,
        low=min(one.low, other.low),
        high=max(one.high, other.high),
    )
