"""Two sides measured side by side: the difference is the second minus the first, with the headline's bootstrap."""

import numpy as np
import pytest

from attrib.analysis.attribution.ledger.headline import headline, number_blocks, paired_difference


def blocks(level, seed, *, rounds=12, steps=5, drift=0.0):
    rng = np.random.default_rng(seed)
    return tuple(
        tuple(int(level * (1 + drift * number) * (1 + 0.01 * rng.standard_normal())) for _ in range(steps))
        for number in range(rounds)
    )


def test_difference_is_second_minus_first_and_equals_the_headline():
    first, second = blocks(1_000_000, 1), blocks(1_200_000, 2)
    baseline, variant, delta = paired_difference(first, second)
    latency = headline({"torch": number_blocks(first), "onnxruntime": number_blocks(second)}).latency
    assert (baseline, variant, delta) == (latency.torch_ns, latency.onnxruntime_ns, latency.delta_ns)
    assert delta.median == variant.median - baseline.median
    assert delta.low <= 200_000 <= delta.high
    assert delta.low > 0


def test_drift_that_both_sides_share_does_not_widen_the_difference():
    first, second = blocks(1_000_000, 1, drift=0.05), blocks(1_100_000, 2, drift=0.05)
    baseline, _, delta = paired_difference(first, second)
    assert delta.high - delta.low < (baseline.high - baseline.low) / 2


def test_rounds_that_one_side_lacks_are_not_paired():
    first, second = blocks(1_000_000, 1, rounds=4), blocks(1_000_000, 2, rounds=3)
    baseline, variant, _ = paired_difference(first, second)
    assert (baseline.n, variant.n) == (20, 15)
    with pytest.raises(ValueError, match="no round"):
        paired_difference(first, ())
