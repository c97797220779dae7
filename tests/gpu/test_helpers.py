"""The helpers of the tests on a GPU, as far as they need none."""

import gzip
import json
import warnings

import numpy as np
import onnxruntime as ort
import pytest
from gpu_cases import CASES, SINGLE, options_of, single_options
from gpu_record import figures_of, provenance
from gpu_truth import PlainStep, plain_steps

from attrib.capture.config.options import check_options
from attrib.traces import read_kineto
from attrib.traces.recording.intervals import union_ns


def test_plain_sums_are_those_published_with_a_recorded_trace(shared_traces):
    (step,) = plain_steps(shared_traces / "kineto_bert_small_h100.json", "ProfilerStep#")
    assert (step.kernels, step.kernels_ns, step.copies_ns) == (60, 307_197, 2_240)
    assert step.wall_ns == 4_426_114
    assert step.copied == {"Memcpy DtoH": 1}


@pytest.mark.parametrize("name", ["kineto_bert_small_h100.json", "kineto_t4_fp32.json"])
def test_plain_sums_and_attribs_agree_on_recorded_traces(shared_traces, name):
    plain = plain_steps(shared_traces / name, "ProfilerStep#")
    table = read_kineto(shared_traces / name)
    work = table.device_work()
    own = table.step_of_device_work()
    assert plain
    for position, step in enumerate(plain):
        rows = work[own == position]
        assert step.sum_ns == table.duration_ns[rows].sum()
        assert step.busy_ns == union_ns(table.start_ns[rows], table.duration_ns[rows])


def test_overlapping_streams_are_busy_once():
    step = PlainStep("s", 100, intervals=[(0, 10), (5, 20), (30, 40), (31, 35)])
    assert step.busy_ns == 30


def test_work_launched_before_a_step_is_not_its_own(tmp_path):
    def event(cat, ts, dur, number, name="k"):
        return {"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": 1, "ts": ts, "dur": dur,
                "args": {"correlation": number, "stream": 7}}  # fmt: skip

    events = [
        event("user_annotation", 100, 50, 0, "attrib.run#3"),
        event("cuda_runtime", 90, 1, 1), event("kernel", 105, 10, 1),
        event("cuda_runtime", 110, 1, 2), event("kernel", 120, 4.5, 2),
    ]  # fmt: skip
    (tmp_path / "t.json").write_text(json.dumps({"traceEvents": events}))
    (step,) = plain_steps(tmp_path / "t.json", "attrib.run#")
    assert step.key() == (1, 4500, 0, 4500)


@pytest.mark.parametrize("case", CASES)
def test_options_of_every_case_are_accepted(case, tmp_path):
    options = options_of(case, tmp_path)
    check_options(options)
    assert options.device == "cuda"


@pytest.mark.engines
@pytest.mark.parametrize("factory", SINGLE)
def test_single_op_is_one_node_of_that_op_for_onnx_runtime(factory, tmp_path):
    """At a small size, on the CPU: what the large one is on a device."""
    import gpu_factories
    import onnx
    import torch

    module, inputs = getattr(gpu_factories, factory)(64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), (inputs["x"],), tmp_path / "m.onnx", input_names=["x"], dynamo=True, verbose=False
        )
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "o.onnx")
    session = ort.InferenceSession(str(tmp_path / "m.onnx"), options, providers=["CPUExecutionProvider"])
    assert [node.op_type for node in onnx.load(tmp_path / "o.onnx").graph.node] == [SINGLE[factory]]
    (output,) = session.run(None, {"x": inputs["x"].numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(output, module(inputs["x"]).numpy(), rtol=1e-3, atol=1e-5)
    check_options(single_options(factory, tmp_path))


@pytest.mark.engines
def test_planted_fallback_is_in_the_middle_of_the_encoder(monkeypatch):
    import gpu_factories
    import torch

    monkeypatch.setenv("ATTRIB_GPU_LAYERS", "2")
    module, inputs = gpu_factories.fallback()
    with torch.no_grad():
        planted = module.eval()(**inputs)
        module.op = torch.nn.Identity()
        plain = module(**inputs)
    assert planted.shape == plain.shape == (1, 128, 768)
    assert not torch.allclose(planted, plain)


def test_figures_of_a_recording_are_plain_sums_of_its_traces(tmp_path):
    def event(cat, ts, dur, number, name, **args):
        return {"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": 1, "ts": ts, "dur": dur,
                "args": {"correlation": number, "stream": 7, **args}}  # fmt: skip

    events = [
        event("user_annotation", 100, 50, 0, "attrib.run#0"),
        event("cuda_runtime", 101, 1, 1, "cudaLaunchKernel"),
        event("kernel", 105, 10, 1, "k"),
        event("cuda_runtime", 110, 1, 2, "cudaMemcpyAsync"),
        event("gpu_memcpy", 120, 4, 2, "Memcpy DtoH (Device -> Pinned)", bytes=64),
    ]
    (tmp_path / "ort").mkdir()
    with gzip.open(tmp_path / "ort/device.json.gz", "wt") as stream:
        json.dump({"traceEvents": events}, stream)
    assert figures_of(tmp_path) == {
        "ort/device.json.gz": [
            {"step": "attrib.run#0", "wall_ns": 50_000, "kernels": 1, "kernels_ns": 10_000, "copies_ns": 4_000,
             "busy_ns": 14_000, "streams": 1, "copied_bytes": {"Memcpy DtoH": 64}},
        ]
    }  # fmt: skip


def test_provenance_names_versions_and_no_machine():
    import socket

    text = provenance({"fp32-b1": "attrib profile --model bert-base-uncased"})
    assert "attrib profile --model bert-base-uncased" in text
    assert "torch" in text
    assert socket.gethostname() not in text
