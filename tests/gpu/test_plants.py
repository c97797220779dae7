"""What was planted is found: a fallback with its copies, arrays that travel, a graph that is replayed."""

import numpy as np
import pytest
from gpu_factories import FALLBACK_OPS
from gpu_truth import plain_steps

from attrib.capture import capture
from attrib.errors import AttribError
from attrib.traces.directory.trace_directory import TraceDirectory

pytestmark = pytest.mark.gpu

CUDA = "CUDAExecutionProvider"


def check(analysis, name):
    return next(check for check in analysis.document.comparability if check.check == name)


def copies(analysis, *directions, cause):
    split = analysis.partitions["onnxruntime"].split
    return [c for c in split.copies if c.direction in directions and c.cause == cause]


def test_planted_fallback_is_named_with_its_time(made):
    analysis = made("fallback")
    partition = analysis.partitions["onnxruntime"]
    outside = [work for work in partition.work if work.provider != CUDA]
    planted = [work for work in outside if work.op in FALLBACK_OPS]
    assert planted, "the CUDA provider has a kernel for the planted op: ATTRIB_GPU_OP chooses another one"
    finding = next(found for found in analysis.document.findings if found.id == "fallback-nodes")
    assert finding.state == "failed"
    assert planted[0].id in str(finding)


def test_copies_of_the_planted_fallback_go_both_ways_and_have_its_size(made):
    """The island's input and output are one hidden state: 128 tokens of 768 floats."""
    analysis = made("fallback")
    size = 128 * 768 * 4
    for direction in ("DtoH", "HtoD"):
        found = copies(analysis, direction, cause="node")
        assert size in {int(copy.bytes[0]) for copy in found}, direction


def test_numpy_arrays_travel_in_every_step_and_bound_ones_do_not(made):
    fed, bound = made("fp32-b1"), made("fp32-b1-bound")
    sent = sum(int(copy.bytes[0]) for copy in copies(fed, "HtoD", cause="input"))
    inputs = np.load(fed.directory.root / "inputs.npz")
    assert sent >= max(inputs[name].nbytes for name in inputs.files)
    assert sum(int(copy.bytes[0]) for copy in copies(fed, "DtoH", cause="output")) > 0
    assert copies(bound, "HtoD", "DtoH", cause="input") == []
    assert copies(bound, "HtoD", "DtoH", cause="output") == []


def test_report_says_which_way_was_measured(made):
    name = "Inputs and outputs lie alike"
    assert check(made("fp32-b1"), name).state == "failed"
    assert check(made("fp32-b1-bound"), name).state == "passed"


def test_graph_is_replayed_in_plain_runs_and_launched_in_profiled_ones(made):
    analysis = made("fp32-b1-graph")
    assert check(analysis, "Kernels launched alike").state == "failed"
    steps = plain_steps(analysis.directory.root / "ort/device.json.gz", "attrib.run#")
    bound = plain_steps(made("fp32-b1-bound").directory.root / "ort/device.json.gz", "attrib.run#")
    assert {step.kernels for step in steps} == {step.kernels for step in bound}


def test_replayed_graph_is_no_slower_than_launching(made):
    graph, bound = (made(case).document.latency.onnxruntime_ns for case in ("fp32-b1-graph", "fp32-b1-bound"))
    assert graph.low <= bound.high


def test_graph_that_cannot_hold_the_model_is_refused_with_the_way_out(tmp_path):
    from gpu_cases import options_of

    with pytest.raises(AttribError) as caught:
        capture(options_of("fallback", tmp_path / "out", cuda_graph=True))
    assert "--cuda-graph" in (caught.value.hint or "")


def test_rounding_of_both_engines_is_recorded(made):
    directory: TraceDirectory = made("fp32-b1").directory
    sides = directory.manifest.sides
    assert sides["onnxruntime"].settings["use_tf32"] in ("0", "1")
    assert sides["torch"].settings["cuda_matmul_tf32"] in ("false", "true")
    assert check(made("fp32-b1"), "Same rounding of float32 products").state != "unknown"
