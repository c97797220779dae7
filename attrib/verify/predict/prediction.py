"""Predictions: what the profile says a change will save, written down before anything is measured.

Two kinds. An *estimate* where the profile holds the time that goes away, less the time that comes in its place. *At most*
where it holds only what can go away. Where it holds neither, an experiment says why, and predicts nothing.

The ledger's intervals know how much the same work varied. They do not know how well other nodes of the run tell what work
would take in another form: whatever rests on such peers is widened by `PEER_MARGIN`.
"""

from collections.abc import Iterable

from attrib.findings.evidence.ledger_queries import ids, rows_holding
from attrib.model.estimate import Delta
from attrib.model.experiment import Prediction
from attrib.model.manifest import Role
from attrib.verify.protocol import ExperimentContext

PEER_MARGIN = 0.25
"""Nodes of one op reach rates per element that differ by about so much within a run (BERT-base: Add, Where, Gemm)."""


def step_ns(context: ExperimentContext, role: Role) -> int:
    """The plain step of a side; where no plain step was measured, the sum of its rows."""
    latency = context.evidence.latency
    side = latency.torch_ns if role == "torch" else latency.onnxruntime_ns
    if side is not None:
        return side.median
    rows = context.evidence.ledger.rows
    return sum(row.torch_ns if role == "torch" else row.onnxruntime_ns for row in rows)


def estimate(
    context: ExperimentContext, role: Role, saving: Delta, basis: str, works: Iterable[str] = ()
) -> Prediction:
    """Make an estimate: the profile holds the time that goes away, less the time that comes instead; a loss is negative.

    Args:
        context: The capture, whose ledger has the rows of the works.
        role: The side that is changed.
        saving: The saving with its interval.
        basis: What the prediction rests on, in one sentence with figures.
        works: Ids of the calls and nodes behind it.
    """
    step = step_ns(context, role)
    low, median, high = sorted(min(value, step) for value in (saving.low, saving.median, saving.high))
    return Prediction(
        kind="estimate",
        saving_ns=Delta(median=median, low=low, high=high),
        basis=basis,
        rows=_rows(context, works),
    )


def at_most(
    context: ExperimentContext, role: Role, bound: Delta, basis: str, works: Iterable[str] = ()
) -> Prediction:
    """Make an upper bound: `median` is the time that can go away at most, `high` the upper end of its interval."""
    step = step_ns(context, role)
    median, high = sorted(min(max(value, 0), step) for value in (bound.median, bound.high))
    return Prediction(
        kind="at_most",
        saving_ns=Delta(median=median, low=0, high=high),
        basis=basis,
        rows=_rows(context, works),
    )


def _rows(context: ExperimentContext, works: Iterable[str]) -> tuple[str, ...]:
    return ids(rows_holding(context.evidence, works))


def plus(*deltas: Delta) -> Delta:
    """The sum of figures whose errors have the same direction: the ends add up."""
    return Delta(
        median=sum(delta.median for delta in deltas),
        low=sum(delta.low for delta in deltas),
        high=sum(delta.high for delta in deltas),
    )


def minus(delta: Delta) -> Delta:
    """A figure with the other sign."""
    return Delta(median=-delta.median, low=-delta.high, high=-delta.low)


def times(delta: Delta, factor: float) -> Delta:
    """A figure times a factor that is not negative."""
    median, low, high = (round(value * factor) for value in (delta.median, delta.low, delta.high))
    return Delta(median=median, low=low, high=high)


def widen(delta: Delta, ns: float) -> Delta:
    """A figure whose interval is wider by a number of nanoseconds at either end."""
    return Delta(median=delta.median, low=round(delta.low - ns), high=round(delta.high + ns))


def between(one: Delta, other: Delta) -> Delta:
    """Join two estimates of the same thing: from the lowest to the highest end, with the middle of the medians."""
    return Delta(
        median=(one.median + other.median) // 2,
        low=min(one.low, other.low),
        high=max(one.high, other.high),
    )
