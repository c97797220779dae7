"""ONNX Runtime's execution providers: one row each, with all that attrib knows of it.

A provider in no row (a plugin's, say) works too: what its row would say is then the default of every field. Nothing here
says which providers compile parts of a graph into one node: the name of such a node does (`attrib.analysis.match.compiled`).
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Literal

import msgspec

CPU_PROVIDER = "CPUExecutionProvider"
CUDA_PROVIDER = "CUDAExecutionProvider"

_ENDING = "ExecutionProvider"
"""What every provider's full name ends with."""

ONNX_RUNTIME = "onnxruntime"
"""The package without a provider of its own; a build with one has this prefix."""


class ExecutionProvider(msgspec.Struct, frozen=True, kw_only=True):
    """One execution provider.

    Attributes:
        name: As ONNX Runtime spells it.
        short_name: What people call it, for `--provider`; empty where they use the name.
        package: The package whose build has it.
        device: What it computes on and keeps its tensors in, as `OrtValue` names it; empty for another device.
        device_option: Its option that names the device; `CPU...`, the default, is the host.
        asynchronous: Its kernels return before the device has done the work: a node's time is the time to enqueue it.
        thread_option: Its option for the threads of a pool of its own; empty where it computes on ONNX Runtime's.
        cache_option: Its option for the directory in which compiled engines are kept.
        cache_switch: Its option that turns that cache on; empty where naming the directory does.
        systems: Where `attrib doctor` names it although the installed build lacks it, as `platform.system()` says it.
        cure: What usually brings it back where a session fell back to the CPU.
    """

    name: str
    short_name: str = ""
    package: str = ONNX_RUNTIME
    device: Literal["cpu", "cuda", ""] = ""
    device_option: str = ""
    asynchronous: bool = False
    thread_option: str = ""
    cache_option: str = ""
    cache_switch: str = ""
    systems: tuple[str, ...] = ()
    cure: str = "Install the package of the provider"

    def computes_on(self, options: Mapping[str, str]) -> str:
        """`cpu`, `cuda`, or the provider's name for another device, with the options that a session has for it."""
        on_host = self.device_option and options.get(self.device_option, "CPU").startswith("CPU")
        return "cpu" if on_host else self.device or self.name

    def cache_folder(self, options: Mapping[str, str]) -> str:
        """The directory of its compiled engines with these options; empty where it keeps none."""
        folder = options.get(self.cache_option, "")
        if not self.cache_switch:
            return folder
        on = options.get(self.cache_switch, "0").lower() in ("1", "true")
        return (folder or ".") if on else ""


PROVIDERS = (
    ExecutionProvider(name=CPU_PROVIDER, short_name="cpu", device="cpu"),
    ExecutionProvider(
        name=CUDA_PROVIDER,
        short_name="cuda",
        package="onnxruntime-gpu",
        device="cuda",
        asynchronous=True,
        systems=("Linux",),
        cure="pip install 'onnxruntime-gpu[cuda,cudnn]' in the CUDA version that it was built for, and call "
        "`onnxruntime.preload_dlls()` or import torch before the session is made",
    ),
    ExecutionProvider(name="CudaPluginExecutionProvider", asynchronous=True),
    ExecutionProvider(
        name="TensorrtExecutionProvider",
        short_name="tensorrt",
        package="onnxruntime-gpu",
        device="cuda",
        asynchronous=True,
        cache_option="trt_engine_cache_path",
        cache_switch="trt_engine_cache_enable",
        systems=("Linux",),
        cure="pip install tensorrt in the version that onnxruntime-gpu was built for",
    ),
    ExecutionProvider(
        name="NvTensorRTRTXExecutionProvider",
        device="cuda",
        asynchronous=True,
        cache_option="nv_runtime_cache_path",
    ),
    ExecutionProvider(
        name="OpenVINOExecutionProvider",
        short_name="openvino",
        package="onnxruntime-openvino",
        device_option="device_type",
        # It takes no notice of `intra_op_num_threads`: asked for one thread, it kept two busy (1.24.1).
        thread_option="num_of_threads",
        cache_option="cache_dir",
        systems=("Linux",),
        cure="pip install onnxruntime-openvino in an environment without onnxruntime",
    ),
    ExecutionProvider(
        name="MIGraphXExecutionProvider",
        short_name="migraphx",
        package="onnxruntime-migraphx",
        asynchronous=True,
        cache_option="migraphx_model_cache_dir",
        systems=("Linux",),
    ),
    ExecutionProvider(
        name="ROCMExecutionProvider", short_name="rocm", package="onnxruntime-rocm", asynchronous=True
    ),
    ExecutionProvider(
        name="CoreMLExecutionProvider",
        short_name="coreml",
        cache_option="ModelCacheDirectory",
        systems=("Darwin",),
        cure="use the package onnxruntime on macOS",
    ),
    ExecutionProvider(
        name="DmlExecutionProvider", short_name="dml", package="onnxruntime-directml", asynchronous=True
    ),
    ExecutionProvider(name="CANNExecutionProvider", asynchronous=True),
    ExecutionProvider(name="WebGpuExecutionProvider", asynchronous=True),
    ExecutionProvider(name="JsExecutionProvider", asynchronous=True),
    ExecutionProvider(name="DnnlExecutionProvider", device="cpu"),
    ExecutionProvider(name="XnnpackExecutionProvider", device="cpu"),
    ExecutionProvider(name="ACLExecutionProvider", device="cpu"),
    ExecutionProvider(name="AzureExecutionProvider", device="cpu"),
)


def provider_row(name: str) -> ExecutionProvider:
    """The row of a provider by its full name; for one that has none, a row of defaults."""
    return next((row for row in PROVIDERS if row.name == name), ExecutionProvider(name=name))


def well_known_on(system: str) -> tuple[ExecutionProvider, ...]:
    """The providers that people ask for on a system, named as `platform.system()` does."""
    return tuple(row for row in PROVIDERS if system in row.systems)


def provider_name(text: str) -> str:
    """A provider's full name from what a user calls it; what is no short name stays as it is."""
    called = text.strip()
    return next((row.name for row in PROVIDERS if called and row.short_name == called.lower()), called)


SHORT_NAMES: tuple[str, ...] = tuple(row.short_name for row in PROVIDERS if row.short_name)
"""What a user may call a provider."""


def may_be_provider(name: str) -> bool:
    """Whether a full name is a provider's: a known one, or of the form that all of them have."""
    known = {row.name.casefold() for row in PROVIDERS}
    return any(row.name == name for row in PROVIDERS) or (
        name.endswith(_ENDING) and name.casefold() not in known
    )


def similar_provider(name: str) -> str:
    """What a user may have meant by a name that is no provider's; empty where nothing is similar."""
    names = {row.name.removesuffix(_ENDING).casefold(): row.short_name or row.name for row in PROVIDERS}
    names |= {short: short for short in SHORT_NAMES}
    near = get_close_matches(name.casefold().removesuffix(_ENDING.casefold()), names, n=1)
    return names[near[0]] if near else ""


def package_of(providers: Iterable[str]) -> str:
    """The package to install for these providers."""
    packages = (provider_row(name).package for name in providers)
    return next((package for package in packages if package != ONNX_RUNTIME), ONNX_RUNTIME)


def uses_cuda(providers: Iterable[str]) -> bool:
    """Whether one of them computes on an NVIDIA GPU."""
    return any(provider_row(name).device == "cuda" for name in providers)


def asynchronous_of(providers: Iterable[str]) -> frozenset[str]:
    """Those of them whose nodes end when their work is enqueued on a device."""
    return frozenset(name for name in providers if provider_row(name).asynchronous)
