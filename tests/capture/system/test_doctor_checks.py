"""How probes become checks: what is wrong ends with what to do, and only what the main job needs can fail."""

import shutil
from collections import namedtuple

import pytest

from attrib.capture.system import doctor_checks as health
from attrib.capture.system.doctor_checks import assess
from attrib.capture.system.providers import ProviderStatus, RuntimeInfo, TorchInfo
from attrib.model.execution_providers import CPU_PROVIDER

TORCH = TorchInfo(version="2.9.0", computes=True)
GPU_TORCH = TorchInfo(version="2.9.0", computes=True, cuda="13.0", cudnn="91002", gpus=("H100",))
RUNTIME = RuntimeInfo(version="1.31.1", package="onnxruntime-gpu", available=(CPU_PROVIDER,), cuda="13.0")
CPU = ProviderStatus(name=CPU_PROVIDER, built=True, loads=True)
NO_CUDA = ProviderStatus(name="CUDAExecutionProvider", built=True, loads=False, reason="why", missing="cuda")
PACKAGES = {"onnx": "1", "onnxscript": "1", "transformers": "5", "onnxruntime-gpu": "1.31.1"}
GPU = ("H100 (driver 570)",)


def assessed(**changes):
    values = {
        "runtime": RUNTIME,
        "torch": TORCH,
        "providers": (CPU,),
        "gpus": (),
        "packages": PACKAGES,
        **changes,
    }
    return assess(**values)


def check(name, **changes):
    return next(c for c in assessed(**changes).checks if c.name == name)


def test_a_working_machine_is_healthy():
    assert assessed().healthy


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("PyTorch", {"torch": TorchInfo(error="ImportError: x")}),
        ("PyTorch", {"torch": TorchInfo(version="2", computes=False)}),
        ("ONNX Runtime", {"runtime": RuntimeInfo(error="the process crashed (SIGILL)")}),
        ("onnxscript", {"packages": {"onnx": "1", "transformers": "5"}}),
        (
            CPU_PROVIDER,
            {"providers": (ProviderStatus(name=CPU_PROVIDER, built=True, loads=False, reason="x"),)},
        ),
    ],
)
def test_what_the_main_job_needs_fails_with_a_cure(name, changes):
    found = check(name, **changes)
    assert found.state == "fail"
    assert found.detail
    assert found.fix
    assert not assessed(**changes).healthy


def test_two_builds_of_onnx_runtime_are_a_warning():
    found = check("ONNX Runtime", packages={**PACKAGES, "onnxruntime": "1.20"})
    assert found.state == "warn"
    assert "pip uninstall" in found.fix


def test_a_gpu_provider_without_a_gpu_is_only_a_note():
    found = check("CUDAExecutionProvider", providers=(CPU, NO_CUDA))
    assert found.state == "note"
    assert "no NVIDIA GPU" in found.fix


def test_with_a_gpu_it_is_a_warning_with_the_command():
    found = check("CUDAExecutionProvider", providers=(CPU, NO_CUDA), gpus=GPU)
    assert (found.state, found.fix) == ("warn", "pip install 'onnxruntime-gpu[cuda,cudnn]'")


@pytest.mark.parametrize(
    ("torch", "cuda", "state", "says"),
    [
        (GPU_TORCH, "13.0", "ok", "CUDA 13.0 and cuDNN 9.10.2"),
        (GPU_TORCH, "12.8", "warn", "ONNX Runtime: CUDA 12.8"),
        (TORCH, "13.0", "warn", "PyTorch: CPU only"),
        (TorchInfo(version="2", computes=True, cuda="13.0"), "13.0", "warn", "cannot use the GPU"),
    ],
)
def test_the_engines_must_share_a_cuda_version(torch, cuda, state, says):
    runtime = RuntimeInfo(version="1", cuda=cuda)
    found = check("Built for", torch=torch, runtime=runtime, gpus=GPU)
    assert found.state == state
    assert says in found.detail
    assert bool(found.fix) == (state == "warn")


def test_a_cgroup_quota_is_noted(monkeypatch):
    monkeypatch.setattr(health, "cpu_quotas", lambda: (1.5,))
    monkeypatch.setattr(health, "usable_cores", lambda: 1.5)
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    found = check("Cores")
    assert found.state == "note"
    assert "1.5 usable of 64" in found.detail
    assert "cgroup quota 1.5" in found.detail


def test_variables_that_set_threads_are_named(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("MKL_NUM_THREADS", "/home/someone")  # not a number: nothing of it is shown
    found = check("Variables")
    assert found.detail == "OMP_NUM_THREADS=7"


def test_a_busy_machine_is_a_warning(monkeypatch):
    monkeypatch.setattr(health, "current_load", lambda: 99.0)
    assert check("Load").state == "warn"


def test_little_space_is_a_warning(monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1 << 20))
    found = check("Temporary files")
    assert found.state == "warn"
    assert "TMPDIR" in found.fix
    assert assessed().healthy
