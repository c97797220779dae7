"""A capture of a compressed model: both engines run it, it says so, and `attrib verify` measures one more on top of it."""

import pytest

from attrib.api import load
from attrib.capture import CaptureOptions, capture
from attrib.verify import run
from attrib.verify.plan import Request

pytestmark = [pytest.mark.engines, pytest.mark.slow]


def test_both_engines_run_the_pruned_model_and_int8_is_measured_or_refused_in_words(tmp_path):
    out = tmp_path / "trace"
    capture(
        CaptureOptions(
            model="distilbert-base-uncased",
            layers=1,
            seq_len=16,
            compress=("prune-heads=0.5",),
            output=out,
            rounds=2,
            iterations=2,
            warmup=2,
            launches=1,
            max_time=0.0,
        )
    )
    analysis = load(out)
    workload = analysis.document.workload
    (done,) = workload.compressed
    assert done.what == "left out 6 of 12 heads in 1 attention layer, those with the smallest weights"
    assert done.apart > 0
    assert workload.compressible == ("prune-heads", "int8-dynamic", "int8-weight-only")
    assert all(row.equal for row in analysis.document.outputs)
    names = ("torch-compress-int8-dynamic", "compress-int8-dynamic", "compress-prune-heads")
    results = {
        result.id: result
        for result in run(out, Request(experiments=names), rounds=2, iterations=2, launches=1, max_time=0.0)
    }
    measured = results["torch-compress-int8-dynamic"]
    assert (measured.state, measured.flags) == ("measured", "--compress int8-dynamic")
    assert measured.predicted.kind == "at_most"
    assert measured.outputs[0].max_rel > 0
    refused = results["compress-int8-dynamic"]
    assert refused.state == "failed"
    assert "the dynamo exporter cannot export this model" in refused.reason
    assert "--optimize int8-dynamic" in refused.reason
    again = results["compress-prune-heads"]
    assert (again.state, again.changes_numbers, again.outputs_equal) == ("measured", True, False)
