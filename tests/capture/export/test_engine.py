import errno

import numpy as np
import pytest

from attrib.errors import AttribError

pytestmark = pytest.mark.engines


def caught(first, second):
    """The second error as it is when it was raised because of the first."""
    second.__cause__ = first
    return second


def test_reason_is_the_first_line_of_the_innermost_cause():
    from attrib.errors import reason

    error = caught(ValueError("\n  the real reason\nand a page of advice"), RuntimeError("Failed to export"))
    assert reason(error) == "ValueError: the real reason"


def test_reason_without_a_text_is_its_type():
    from attrib.errors import reason

    assert reason(NotImplementedError()) == "NotImplementedError"


def test_full_disk_is_recognized_through_the_exporters_own_error():
    from attrib.errors import is_full_disk

    assert is_full_disk(caught(OSError(errno.ENOSPC, "No space left on device"), RuntimeError("Failed")))
    assert not is_full_disk(caught(OSError(errno.ENOENT, "No such file"), RuntimeError("Failed")))


@pytest.mark.parametrize(
    "wrapper", [RuntimeError("Failed"), AttribError("the exporter cannot export this model")]
)
def test_worker_names_a_full_disk_and_the_way_out(wrapper):
    from attrib.capture.workers.worker import failure

    failed = failure(caught(OSError(errno.ENOSPC, "No space left on device"), wrapper))
    assert "no space left" in failed.message
    assert "TMPDIR" in failed.hint


def recipe(factories, function="named", **changes):
    from attrib.capture.workers.messages import Recipe

    values = {
        "kind": "factory", "location": f"{factories}:{function}", "task": "", "batch_size": 1, "seq_len": 8,
        "device": "cpu", "precision": "fp32", "attention": "sdpa", "seed": 0, "padding": 0.0,
    } | changes  # fmt: skip
    return Recipe(**values)


def test_one_recipe_builds_one_model(factories):
    import torch

    from attrib.capture.workload.build import build
    from attrib.capture.workload.weights import fingerprint

    first, second = build(recipe(factories)), build(recipe(factories))
    assert fingerprint(first.module) == fingerprint(second.module)
    assert torch.equal(first.inputs["x"], second.inputs["x"])
    assert not first.module.training
    assert not any(parameter.requires_grad for parameter in first.module.parameters())


def test_outputs_are_flattened_by_name_without_the_absent_ones(factories):
    from attrib.capture.workload.build import build

    assert list(build(recipe(factories)).first_outputs()) == ["hidden", "pair.0", "pair.1"]


def test_cuda_is_refused_where_there_is_none(factories):
    import torch

    from attrib.capture.workload.build import build

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(AttribError, match="--device cuda"):
        build(recipe(factories, device="cuda"))


@pytest.mark.parametrize(("precision", "dtype"), [("fp16", "torch.float16"), ("bf16", "torch.bfloat16")])
def test_precision_casts_the_model_and_its_floating_inputs(factories, precision, dtype):
    from attrib.capture.workload.build import build

    built = build(recipe(factories, precision=precision))
    assert {str(parameter.dtype) for parameter in built.module.parameters()} == {dtype}
    assert {str(value.dtype) for value in built.inputs.values()} == {dtype}


def test_module_ranges_carry_qualified_names_and_their_hooks_go_again(factories):
    import torch
    from torch.profiler import profile

    from attrib.capture.pytorch.scopes import module_scopes
    from attrib.capture.workload.build import build
    from attrib.traces.recording.recording import MODULE_RANGE

    built = build(recipe(factories))
    with torch.inference_mode(), module_scopes(built.module), profile() as profiler:
        built.step()
    names = [event.name for event in profiler.events() if event.name.startswith(MODULE_RANGE)]
    assert sorted(names) == ["module: ", "module: first", "module: second"]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in built.module.modules())


def test_calibrated_costs_are_plausible(tmp_path):
    import torch

    from attrib.capture.ort import overhead as ort_overhead
    from attrib.capture.pytorch import overhead as torch_overhead
    from attrib.capture.session.phase_write import CHAIN_NODES, write_chain

    with torch.inference_mode():
        torch_cost = torch_overhead.measure_overhead()
    write_chain(tmp_path / "chain.onnx", CHAIN_NODES[0])
    ort_cost = ort_overhead.measure_overhead(tmp_path / "chain.onnx", CHAIN_NODES[0], 1)
    assert 0 < torch_cost.step_ns < 200_000
    assert 0 <= ort_cost.session_ns < ort_cost.inside_ns + ort_cost.outside_ns
    for cost in (torch_cost, ort_cost):
        assert 50 < cost.inside_ns + cost.outside_ns < 200_000
        assert cost.inside_ns >= 0
        assert cost.outside_ns >= 0
    assert [path.name for path in tmp_path.iterdir()] == ["chain.onnx"]


def test_nothing_is_optimized_out_of_the_calibration_chain(tmp_path):
    from attrib.capture.ort.overhead import _session
    from attrib.capture.session.phase_write import CHAIN_NODES, write_chain

    write_chain(tmp_path / "chain.onnx", CHAIN_NODES[0])
    session = _session(tmp_path / "chain.onnx", 1, tmp_path / "profile")
    session.run(None, {"v0": np.ones(1, np.float32)})
    text = (tmp_path / session.end_profiling()).read_text()
    assert text.count('"cat" : "Node"') == CHAIN_NODES[0]
