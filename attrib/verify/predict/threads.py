"""Predictions for other numbers of threads: Amdahl's law over the work that an engine can split.

A profile with n threads holds how long the work took with n, not what one of them would take alone. So perfect scaling
bounds what can change on one side, and no scaling at all (two threads of one core, or memory as the limit) on the other.
"""

from attrib.model.estimate import Delta
from attrib.model.experiment import Prediction
from attrib.model.manifest import Role
from attrib.units import format_ns
from attrib.verify.predict.prediction import at_most, estimate, times
from attrib.verify.protocol import ExperimentContext

SPLIT_ELEMENTS = 16_384
"""Both engines keep work on fewer elements in one thread (torch's `GRAIN_SIZE` is 32,768; ONNX Runtime goes by cost)."""


def predict_threads(context: ExperimentContext, role: Role, now: int, then: int) -> Prediction | None:
    """Predict another number of threads; fewer lose time. None where no work is known that can be split."""
    works = [
        work.id
        for work in context.evidence.work.get(role, {}).values()
        if max((tensor.elements for tensor in (*work.outputs, *work.inputs)), default=0) >= SPLIT_ELEMENTS
    ]
    if not works:
        return None
    shared = context.evidence.ledger.work(role, works)
    if then > now:
        bound = times(shared, 1 - now / then)
        text = f"with {then} it cannot go below {format_ns(round(shared.median * now / then))}"
        return at_most(context, role, bound, _basis(shared, now, text), works)
    worst = times(shared, now / then - 1)
    saving = Delta(median=-worst.median // 2, low=-worst.high, high=0)
    text = (
        f"with {then} it takes between as long, where the threads share one core, and {now / then:.3g} times as long,"
        " where they scale perfectly"
    )
    return estimate(context, role, saving, _basis(shared, now, text), works)


def _basis(shared: Delta, now: int, then: str) -> str:
    threads = "1 thread" if now == 1 else f"{now} threads"
    return f"Work that is large enough to be split took {format_ns(shared.median)} with {threads}; {then}."
