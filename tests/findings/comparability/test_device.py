"""What the fairness audit says of the way to and from a device."""

import msgspec
import pytest

from tests.findings.comparability.test_checks import manifest, state

FED, LAUNCHED = "Inputs and outputs lie alike", "Kernels launched alike"
CUDA = ("CUDAExecutionProvider", "CPUExecutionProvider")


def on_gpu(torch="cuda", **settings):
    made = manifest(onnxruntime={"providers": CUDA, "settings": settings})
    side = made.sides["torch"]
    recorded = side.settings | ({"device": torch} if torch else {})
    return msgspec.structs.replace(
        made, sides={**made.sides, "torch": msgspec.structs.replace(side, settings=recorded)}
    )


def test_bound_on_the_device_is_fair_and_says_what_was_measured():
    found = state(FED, on_gpu(io_binding="true", bound_on="cuda"))
    assert found.state == "passed"
    assert "with IO binding" in found.detail


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"io_binding": "false"}, "numpy arrays (measured without IO binding)"),
        ({"io_binding": "true"}, "bound in the host's memory"),
    ],
)
def test_arrays_against_tensors_on_the_device_are_unfair(settings, words):
    found = state(FED, on_gpu(**settings))
    assert found.state == "failed"
    assert words in found.detail
    assert "--io-binding" in found.fix


def test_two_devices_are_unfair():
    found = state(FED, on_gpu(torch="cpu", io_binding="false"))
    assert found.state == "failed"
    assert "PyTorch ran on the CPU" in found.detail
    assert found.effect == "The two devices are compared, not the two engines."


@pytest.mark.parametrize(
    ("torch", "settings"), [("", {"io_binding": "false"}), ("cuda", {}), ("", {"io_binding": "true"})]
)
def test_what_was_not_recorded_is_unknown(torch, settings):
    assert state(FED, on_gpu(torch=torch, **settings)).state == "unknown"


def test_on_the_host_nothing_has_to_be_copied():
    assert state(FED, manifest()).state == "passed"
    assert state(LAUNCHED, manifest()).state == "passed"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"enable_cuda_graph": "1"}, "failed"),
        ({"trt_cuda_graph_enable": "True"}, "failed"),
        ({"enable_cuda_graph": "0"}, "passed"),
        ({}, "passed"),
    ],
)
def test_replayed_graph_against_launches_is_unfair(settings, expected):
    assert state(LAUNCHED, on_gpu(**settings)).state == expected
