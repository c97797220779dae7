"""What the split leaves over of a step, and the table of `remainder.py`."""

import remainder
from captures import Figures, figures_of

from attrib.model.document import Document
from tests.report.factory import document


def test_what_is_left_is_counted_without_its_sign_and_for_either_step():
    made: Document = document()
    left = [row for row in made.ledger if row.cause in ("profiler_overhead", "unattributed")]
    assert left, "the factory has remainders"
    found = figures_of(made).left
    assert found["torch"] == sum(abs(row.torch_ns) for row in left) / made.latency.torch_ns.median
    assert (
        found["onnxruntime"]
        == sum(abs(row.onnxruntime_ns) for row in left) / made.latency.onnxruntime_ns.median
    )


def test_a_model_keeps_the_limit_where_both_sides_do():
    figures = Figures(ratio=1.0, step_ns=1_000_000, delta_ns=(0, 0, 0))
    kept, broken = ({"torch": 0.1, "onnxruntime": 0.02}, {"torch": 0.02, "onnxruntime": 0.11})
    taken = {
        name: (Figures(ratio=1.0, step_ns=figures.step_ns, delta_ns=figures.delta_ns, left=left),)
        for name, left in (("kept", kept), ("broken", broken))
    }
    assert [remainder.met(its[0]) for its in taken.values()] == [True, False]
    assert remainder.table(taken).endswith("- at most 10% on both sides: 1 of 2")
