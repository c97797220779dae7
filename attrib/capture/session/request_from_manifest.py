"""The options of a capture, rebuilt from its manifest, so that `attrib verify` measures the same thing again.

A trace directory may come from a stranger. Nothing in it makes attrib run code or open a file: a built-in model starts by
itself, anything else is run only because the user has named it again on this command line.
"""

import shlex
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from attrib.capture.config.options import CaptureOptions, check_options
from attrib.capture.config.user_supplied import check_text, named_file, named_model
from attrib.capture.session.providers_from_manifest import (
    named_interpreter,
    named_libraries,
    named_provider_options,
    recorded_provider_options,
)
from attrib.capture.workload.factory import is_factory
from attrib.errors import AttribError
from attrib.model.execution_providers import CUDA_PROVIDER
from attrib.model.manifest import Manifest, Side, Workload
from attrib.zoo.examples import EXAMPLES

CAPTURE_AGAIN = "capture again with `attrib profile`"
VERIFY = "attrib verify TRACE_DIR"
OWN_INPUTS = ("factory", "module")
"""Sources that bring their inputs: options of size do not apply to them."""


def options_of(
    manifest: Manifest,
    *,
    model: str | None = None,
    onnx: Path | None = None,
    text: Sequence[str] = (),
    ort_python: Path | None = None,
    provider_options: Sequence[str] = (),
    provider_libraries: Sequence[str] = (),
) -> CaptureOptions:
    """The options with which the capture can be repeated.

    Args:
        manifest: Of the capture.
        model: What the user names as its model; needed for one that is not built in.
        onnx: The ONNX file that the user brought; needed where the capture ran one.
        text: The sentences of the capture, which its manifest does not hold.
        ort_python: The interpreter that runs ONNX Runtime; needed where the capture had one.
        provider_options: Provider options of the capture that may name a file.
        provider_libraries: The provider libraries of the capture.

    Raises:
        UsageError: The user has to name something, or names what the capture did not have.
        AttribError: The manifest lacks something that is needed, or says what no capture says.
    """
    options = recorded_options(manifest)
    check_text(manifest.workload.text, text)
    side = manifest.sides["onnxruntime"]
    named = msgspec.structs.replace(
        options,
        model=named_model(manifest.workload, model, VERIFY),
        onnx=_file(manifest, onnx),
        text=tuple(text),
        ort_python=named_interpreter(side, ort_python),
        provider_options=named_provider_options(side, provider_options),
        provider_libraries=named_libraries(side, provider_libraries),
    )
    if is_factory(named.model):
        named = msgspec.structs.replace(named, **_SIZES_UNASKED)
    check_options(named)
    return named


def recorded_options(manifest: Manifest) -> CaptureOptions:
    """What the manifest says of the options; its model is only a name, and nothing is looked up.

    Raises:
        AttribError: Only one engine was captured, or the manifest says what no capture says.
    """
    torch, ort = _sides(manifest)
    found = {
        "model": manifest.workload.model,
        "device": _device(manifest, ort),
        **_of_workload(manifest.workload),
        **_of_torch(torch),
        **_of_runtime(ort),
        "threads": _threads(torch, ort),
        **_of_protocol(manifest),
    }
    try:
        return msgspec.convert(found, CaptureOptions)
    except msgspec.ValidationError as error:
        raise AttribError(
            f"manifest.json: not the options of a capture: {error}", hint=CAPTURE_AGAIN
        ) from error


def _sides(manifest: Manifest) -> tuple[Side, Side]:
    torch, ort = manifest.sides.get("torch"), manifest.sides.get("onnxruntime")
    if torch is None or ort is None:
        raise AttribError(
            "the capture holds one engine only, so its options are not known", hint=CAPTURE_AGAIN
        )
    if torch.engine == ort.engine:
        raise AttribError("an engine was captured against itself: there is nothing to verify")
    return torch, ort


def _of_workload(workload: Workload) -> dict[str, Any]:
    sized = {} if workload.source in OWN_INPUTS else _sizes(workload)
    return sized | {"precision": workload.precision, "seed": workload.seed}


def _sizes(workload: Workload) -> dict[str, Any]:
    return {
        "batch_size": workload.batch_size or None,
        "seq_len": None if workload.model in EXAMPLES else workload.seq_len or None,
        "layers": workload.layers or None,
        "task": workload.task,
        "padding": 0.0 if workload.text else workload.padding,
    }


_SIZES_UNASKED: dict[str, Any] = {
    "batch_size": None, "seq_len": None, "layers": None, "task": "", "padding": 0.0,
}  # fmt: skip


def _of_torch(side: Side) -> dict[str, Any]:
    attention = side.settings.get("attention", "")
    return {
        "torch_mode": side.mode,
        "autocast": "autocast" in side.settings,
        # A model without attention names none.
        **({"attention": attention} if attention else {}),
    }


def _of_runtime(side: Side) -> dict[str, Any]:
    exported = side.exporter != "file"
    return {
        **({"exporter": side.exporter, "opset": side.opset or None} if exported else {}),
        "dynamic_shapes": exported and side.settings.get("shapes") == "dynamic",
        "optimize": tuple(rewrite.name for rewrite in side.rewrites),
        "opt_level": side.opt_level,
        "session_options": tuple(
            f"{key}={checked_entry(key, value)}" for key, value in side.session_options.items()
        ),
        "disabled_optimizers": side.disabled_optimizers,
        "providers": side.requested_providers,
        "provider_options": recorded_provider_options(side),
        "io_binding": side.settings.get("io_binding") == "true",
    }


_SAFE_ENTRIES = (
    "session.intra_op.", "session.inter_op.", "session.dynamic_block_base", "session.force_spinning_stop",
    "session.set_denormal_as_zero", "session.disable_prepacking", "session.disable_cpu_ep_fallback",
    "session.use_env_allocators", "session.use_device_allocator_for_initializers", "session.enable_quant_qdq_cleanup",
    "session.disable_quant_qdq", "session.disable_double_qdq_remover", "session.qdqisint8allowed",
    "session.x64quantprecision", "session.disable_aot_function_inlining", "optimization.", "mlas.",
)  # fmt: skip
"""Configuration entries that name no file. Others do, or may in a later ONNX Runtime, and a directory must not open any."""


def checked_entry(key: str, value: str) -> str:
    """The value of an option of the session, where no file can be meant.

    Raises:
        AttribError: It may name a file.
    """
    if "." in key and not key.startswith(_SAFE_ENTRIES):
        raise AttribError(
            f"the capture set the session option {key!r}, which attrib does not take from a trace directory: it may name a"
            " file",
            hint=CAPTURE_AGAIN + " without it",
        )
    return value


def _threads(torch: Side, ort: Side) -> int | None:
    """What `--threads` was: the session's own, unless an option of the session says otherwise."""
    own = "intra_op_num_threads" in ort.session_options
    return (torch if own else ort).threads or None


def _of_protocol(manifest: Manifest) -> dict[str, Any]:
    protocol = manifest.protocol
    return {} if protocol is None else {"rounds": protocol.rounds, "iterations": protocol.iterations}


def _device(manifest: Manifest, ort: Side) -> str:
    """The device: as recorded, as the command has it, else the one whose own provider was requested."""
    recorded = manifest.sides["torch"].settings.get("device") or _word_after("--device", manifest.command)
    return recorded or ("cuda" if ort.requested_providers == (CUDA_PROVIDER,) else "cpu")


def _word_after(flag: str, command: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    given = [after for word, after in pairwise(words) if word == flag]
    given += [word.partition("=")[2] for word in words if word.startswith(f"{flag}=")]
    return given[-1] if given else ""


def _file(manifest: Manifest, named: Path | None) -> Path | None:
    return named_file(manifest.sides["onnxruntime"].exporter == "file", named, VERIFY)
