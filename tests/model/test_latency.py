"""The table of timed steps."""

import numpy as np

from attrib.model.latency import LatencyTable


def table(*rows):
    """Rows of (engine, phase, start, wall)."""
    count = len(rows)
    return LatencyTable(
        engine=[r[0] for r in rows],
        phase=[r[1] for r in rows],
        block=np.zeros(count, dtype=np.int64),
        iteration=np.arange(count),
        start_ns=np.array([r[2] for r in rows], dtype=np.int64),
        wall_ns=np.array([r[3] for r in rows], dtype=np.int64),
    )


def test_steps_before_the_first_plain_one_of_the_same_side_in_order_of_time():
    found = table(
        ("torch", "warmup", 20, 2),
        ("torch", "warmup", 10, 1),
        ("torch", "plain", 30, 3),
        ("torch", "warmup", 40, 4),  # the lead-in of a later block
        ("onnxruntime", "warmup", 5, 9),
    )
    assert found.before_plain("torch") == (1, 2)
    assert found.before_plain("onnxruntime") == (9,)
