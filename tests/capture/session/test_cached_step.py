"""A step of decoding, captured on real engines: what keeps the cache is a cause, and all of it is matched by values."""

import pytest

from attrib.api import Analysis, load

pytestmark = pytest.mark.engines

BRIEFLY = ("--threads", "1", "--iterations", "2", "--rounds", "2", "--warmup", "1", "--no-report")


@pytest.fixture
def captured(cli, tmp_path):
    """Captures one layer of a model with a cache of 24 tokens."""

    def run(model: str, *more: str) -> Analysis:
        given = ("--model", model, "--layers", "1", "--cache-length", "24", *BRIEFLY, "-o", tmp_path / "dir")
        done = cli("profile", *given, *more)
        assert done.returncode == 0, done.stderr
        return load(tmp_path / "dir")

    return run


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("gpt2", ()),
        pytest.param("SmolLM2-135M", (), marks=pytest.mark.slow),
        pytest.param("gpt2", ("--exporter", "torchscript"), marks=pytest.mark.slow),
        pytest.param("bart-base", ("--seq-len", "16"), marks=pytest.mark.slow),
        pytest.param("t5-small", ("--exporter", "torchscript", "--seq-len", "16"), marks=pytest.mark.slow),
    ],
    ids=["gpt2", "grouped heads", "traced", "with an encoder", "traced with an encoder"],
)
def test_what_keeps_the_cache_is_a_cause_on_both_sides(captured, model, more):
    document = captured(model, *more).document
    work = document.workload
    assert (work.seq_len, work.cache_length) == (16 if "--seq-len" in more else 1, 24)
    assert work.task == "text-generation"
    part = "decoder." if "--seq-len" in more else ""
    assert {one.name for one in work.inputs} >= {
        f"past_key_values.0.{part}{what}" for what in ("key", "value")
    }
    (cache,) = (cause for cause in document.causes if cause.cause == "cache")
    rows = [row for row in document.ledger if row.cause == "cache"]
    assert cache.torch_ns > 0
    assert cache.onnxruntime_ns > 0
    assert sum("aten::cat" in op for row in rows for op in row.torch_ops) == 2
    assert [op for row in rows for op in row.onnx_ops].count("Concat") == 2
    assert sum(row.delta_ns for row in document.ledger) == document.latency.delta_ns.median
    assert document.coverage.ort_node_time_mapped > 0.97
    assert document.coverage.ort_node_time_verified > 0.97
    assert all(found.equal for found in document.outputs)


def test_what_cannot_be_beside_a_cache_is_refused_in_one_line(cli, tmp_path):
    for more, said in (
        (("--padding", "0.5"), "--padding does not apply to a step with --cache-length"),
        (("--dynamic-shapes",), "--dynamic-shapes does not apply to a step with --cache-length"),
    ):
        done = cli("profile", "--model", "gpt2", "--cache-length", "8", *more, "-o", tmp_path / "dir")
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr
