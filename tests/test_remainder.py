"""What the profilers leave unexplained of models whose nodes take no longer than a record does. On real engines.

How much that is differs from machine to machine: `tests/benchmarks/remainder.py` measures it. What holds on each of them is
that attrib says causes only where little is left.
"""

from pathlib import Path

import pytest

import attrib
from attrib.analysis.attribution.judgement import REMAINDER_LIMIT, REMAINDERS

pytestmark = [pytest.mark.engines, pytest.mark.slow, pytest.mark.alone]

MODELS = Path(__file__).parent / "benchmarks" / "tiny_models.py"


@pytest.mark.parametrize("name", ["microseconds", "many_nodes_3000"])
def test_what_is_not_explained_is_a_small_part_of_the_step_or_no_cause_is_said(cli, tmp_path, name):
    target = tmp_path / "trace"
    options = ("--model", f"{MODELS}:{name}", "--threads", "1", "--launches", "3", "--no-report")
    done = cli("profile", "-o", target, *options, timeout=600)
    assert done.returncode == 0, done.stderr
    document = attrib.load(target).document
    latency, judged = document.latency, document.judgement
    for side in ("torch_ns", "onnxruntime_ns"):
        # Whatever the profilers cost, the rows of a side sum to its step.
        assert sum(getattr(row, side) for row in document.ledger) == round(getattr(latency, side).median)
    left = [row for row in document.ledger if row.cause in REMAINDERS]
    most = max(abs(sum(row.torch_ns for row in left)), abs(sum(row.onnxruntime_ns for row in left)))
    step = max(latency.torch_ns.median, latency.onnxruntime_ns.median)
    if most > REMAINDER_LIMIT * step:
        assert not judged.split_reliable
    if not judged.split_reliable:
        assert not judged.named
        assert any("the split is not reliable: what is not explained may be" in why for why in judged.reasons)
    others = [row for row in document.ledger if row.cause != "profiler_overhead"]
    assert min(min(row.torch_ns, row.onnxruntime_ns) for row in others) >= 0
