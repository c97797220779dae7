"""Whether attrib can work on this machine: every check with what was found, and what to do where something is wrong."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec

from attrib.capture.system.environment import (
    accelerators,
    cpu_model,
    cpu_quotas,
    current_load,
    memory_bytes,
    package_versions,
    thread_count,
    usable_cores,
)
from attrib.capture.system.interpreter import check_interpreter
from attrib.capture.system.providers import (
    ProviderStatus,
    RuntimeInfo,
    TorchInfo,
    probe_providers,
    probe_runtime,
    probe_torch,
)
from attrib.model.execution_providers import CPU_PROVIDER, CUDA_PROVIDER, ONNX_RUNTIME, uses_cuda

HealthState = Literal["ok", "note", "warn", "fail"]
"""`fail`: the main job cannot run; `warn`: something that was meant to work does not; `note`: good to know."""

GIB = 1 << 30
TEMPORARY_GIB = 2.0
"""BERT-base is exported twice, 0.44 GB of weights each, and ONNX Runtime writes its optimized copy beside them."""

OUTPUT_GIB = 0.2
"""Traces of a large model with their report take some tens of megabytes."""

MEMORY_GIB = 3.0
"""Both engines' workers hold the weights and their libraries: about 1.3 GB each for BERT-base."""

LOAD_PER_CORE = 0.5

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ORT_INTRA_OP_NUM_THREADS")
"""Variables that change an engine's threads behind the back of `--threads`."""

EXPORT_PACKAGES = ("onnx", "onnxscript", "transformers")


class HealthCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One check: what was looked at, what was found, and the cure where there is something to cure."""

    section: str
    name: str
    state: HealthState
    detail: str
    fix: str = ""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Every check. `healthy`: the main job can run on the CPU."""

    healthy: bool
    checks: tuple[HealthCheck, ...]


def examine(ort_python: Path | None = None) -> Health:
    """Check this machine; engines and providers are tried in processes of their own, at the same time.

    Args:
        ort_python: The interpreter whose ONNX Runtime is meant; None for attrib's own.

    Raises:
        AttribError: That interpreter cannot run ONNX Runtime's worker.
    """
    interpreter = str(check_interpreter(ort_python)) if ort_python else sys.executable
    with ThreadPoolExecutor() as pool:
        torch, gpus = pool.submit(probe_torch), pool.submit(accelerators)
        runtime = probe_runtime(interpreter=interpreter)
        providers = probe_providers(runtime, interpreter=interpreter)
        packages = package_versions()
        if ort_python is not None:
            packages = packages_elsewhere(packages, runtime)
        return assess(runtime, torch.result(), providers, gpus.result(), packages)


def packages_elsewhere(packages: Mapping[str, str], runtime: RuntimeInfo) -> dict[str, str]:
    """The packages that count where ONNX Runtime is another environment's: its own instead of attrib's."""
    own = {name: packages[name] for name in packages if not name.startswith(ONNX_RUNTIME)}
    return own | ({runtime.package: runtime.version} if runtime.package else {})


def assess(
    runtime: RuntimeInfo,
    torch: TorchInfo,
    providers: Sequence[ProviderStatus],
    gpus: Sequence[str],
    packages: Mapping[str, str],
) -> Health:
    """Turn what the probes found into checks.

    Args:
        runtime: ONNX Runtime.
        torch: PyTorch.
        providers: Every execution provider that was tried.
        gpus: NVIDIA GPUs with their driver.
        packages: Installed versions by package.
    """
    checks = (
        *_software(runtime, torch, packages),
        *(_provider(status, gpus) for status in providers),
        *_cuda(runtime, torch, gpus),
        *_processor(os.environ),
        *_space(),
    )
    return Health(healthy=not any(check.state == "fail" for check in checks), checks=checks)


def _software(runtime: RuntimeInfo, torch: TorchInfo, packages: Mapping[str, str]) -> Iterator[HealthCheck]:
    check = partial(HealthCheck, section="Software")
    yield check(name="Python", state="ok", detail=sys.version.split()[0])
    if torch.error or not torch.computes:
        detail = torch.error or f"{torch.version} computes wrong results"
        yield check(name="PyTorch", state="fail", detail=detail, fix="pip install --force-reinstall torch")
    else:
        yield check(name="PyTorch", state="ok", detail=torch.version)
    installed = [name for name in packages if name.startswith(ONNX_RUNTIME)]
    if runtime.error:
        fix = f"pip install --force-reinstall {installed[0] if installed else ONNX_RUNTIME}"
        yield check(name="ONNX Runtime", state="fail", detail=runtime.error, fix=fix)
    elif len(installed) > 1:
        detail = f"{' and '.join(installed)} overwrite each other's files"
        fix = f"pip uninstall -y {' '.join(installed)}, then install the one that you need"
        yield check(name="ONNX Runtime", state="warn", detail=detail, fix=fix)
    else:
        package = f" ({installed[0]})" if installed else ""
        yield check(name="ONNX Runtime", state="ok", detail=f"{runtime.version}{package}")
    for name in EXPORT_PACKAGES:
        if name in packages:
            yield check(name=name, state="ok", detail=packages[name])
        else:
            yield check(name=name, state="fail", detail="not installed", fix=f"pip install {name}")


_CURES = {
    "driver": "install the NVIDIA driver, or give the container its GPU (`docker run --gpus all`)",
    "cuda": "pip install 'onnxruntime-gpu[cuda,cudnn]'",
    "cudnn": "pip install 'onnxruntime-gpu[cudnn]'",
    "tensorrt": f"pip install tensorrt, or use {CUDA_PROVIDER}",
    "openvino": "pip install --force-reinstall onnxruntime-openvino",
    "rocm": "install ROCm",
}


def _provider(status: ProviderStatus, gpus: Sequence[str]) -> HealthCheck:
    check = partial(HealthCheck, section="Execution providers", name=status.name)
    if status.loads:
        return check(state="ok", detail="loads and computes")
    if not status.built:
        return check(state="note", detail=status.reason)
    if status.name == CPU_PROVIDER:
        fix = "reinstall onnxruntime: without this provider nothing runs"
        return check(state="fail", detail=status.reason, fix=fix)
    if uses_cuda([status.name]) and not gpus:
        fix = f"nothing on this machine, it has no NVIDIA GPU; with one: {_CURES.get(status.missing, 'see above')}"
        return check(state="note", detail=status.reason, fix=fix)
    fix = _CURES.get(status.missing, f"`--provider {CPU_PROVIDER}` does without it")
    return check(state="warn", detail=status.reason, fix=fix)


def _cuda(runtime: RuntimeInfo, torch: TorchInfo, gpus: Sequence[str]) -> Iterator[HealthCheck]:
    check = partial(HealthCheck, section="CUDA")
    if not gpus:
        yield check(name="NVIDIA GPU", state="note", detail="none found: both engines run on the CPU")
    for gpu in gpus:
        yield check(name="NVIDIA GPU", state="ok", detail=gpu)
    ours = f"CUDA {torch.cuda}{_cudnn(torch.cudnn)}" if torch.cuda else "CPU only"
    theirs = f"CUDA {runtime.cuda}{_cudnn(runtime.cudnn)}" if runtime.cuda else "CPU only or not stated"
    detail, fix = f"PyTorch: {ours}; ONNX Runtime: {theirs}", ""
    if gpus and not torch.cuda:
        fix = "install PyTorch's CUDA build (pytorch.org, Get Started) to profile on the GPU"
    elif gpus and not torch.gpus:
        detail, fix = f"{detail}; PyTorch cannot use the GPU", "update the NVIDIA driver"
    elif gpus and runtime.cuda and runtime.cuda.split(".")[0] != torch.cuda.split(".")[0]:
        fix = "install builds for the same CUDA version: the engines then share its libraries"
    state: HealthState = "warn" if fix else "ok" if gpus else "note"
    yield check(name="Built for", state=state, detail=detail, fix=fix)


def _cudnn(version: str) -> str:
    """Version of cuDNN as PyTorch gives it: 91002 is 9.10.2."""
    if not version.isdecimal():
        return f" and cuDNN {version}" if version else ""
    number = int(version)
    return f" and cuDNN {number // 10000}.{number // 100 % 100}.{number % 100}"


def _processor(variables: Mapping[str, str]) -> Iterator[HealthCheck]:
    check = partial(HealthCheck, section="Processor")
    yield check(name="Model", state="ok", detail=cpu_model())
    usable, logical, threads = usable_cores(), os.cpu_count() or 1, thread_count(None)
    detail = f"{usable:g} usable of {logical}; attrib uses {threads} thread{'' if threads == 1 else 's'}"
    quotas = cpu_quotas()
    if quotas and min(quotas) < logical:
        detail = f"{detail} (cgroup quota {min(quotas):g})"
        fix = (
            "in your own code set the engines' threads too: ONNX Runtime sizes its pool from the host's cores"
        )
        yield check(name="Cores", state="note", detail=detail, fix=fix)
    else:
        yield check(name="Cores", state="ok", detail=detail)
    found = [name for name in THREAD_VARIABLES if variables.get(name, "").isdecimal()]
    if found:
        detail = ", ".join(f"{name}={variables[name]}" for name in found)
        fix = f"attrib sets both engines itself; `unset {' '.join(found)}` to be sure"
        yield check(name="Variables", state="note", detail=detail, fix=fix)
    load = current_load()
    busy = load > LOAD_PER_CORE * usable
    fix = "stop other programs before you measure" if busy else ""
    yield check(name="Load", state="warn" if busy else "ok", detail=f"{load:g}", fix=fix)


def _space() -> Iterator[HealthCheck]:
    check = partial(HealthCheck, section="Memory and disk")
    memory = memory_bytes() / GIB
    short = memory < MEMORY_GIB
    fix = "take a smaller model: BERT-base needs about three" if short else ""
    yield check(name="Memory", state="warn" if short else "ok", detail=f"{memory:.1f} GiB", fix=fix)
    for name, folder, needed, fix in (
        (
            "Temporary files",
            Path(tempfile.gettempdir()),
            TEMPORARY_GIB,
            "free some, or set TMPDIR to a larger disk",
        ),
        ("This directory", Path.cwd(), OUTPUT_GIB, "free some, or write elsewhere with -o"),
    ):
        free = shutil.disk_usage(folder).free / GIB
        if not os.access(folder, os.W_OK):
            yield check(name=name, state="warn", detail="not writable", fix=fix)
        elif free < needed:
            yield check(name=name, state="warn", detail=f"{free:.1f} GiB free, {needed:g} needed", fix=fix)
        else:
            yield check(name=name, state="ok", detail=f"{free:.1f} GiB free")
