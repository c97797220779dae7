from pathlib import Path

import pytest

from attrib.capture.config.options import check_options
from attrib.errors import UsageError
from attrib.model.capture_options import CaptureOptions


def test_defaults_are_accepted_as_they_are():
    options = CaptureOptions(model="bert-base-uncased")
    check_options(options)
    assert options == CaptureOptions(model="bert-base-uncased")
    assert (options.exporter, options.opt_level, options.precision, options.device) == (
        "dynamo",
        "all",
        "fp32",
        "cpu",
    )


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"batch_size": 0}, "--batch-size"),
        ({"seq_len": -1}, "--seq-len"),
        ({"threads": 0}, "--threads"),
        ({"iterations": 0}, "--iterations"),
        ({"warmup": -1}, "--warmup"),
        ({"seed": -1}, "--seed"),
        ({"seed": -12345678}, "--seed must be at least 0, not -12345678"),
        ({"timeout": -0.5}, "--timeout must be at least 0, not -0.5"),
        ({"padding": 1.0}, "--padding"),
        ({"padding": float("nan")}, "--padding"),
        ({"precision": "int8"}, "int8"),
        ({"task": "cooking"}, "unknown task 'cooking'"),
        ({"text": ("a",), "padding": 0.5}, "--text and --padding"),
        ({"onnx": Path("m.onnx"), "opset": 17}, "--opset"),
        ({"onnx": Path("m.onnx"), "against_itself": "torch"}, "--onnx"),
    ],
)
def test_what_cannot_be_measured_is_refused_by_name(wrong, says):
    with pytest.raises(UsageError, match=says):
        check_options(CaptureOptions(model="bert-base-uncased", **wrong))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("openvin", "--provider openvino"),
        ("OpenVinoExecutionProvider", "--provider openvino"),
        ("cudaa", "--provider cuda"),
        ("nonsense", "--provider with cpu"),
    ],
)
def test_a_provider_that_there_is_not_is_refused_at_once(name, meant):
    with pytest.raises(UsageError, match=f"there is no execution provider '{name}'") as refused:
        check_options(CaptureOptions(model="mlp", providers=(name,)))
    assert meant in refused.value.hint


@pytest.mark.parametrize("name", ["VitisAIExecutionProvider", "openvino", "CPUExecutionProvider"])
def test_a_provider_that_attrib_does_not_know_may_still_be_one(name):
    check_options(CaptureOptions(model="mlp", providers=(name,)))
