"""What providers say when they do not load, and what becomes of probes that crash, hang or talk nonsense."""

import pytest

from attrib.capture.system import providers
from attrib.capture.system.providers import (
    RuntimeInfo,
    explain,
    probe_provider,
    probe_runtime,
    probe_torch,
)
from attrib.model.execution_providers import CPU_PROVIDER

SITE = "/opt/env/lib/python3.11/site-packages/onnxruntime/capi"
SILENT_CUDA = (
    "\x1b[1;31m2026-11-01 10:00:00.1 [E:onnxruntime:Default, provider_bridge_ort.cc:2251 TryGetProviderInfo_CUDA] "
    f"Failed to load library {SITE}/libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: cannot open "
    "shared object file: No such file or directory\x1b[m\n"
    "\x1b[0;93m2026-11-01 10:00:00.2 [W:onnxruntime:Default, onnxruntime_pybind_state.cc:1295 operator()] Failed to "
    "create CUDAExecutionProvider. Require cuDNN 9.* and CUDA 13.*. Please install all dependencies\x1b[m\n"
)


@pytest.mark.parametrize(
    ("log", "cuda", "reason", "missing"),
    [
        (SILENT_CUDA, "13.0", "libcublasLt.so.13 not found: CUDA 13 libraries are missing", "cuda"),
        (SILENT_CUDA, "", "libcublasLt.so.13 not found: CUDA libraries are missing", "cuda"),
        (
            "libcudnn.so.9: cannot open shared object file: x",
            "13.0",
            "libcudnn.so.9 not found: cuDNN is missing",
            "cudnn",
        ),
        (
            "libnvinfer.so.10: cannot open shared object file: x",
            "13.0",
            "libnvinfer.so.10 not found: TensorRT is missing",
            "tensorrt",
        ),
        (
            "libcuda.so.1: cannot open shared object file: x",
            "13.0",
            "libcuda.so.1 not found: the NVIDIA driver is missing",
            "driver",
        ),
        ("libstrange.so: cannot open shared object file: x", "13.0", "libstrange.so not found", ""),
        (
            'Error loading "C:\\x\\onnxruntime_providers_cuda.dll" which depends on "cublasLt64_13.dll" which is missing.',
            "13.0",
            "cublasLt64_13.dll not found: CUDA 13 libraries are missing",
            "cuda",
        ),
        (
            "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=0 ; hostname=box",
            "13.0",
            "CUDA: CUDA driver version is insufficient for CUDA runtime version",
            "driver",
        ),
        (
            "Failed to create CUDAExecutionProvider. Require cuDNN 9.* and CUDA 13.*. Please",
            "13.0",
            "needs cuDNN 9.* and CUDA 13.*",
            "cuda",
        ),
        ("", "", "it fell back to the CPU without saying why", ""),
    ],
)
def test_the_reason_is_one_line(log, cuda, reason, missing):
    assert explain("", log, cuda) == (reason, missing)


def test_an_unknown_reason_is_its_last_line_without_paths_and_prefix():
    log = f"first\n2026 [E:onnxruntime:Default, x.cc:1 F()] cannot use {SITE}/secret/place.json \x07\n\n"
    reason, _ = explain("", log, "")
    assert "onnxruntime/capi/secret/place.json" in reason
    assert "/opt/env" not in reason
    assert "[E:" not in reason
    assert reason.isprintable()


def test_an_endless_reason_is_cut():
    reason, _ = explain("", "x" * 10_000, "")
    assert len(reason) == providers.LONGEST_REASON


@pytest.fixture
def probe(monkeypatch, tmp_path):
    def install(code):
        path = tmp_path / "probe.py"
        path.write_text(code)
        monkeypatch.setattr(providers, "_PROBE", path)

    return install


INFO = RuntimeInfo(version="1", available=("XExecutionProvider", CPU_PROVIDER))


class TestContainment:
    def test_a_crash(self, probe):
        probe("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
        status = probe_provider("XExecutionProvider", INFO)
        assert (status.loads, status.reason) == (False, "the process crashed (SIGSEGV)")

    def test_a_hang(self, probe):
        probe("import time; time.sleep(60)")
        assert probe_provider("XExecutionProvider", INFO, timeout=0.5).reason == "no answer within 0.5 s"

    def test_an_exception(self, probe):
        probe("raise ImportError('no module named engine')")
        assert probe_torch().error == "ImportError: no module named engine"

    def test_nonsense(self, probe):
        probe("print('hello')")
        assert probe_runtime().error == "it answered in a form that attrib does not know"

    def test_a_silent_fallback_is_no_success(self, probe):
        probe('print(\'{"providers": ["CPUExecutionProvider"], "computes": true}\')')
        status = probe_provider("XExecutionProvider", INFO)
        assert not status.loads
        assert status.reason == "it fell back to the CPU without saying why"

    def test_wrong_numbers_are_no_success(self, probe):
        probe('print(\'{"providers": ["XExecutionProvider"], "computes": false}\')')
        assert probe_provider("XExecutionProvider", INFO).reason == "it computes wrong results"

    def test_providers_of_other_builds_are_named_with_their_package(self, probe, monkeypatch):
        monkeypatch.setattr("platform.system", lambda: "Linux")
        probe('print(\'{"providers": ["CPUExecutionProvider"], "computes": true}\')')
        found = {s.name: s for s in providers.probe_providers(RuntimeInfo(available=(CPU_PROVIDER,)))}
        assert found[CPU_PROVIDER].loads
        assert not found["OpenVINOExecutionProvider"].built
        assert "onnxruntime-openvino" in found["OpenVINOExecutionProvider"].reason


@pytest.mark.engines
def test_the_cpu_provider_of_this_machine_loads():
    runtime = probe_runtime()
    assert runtime.error == ""
    assert probe_provider(CPU_PROVIDER, runtime).loads


@pytest.mark.engines
def test_a_provider_that_does_not_exist_has_a_reason():
    status = probe_provider("NoSuchExecutionProvider", probe_runtime())
    assert not status.loads
    assert status.reason


@pytest.mark.engines
def test_pytorch_of_this_machine_computes():
    info = probe_torch()
    assert (info.error, info.computes) == ("", True)
