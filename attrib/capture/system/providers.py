"""Which engines and execution providers really work on this machine, and why the others do not.

`onnxruntime.get_available_providers()` lists what a build was compiled with. Whether a provider loads shows only when a
session asks for it, and then ONNX Runtime falls back to the CPU without raising: so each is tried, in its own process.
"""

import functools
import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from attrib.capture.system.interpreter import foreign_environment, printable
from attrib.model.execution_providers import well_known_on
from attrib.scrub import scrub

TIMEOUT = 20.0
"""Seconds for one question. On CPU an answer takes one to three; TensorRT's first start takes up to ten."""

AT_ONCE = 3
"""Probes at a time: each imports an engine, and small machines have little memory."""

LONGEST_REASON = 160

_PROBE = Path(__file__).with_name("probe.py")


class RuntimeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """ONNX Runtime as installed. `error` is one line, empty where it can be imported."""

    version: str = ""
    package: str = ""
    available: tuple[str, ...] = ()
    cuda: str = ""
    cudnn: str = ""
    error: str = ""


class TorchInfo(msgspec.Struct, frozen=True, kw_only=True):
    """PyTorch as installed; `cuda` is empty for a CPU build."""

    version: str = ""
    computes: bool = False
    cuda: str = ""
    cudnn: str = ""
    gpus: tuple[str, ...] = ()
    error: str = ""


class ProviderStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One execution provider.

    Attributes:
        name: As ONNX Runtime spells it.
        built: This build of ONNX Runtime has it.
        loads: A session really had it, and computed the right thing.
        reason: One line, empty where it loads.
        missing: What it lacks, where that is known: `driver`, `cuda`, `cudnn`, `tensorrt`, `openvino`, `rocm`.
    """

    name: str
    built: bool
    loads: bool
    reason: str = ""
    missing: str = ""


class _Loaded(msgspec.Struct, frozen=True, kw_only=True):
    providers: tuple[str, ...] = ()
    computes: bool = False
    error: str = ""


_Answer = TypeVar("_Answer", RuntimeInfo, TorchInfo, _Loaded)


def probe_runtime(timeout: float = TIMEOUT, interpreter: str = sys.executable) -> RuntimeInfo:
    """Ask ONNX Runtime for its version, its package, and the providers of its build."""
    return _ask(RuntimeInfo, ("runtime",), timeout, interpreter)[0]


def probe_torch(timeout: float = TIMEOUT) -> TorchInfo:
    """Ask PyTorch for its version and its CUDA, and let it compute something."""
    return _ask(TorchInfo, ("torch",), timeout)[0]


def probe_providers(
    runtime: RuntimeInfo, timeout: float = TIMEOUT, interpreter: str = sys.executable
) -> tuple[ProviderStatus, ...]:
    """Try every provider of this build, and name the well-known ones that it lacks.

    Args:
        runtime: What `probe_runtime` found.
        timeout: Seconds for each provider.
        interpreter: Which Python holds that ONNX Runtime.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ask = functools.partial(probe_provider, runtime=runtime, timeout=timeout, interpreter=interpreter)
        tried = list(pool.map(ask, runtime.available))
    for row in well_known_on(platform.system()):
        if row.name not in runtime.available:
            reason = f"not in this build; the package {row.package} has it"
            tried.append(ProviderStatus(name=row.name, built=False, loads=False, reason=reason))
    return tuple(tried)


def probe_provider(
    name: str, runtime: RuntimeInfo, timeout: float = TIMEOUT, interpreter: str = sys.executable
) -> ProviderStatus:
    """Try one provider: create a session that asks for it, look at what it got, and run it."""
    loaded, log = _ask(_Loaded, ("provider", name), timeout, interpreter)
    if name in loaded.providers and loaded.computes:
        return ProviderStatus(name=name, built=True, loads=True)
    if name in loaded.providers:
        return ProviderStatus(name=name, built=True, loads=False, reason="it computes wrong results")
    reason, missing = explain(loaded.error if not loaded.providers else "", log, runtime.cuda)
    return ProviderStatus(name=name, built=True, loads=False, reason=reason, missing=missing)


# Which library belongs to what, by the beginning of its name.
_LIBRARIES = (
    (r"libcuda\.|nvcuda", "driver", "the NVIDIA driver is missing"),
    (r"libcudnn|cudnn", "cudnn", "cuDNN is missing"),
    (r"libnvinfer|libnvonnxparser|nvinfer", "tensorrt", "TensorRT is missing"),
    (
        r"lib(cublas|cudart|cufft|curand|cusparse|cusolver|nvrtc|nvJitLink)|cublas|cudart",
        "cuda",
        "CUDA {} missing",
    ),
    (r"libopenvino|openvino", "openvino", "OpenVINO is missing"),
    (r"lib(amdhip|migraphx|rocblas|hip|MIOpen)", "rocm", "ROCm is missing"),
)
_LIBRARY = re.compile(
    r"(?P<name>[\w.+-]+\.(?:so[.\d]*|dll|dylib))\"?(?:: cannot open shared object file| which is missing|' \(no such file)"
)
_CUDA_FAILURE = re.compile(r"CUDA (?:failure|error) \d+: (?P<what>[^;\n]+)")
_REQUIRES = re.compile(r"Require (?P<what>cuDNN \d[\d.]*\*? and CUDA \d[\d.]*\*?)")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_LOG_PREFIX = re.compile(r"^.*?\[[A-Z]:onnxruntime:[^\]]*\] ")


def explain(error: str, log: str, cuda: str) -> tuple[str, str]:
    """Say why a provider did not load, in one line without paths, and what is missing (empty where unknown).

    Args:
        error: The exception's line, empty where ONNX Runtime fell back in silence.
        log: What it printed meanwhile.
        cuda: The CUDA version that ONNX Runtime was built for, empty where unknown.
    """
    text = _ANSI.sub("", f"{log}\n{error}")
    library = _LIBRARY.search(text)
    if library:
        name, version = library["name"], cuda.partition(".")[0]
        for pattern, missing, what in _LIBRARIES:
            if re.match(pattern, name, re.IGNORECASE):
                libraries = f"{version} libraries are" if version else "libraries are"
                return f"{name} not found: {what.format(libraries)}", missing
        return f"{name} not found", ""
    failure = _CUDA_FAILURE.search(text)
    if failure:
        what = " ".join(failure["what"].split())
        return f"CUDA: {what}", "driver" if "driver" in what or "device" in what else ""
    required = _REQUIRES.search(text)
    if required:
        return f"needs {required['what']}", "cuda"
    return _last_line(error or text), ""


def _last_line(text: str) -> str:
    lines = [_LOG_PREFIX.sub("", line).strip(" *") for line in text.splitlines()]
    last = next((line for line in reversed(lines) if line), "it fell back to the CPU without saying why")
    return _short(scrub(last))


def _short(line: str) -> str:
    line = printable(line)
    return line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 1] + "…"


def _ask(
    kind: type[_Answer], question: Sequence[str], timeout: float, interpreter: str = sys.executable
) -> tuple[_Answer, str]:
    """Run a probe; a crash, a hang and an exception all become the answer's `error`. Returns the log too."""
    command = [interpreter, "-P", str(_PROBE), *question]
    environment = None if interpreter == sys.executable else foreign_environment(os.environ)
    try:
        done = subprocess.run(  # noqa: S603 - an interpreter that the user chose, on a file of this package
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired as stop:
        return kind(error=f"no answer within {timeout:g} s"), _text(stop.stderr)
    except OSError as error:
        return kind(error=_short(scrub(f"cannot start a process: {error}"))), ""
    log = _text(done.stderr)
    if done.returncode < 0:
        return kind(error=f"the process crashed ({signal.Signals(-done.returncode).name})"), log
    if done.returncode:
        return kind(error=_last_line(log)), log
    try:
        return msgspec.json.decode(done.stdout, type=kind), log
    except msgspec.MsgspecError:
        return kind(error="it answered in a form that attrib does not know"), log


def _text(output: Any) -> str:
    return output.decode("utf-8", errors="replace") if isinstance(output, bytes) else ""
