"""What a capture says of its execution providers, as far as a stranger's word may be taken.

A directory names no interpreter, library or file that attrib would start or open: those the user names again. An option
of a provider is taken from a directory only where it is known to be a plain choice.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from attrib.capture.config.provider_options import Options, option_pairs, provider_options
from attrib.capture.system.interpreter import ORT_PYTHON, check_interpreter
from attrib.capture.system.providers import RuntimeInfo, probe_runtime
from attrib.errors import AttribError, UsageError
from attrib.model.execution_providers import package_of
from attrib.model.manifest import Manifest, Side

_PLAIN_KEYS = frozenset({
    # OpenVINO
    "device_type", "precision", "num_of_threads", "num_streams", "disable_dynamic_shapes", "enable_opencl_throttling",
    "enable_qdq_optimizer", "model_priority",
    # CUDA
    "device_id", "gpu_mem_limit", "arena_extend_strategy", "cudnn_conv_algo_search", "do_copy_in_default_stream",
    "cudnn_conv_use_max_workspace", "cudnn_conv1d_pad_to_nc1d", "enable_cuda_graph", "use_tf32", "prefer_nhwc",
    "use_ep_level_unified_stream", "enable_skip_layer_norm_strict_mode", "fuse_conv_bias", "sdpa_kernel",
    "tunable_op_enable", "tunable_op_tuning_enable",
    # TensorRT
    "trt_fp16_enable", "trt_bf16_enable", "trt_int8_enable", "trt_max_workspace_size", "trt_max_partition_iterations",
    "trt_min_subgraph_size", "trt_builder_optimization_level", "trt_cuda_graph_enable", "trt_sparsity_enable",
    "trt_build_heuristics_enable", "trt_layer_norm_fp32_fallback", "trt_auxiliary_streams",
    # MIGraphX
    "migraphx_fp16_enable", "migraphx_bf16_enable", "migraphx_fp8_enable", "migraphx_int8_enable",
    "migraphx_exhaustive_tune",
    # CoreML
    "ModelFormat", "MLComputeUnits", "RequireStaticInputShapes", "EnableOnSubgraphs",
})  # fmt: skip
"""Options that name no file and no directory. Others do, or load code, and a trace directory must not."""

_PLAIN_VALUE = re.compile(r"[\w.,:+-]*", re.ASCII)


def _is_plain(key: str, value: str) -> bool:
    return key in _PLAIN_KEYS and bool(_PLAIN_VALUE.fullmatch(value))


def recorded_provider_options(side: Side) -> tuple[str, ...]:
    """The provider options of a capture that need not be named again."""
    return option_pairs(
        {
            provider: {key: value for key, value in given.items() if _is_plain(key, value)}
            for provider, given in side.provider_options.items()
        }
    )


def take_provider_options(side: Side, named: Sequence[str]) -> tuple[str, ...]:
    """Take all provider options of a capture: those recorded, with those that the user names.

    Raises:
        UsageError: One has to be named, or the capture had none of that name.
    """
    given = provider_options(named, side.requested_providers) if named else {}
    for provider, key in _keys(given):
        if key not in side.provider_options.get(provider, {}):
            raise UsageError(f"--provider-option: the capture gave {provider} no {key}")
    for provider, key in _keys(side.provider_options):
        plain = _is_plain(key, side.provider_options[provider][key])
        if not plain and key not in given.get(provider, {}):
            raise UsageError(
                f"the capture gave {provider} the option {key}, which attrib does not take from a trace directory: it may"
                " name a file",
                hint=f"name it yourself: --provider-option {provider}:{key}=VALUE",
            )
    merged: Options = {
        provider: {key: given.get(provider, {}).get(key, value) for key, value in recorded.items()}
        for provider, recorded in side.provider_options.items()
    }
    return option_pairs(merged)


def _keys(options: Options) -> Iterable[tuple[str, str]]:
    return ((provider, key) for provider, given in options.items() for key in given)


def take_libraries(side: Side, named: Sequence[str]) -> tuple[str, ...]:
    """Take the provider libraries of a capture from the user.

    Raises:
        UsageError: The user has to name one, or names one that the capture did not have.
    """
    names = {pair.partition("=")[0].strip() for pair in named}
    if names != set(side.provider_libraries):
        wanted = " ".join(f"--provider-library {name}=PATH" for name in side.provider_libraries)
        raise UsageError(
            f"the capture had {', '.join(side.provider_libraries) or 'no'} provider libraries,"
            " and their files are not in its directory",
            hint=f"name them yourself: {wanted}" if wanted else "leave --provider-library out",
        )
    return tuple(named)


def take_interpreter(side: Side, named: Path | None) -> Path | None:
    """Take the interpreter that runs ONNX Runtime from the user.

    Raises:
        UsageError: The capture had one, which its directory does not name, and the user does not either.
    """
    if side.interpreter and named is None:
        what = runtime_name(side)
        raise UsageError(
            f"the capture ran ONNX Runtime ({what}) under another interpreter, whose place its directory does not hold",
            hint=f"name it yourself: --ort-python PYTHON, of an environment that has {what}",
        )
    return named


def runtime_name(side: Side) -> str:
    """Package and version of a side's ONNX Runtime, as a reader writes them."""
    return f"{side.package or package_of(side.requested_providers)} {side.version}".strip()


def checked_interpreter(manifest: Manifest, named: Path) -> Path:
    """Check that an interpreter's ONNX Runtime is the one that was captured; returns its absolute path.

    Raises:
        AttribError: It cannot run ONNX Runtime, or its package or version is another one.
    """
    side = manifest.sides["onnxruntime"]
    path = check_interpreter(named, side.requested_providers)
    check_runtime(side, probe_runtime(interpreter=str(path)))
    return path


def check_runtime(side: Side, runtime: RuntimeInfo, where: str = ORT_PYTHON) -> None:
    """Check that an ONNX Runtime is the one that was captured.

    Args:
        side: What the capture says of it.
        runtime: What was found.
        where: The option that led there, or another word for the place.

    Raises:
        AttribError: It cannot be imported, or is another one.
    """
    if runtime.error:
        raise AttribError(f"{where}: ONNX Runtime cannot be imported there: {runtime.error}")
    same_package = not side.package or not runtime.package or side.package == runtime.package
    if same_package and (not side.version or side.version == runtime.version):
        return
    found = f"{runtime.package or 'onnxruntime'} {runtime.version}"
    package = side.package or package_of(side.requested_providers)
    raise AttribError(
        f"{where} has {found}, and the capture ran {runtime_name(side)}: the two cannot be compared",
        hint=f"install {package}=={side.version} there, or capture again with `attrib profile`",
    )
