"""What NVIDIA's providers need in ONNX Runtime's worker: CUDA's libraries, and a profiler that sees the kernels.

The stock onnxruntime-gpu wheel has no CUPTI: its profile holds no kernels, and a node lasts there as long as enqueuing it
did. Under torch.profiler in the same process, Kineto sees every kernel, copy and wait of ONNX Runtime with the runtime
call that caused it. torch is imported for that alone: in no other session does the worker pay for its memory.
"""

import contextlib
import ctypes
import importlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import onnxruntime as ort

from attrib.capture.config.provider_options import GRAPH_OPTION, GRAPH_PROVIDER
from attrib.capture.workers.steps import Timed
from attrib.errors import first_line
from attrib.model.execution_providers import uses_cuda
from attrib.traces.recording.clocks import RUN_RANGE

_DRIVERS = {"nt": "nvcuda.dll"}
_SPEED_OPTIONS = (
    "device_id", "use_tf32", "enable_cuda_graph", "cudnn_conv_algo_search", "cudnn_conv_use_max_workspace", "prefer_nhwc",
    "do_copy_in_default_stream", "use_ep_level_unified_stream", "arena_extend_strategy", "gpu_mem_limit",
    "tunable_op_enable", "fuse_conv_bias", "sdpa_kernel", "trt_fp16_enable", "trt_bf16_enable", "trt_int8_enable",
    "trt_cuda_graph_enable",
)  # fmt: skip
"""Options of NVIDIA's providers that bear on speed, as `session.get_provider_options()` names them."""

NOT_RECORDED = (
    "kernels that ONNX Runtime starts on the GPU are not recorded, its nodes' times are times to enqueue"
)


class Recorder(Protocol):
    """Records profiled blocks of steps, as `attrib.capture.workers.kineto_blocks.KinetoBlocks` does."""

    def record(self, step: Callable[[], object], iterations: int) -> tuple[Timed, str]:
        """Run one block; its steps, and the file of its profile."""


@dataclass(frozen=True, slots=True)
class Libraries:
    """What there is to record kernels with, known before the sessions are created.

    Attributes:
        recorder: What can record kernels; None where that cannot be, or nobody asked for it.
        lacks: Why they cannot be recorded; empty where they can, or nobody asked for it.
    """

    recorder: Recorder | None = None
    lacks: str = ""


def load_libraries(providers: Iterable[str], folder: Path | None, *, first_step: int = 0) -> Libraries:
    """Bring CUDA's libraries into this process, before a session loads a provider that needs them.

    ONNX Runtime itself needs none of them; its provider's library is loaded when the first session asks for it, and finds
    libraries of the same name that are in the process already: torch's, else those of NVIDIA's packages. CUPTI is set up
    here as well: it wants to be there before a CUDA context is.

    Args:
        providers: Those asked for.
        folder: Takes the profiles of the device; None where nothing is to be profiled: then torch is not imported.
        first_step: Number of the first step that is recorded.
    """
    if not uses_cuda(providers) or not _has_driver():
        return Libraries()
    torch, lacks = _find_torch() if folder else (None, "")
    if torch is None or _major(torch.version.cuda) != _major(getattr(ort, "cuda_version", "")):
        _preload()
    if lacks or folder is None:
        return Libraries(lacks=lacks)
    from attrib.capture.workers.kineto_blocks import KinetoBlocks

    blocks = KinetoBlocks(folder, RUN_RANGE, "cuda", record_shapes=False, first_step=first_step)
    try:
        blocks.warm()
    except RuntimeError as error:
        return Libraries(lacks=first_line(error))
    return Libraries(recorder=blocks)


def recorder_of(session: Any, libraries: Libraries) -> tuple[Recorder | None, list[str]]:
    """The recorder of a profiled session's kernels, and a note where it has kernels that are not recorded."""
    if not uses_cuda(session.get_providers()):
        return None, []
    notes = [f"{NOT_RECORDED}: {libraries.lacks}"] if libraries.lacks else []
    return libraries.recorder, notes


def replays_graph(session: Any, options: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether the options of the providers ask for CUDA graphs, and the session has the provider that makes them."""
    asked = options.get(GRAPH_PROVIDER, {}).get(GRAPH_OPTION, "0").lower() in ("1", "true")
    return asked and GRAPH_PROVIDER in session.get_providers()


def cuda_settings(session: Any) -> dict[str, str]:
    """Options of the session's first provider of NVIDIA's that bear on speed, as they hold; none for other sessions."""
    name = next((name for name in session.get_providers() if uses_cuda([name])), "")
    options: dict[str, str] = session.get_provider_options()[name] if name else {}
    return {key: str(options[key]) for key in _SPEED_OPTIONS if key in options}


def _has_driver() -> bool:
    """Whether NVIDIA's driver can be loaded: without it no provider of NVIDIA's can, and torch is not worth its import."""
    try:
        ctypes.CDLL(_DRIVERS.get(os.name, "libcuda.so.1"))
    except OSError:
        return False
    return True


def _find_torch() -> tuple[Any, str]:
    """PyTorch, where this interpreter has one, and why it cannot record kernels (empty where it can)."""
    try:
        torch = importlib.import_module("torch")
        profiler = importlib.import_module("torch.profiler")
    except (ImportError, OSError) as error:
        return (
            None,
            f"this interpreter has no PyTorch ({first_line(error)}); install a CUDA build beside ONNX Runtime",
        )
    if torch.version.cuda is None:
        return torch, "its PyTorch is a CPU build; install a CUDA build beside ONNX Runtime"
    if not torch.cuda.is_available():
        return torch, "its PyTorch finds no usable GPU: see `attrib doctor`"
    if profiler.ProfilerActivity.CUDA not in profiler.supported_activities():
        return torch, "its PyTorch was built without CUPTI; install another build"
    return torch, ""


def _major(version: str | None) -> str:
    return (version or "").partition(".")[0]


def _preload() -> None:
    """Load CUDA's and cuDNN's libraries from NVIDIA's packages or the system (ONNX Runtime 1.21 and later)."""
    with contextlib.suppress(OSError, RuntimeError):
        if hasattr(ort, "preload_dlls"):
            ort.preload_dlls()
