"""What the ONNX Runtime worker loads for a CUDA device, and what it says where kernels cannot be recorded."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from attrib.capture.ort import device_trace as ort_device
from attrib.capture.ort.device_trace import (
    Libraries,
    cuda_settings,
    load_libraries,
    recorder_of,
    replays_graph,
)
from tests.capture.device_fakes import Session

CUDA = "CUDAExecutionProvider"


@pytest.fixture
def loaded(monkeypatch):
    """A machine with a driver; the names of what is loaded."""
    found = []
    monkeypatch.setattr(ort_device, "_has_driver", lambda: True)
    monkeypatch.setattr(ort_device, "_preload", lambda: found.append("preloaded"))
    monkeypatch.setattr(ort_device.ort, "cuda_version", "13.0", raising=False)

    def use(torch, profiler=None):
        parts = {"torch": torch, "torch.profiler": profiler}

        def imported(name):
            found.append(name)
            if parts[name] is None:
                raise ImportError(f"No module named {name!r}")
            return parts[name]

        monkeypatch.setattr(ort_device.importlib, "import_module", imported)
        return found

    return use


def torch_with(cuda, *, usable=True):
    return SimpleNamespace(
        version=SimpleNamespace(cuda=cuda), cuda=SimpleNamespace(is_available=lambda: usable)
    )


def profiler(*, cupti=True):
    activity = SimpleNamespace(CUDA="cuda", CPU="cpu")
    return SimpleNamespace(
        ProfilerActivity=activity, supported_activities=lambda: {"cpu", *(["cuda"] if cupti else [])}
    )


@pytest.mark.parametrize(
    ("torch", "with_profiler", "lacks", "preloads"),
    [
        (None, None, "this interpreter has no PyTorch", True),
        (torch_with(None), profiler(), "its PyTorch is a CPU build", True),
        (torch_with("13.0", usable=False), profiler(), "finds no usable GPU", False),
        (torch_with("13.0"), profiler(cupti=False), "without CUPTI", False),
        (torch_with("12.8"), profiler(cupti=False), "without CUPTI", True),
    ],
)
def test_kernels_that_cannot_be_recorded_are_said(loaded, tmp_path, torch, with_profiler, lacks, preloads):
    names = loaded(torch, with_profiler)
    libraries = load_libraries((CUDA,), tmp_path)
    recorder, notes = recorder_of(Session(CUDA), libraries)
    assert recorder is None
    assert len(notes) == 1
    assert "not recorded" in notes[0]
    assert lacks in notes[0]
    assert ("preloaded" in names) == preloads


def test_session_that_landed_on_the_cpu_has_no_kernels_to_miss():
    assert recorder_of(Session(), Libraries(lacks="no PyTorch")) == (None, [])


def test_torch_is_not_imported_where_nothing_is_profiled(loaded):
    names = loaded(torch_with("13.0"), profiler())
    assert load_libraries((CUDA,), None) == Libraries()
    assert names == ["preloaded"]


@pytest.mark.parametrize("providers", [("CPUExecutionProvider",), ("OpenVINOExecutionProvider",)])
def test_other_providers_load_nothing(loaded, tmp_path, providers):
    names = loaded(torch_with("13.0"), profiler())
    assert load_libraries(providers, tmp_path) == Libraries()
    assert names == []


def test_without_a_driver_nothing_is_loaded(loaded, monkeypatch, tmp_path):
    names = loaded(torch_with("13.0"), profiler())
    monkeypatch.setattr(ort_device, "_has_driver", lambda: False)
    assert load_libraries((CUDA,), tmp_path) == Libraries()
    assert names == []


def test_options_that_bear_on_speed_are_those_of_the_first_provider_of_nvidias():
    held = {CUDA: {"use_tf32": "1", "gpu_external_alloc": "0"}, "CPUExecutionProvider": {}}
    assert cuda_settings(Session(CUDA, options=held)) == {"use_tf32": "1"}
    assert cuda_settings(Session(options=held)) == {}


@pytest.mark.parametrize(
    ("providers", "given", "expected"),
    [
        ((CUDA,), {CUDA: {"enable_cuda_graph": "1"}}, True),
        ((CUDA,), {CUDA: {"enable_cuda_graph": "0"}}, False),
        ((CUDA,), {}, False),
        ((), {CUDA: {"enable_cuda_graph": "1"}}, False),
    ],
)
def test_graph_is_replayed_where_it_was_asked_for_and_can_be(providers, given, expected):
    assert replays_graph(Session(*providers), given) is expected


def test_worker_imports_no_torch_for_the_cpu(cli, root: Path):
    import subprocess
    import sys

    code = "import sys, attrib.capture.ort.engine; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
