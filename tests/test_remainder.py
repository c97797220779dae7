"""What the profilers leave unexplained of models whose nodes take no longer than a record does. On real engines."""

from pathlib import Path

import pytest

import attrib

pytestmark = [pytest.mark.engines, pytest.mark.slow, pytest.mark.alone]

MODELS = Path(__file__).parent / "benchmarks" / "tiny_models.py"
ALLOWED = {"microseconds": 0.10, "many_nodes_3000": 0.10}
"""Share of the slower step."""

NOISE = 2.0
"""A test that runs beside others allows twice that."""


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_not_explained_is_a_small_part_of_the_step(cli, tmp_path, name):
    target = tmp_path / "trace"
    options = ("--model", f"{MODELS}:{name}", "--threads", "1", "--launches", "3", "--no-report")
    done = cli("profile", "-o", target, *options, timeout=600)
    assert done.returncode == 0, done.stderr
    document = attrib.load(target).document
    plain = [side.median for side in (document.latency.torch_ns, document.latency.onnxruntime_ns)]
    left = [row for row in document.ledger if row.cause in ("profiler_overhead", "unattributed")]
    for side in (sum(row.torch_ns for row in left), sum(row.onnxruntime_ns for row in left)):
        assert abs(side) <= NOISE * ALLOWED[name] * max(plain)
    others = [row for row in document.ledger if row.cause != "profiler_overhead"]
    assert min(min(row.torch_ns, row.onnxruntime_ns) for row in others) >= 0
