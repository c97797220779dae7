"""The options of a capture, rebuilt from its manifest, so that `attrib verify` measures the same thing again.

A trace directory may come from a stranger. Nothing in it makes attrib run code or open a file: a built-in model starts by
itself, anything else is run only because the user has named it again on this command line.
"""

import shlex
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import msgspec

from attrib.capture.config.options import check_options
from attrib.capture.config.user_supplied import (
    UserSupplied,
    check_text,
    take_model,
    take_onnx_file,
    take_sentence_transformer,
)
from attrib.capture.config.variables import recorded_variables, take_variables
from attrib.capture.session.providers_from_manifest import (
    recorded_provider_options,
    take_interpreter,
    take_libraries,
    take_provider_options,
)
from attrib.capture.workload.factory import is_factory
from attrib.capture.workload.sources import resolve_source
from attrib.errors import AttribError
from attrib.model.capture_options import OPTIONS, CaptureOptions
from attrib.model.capture_request import CaptureRequest
from attrib.model.execution_providers import CUDA_PROVIDER
from attrib.model.manifest import Manifest, Side, Workload
from attrib.zoo.examples import EXAMPLES

CAPTURE_AGAIN = "capture again with `attrib profile`"
VERIFY = "attrib verify TRACE_DIR"
OWN_INPUTS = ("factory", "module")
"""Sources that bring their inputs: options of size do not apply to them."""

_DEFAULTS = CaptureOptions(model="")
_SIZES = ("batch_size", "seq_len", "cache_length", "layers", "task", "padding")


def options_of(manifest: Manifest, **named: Any) -> CaptureOptions:
    """The options with which the capture can be repeated.

    Args:
        manifest: Of the capture.
        named: What the user names (again), by the fields of `UserSupplied`.

    Raises:
        UsageError: The user has to name something, or names what the capture did not have.
        AttribError: The manifest lacks something that is needed, or says what no capture says.
    """
    recorded = recorded_options(manifest)
    supplied = UserSupplied(**named)
    side = manifest.sides["onnxruntime"]
    choices = take_from_user(manifest.workload, side, supplied, VERIFY, manifest.asked)
    options = msgspec.structs.replace(recorded, **choices)
    if is_factory(options.model):
        options = msgspec.structs.replace(options, **_defaults(_SIZES))
    check_options(options)
    return options


def take_from_user(
    workload: Workload, side: Side, supplied: UserSupplied, command: str, request: CaptureRequest | None
) -> dict[str, Any]:
    """Take from the user what a directory must not decide, as fields of the options.

    Args:
        workload: What was captured.
        side: ONNX Runtime's, as far as it is known.
        supplied: What the user names.
        command: The command line that needs it, for the hints.
        request: What the capture was asked for, where that is recorded.

    Raises:
        UsageError: The user has to name something, or names what the capture did not have.
    """
    check_text(workload.text, supplied.text)
    named, onnx = supplied.sentence_transformer, supplied.onnx
    take_sentence_transformer(bool(request and request.sentence_transformer), named, command)
    if named is not None:  # whose directory holds the file
        onnx = resolve_source(CaptureOptions(sentence_transformer=named, onnx=onnx)).onnx
    return {
        "model": (supplied.model or "") if named else take_model(workload, supplied.model, command),
        "sentence_transformer": named,
        "onnx": take_onnx_file(side.exporter == "file", onnx, command),
        "text": tuple(supplied.text),
        "ort_python": take_interpreter(side, supplied.ort_python),
        "provider_options": take_provider_options(side, supplied.provider_options),
        "provider_libraries": take_libraries(side, supplied.provider_libraries),
        "env": take_variables(request.env if request else {}, supplied.env),
    }


_OWN_OF_A_BENCH = ("warmup", "timeout", "against_itself", "cuda_graph")
"""Choices that are not repeated: a bench warms up and waits as it likes, and measures an engine against another one; what
`--cuda-graph` stands for is among the provider's options."""


def recorded_options(manifest: Manifest) -> CaptureOptions:
    """What the manifest says of the options; its model is only a name, and nothing is looked up.

    What ran counts, so that captures of any version can be repeated; the request fills in what cannot be seen there.

    Raises:
        AttribError: Only one engine was captured, or the manifest says what no capture says.
    """
    torch, ort = manifest.sides.get("torch"), manifest.sides.get("onnxruntime")
    if torch is None or ort is None:
        raise AttribError(
            "the capture holds one engine only, so its options are not known", hint=CAPTURE_AGAIN
        )
    if torch.engine == ort.engine:
        raise AttribError("an engine was captured against itself: there is nothing to verify")
    # `--threads` was the session's own number, unless an option of the session says otherwise.
    threads = (torch if "intra_op_num_threads" in ort.session_options else ort).threads
    seen = {
        "model": manifest.workload.model,
        "device": _device(manifest, ort),
        **_of_workload(manifest.workload),
        "torch_mode": torch.mode,
        "autocast": "autocast" in torch.settings,
        # A model without attention names none.
        "attention": torch.settings.get("attention") or _DEFAULTS.attention,
        **_of_runtime(ort),
        "env": recorded_variables(manifest.asked.env if manifest.asked else {}),
        "threads": threads or None,
        "rounds": manifest.protocol.rounds if manifest.protocol else _DEFAULTS.rounds,
        "iterations": manifest.protocol.iterations if manifest.protocol else None,
    }
    unseen = {
        declared.name: getattr(manifest.asked, declared.name)
        for declared in OPTIONS
        if manifest.asked is not None
        and declared.option.recorded == "value"
        and declared.name not in (*seen, *_OWN_OF_A_BENCH)
    }
    return options_from_fields(seen | unseen)


def options_from_fields(fields: dict[str, Any]) -> CaptureOptions:
    """The options of which a manifest says these fields.

    Raises:
        AttribError: No capture has such options.
    """
    try:
        return msgspec.convert(fields, CaptureOptions)
    except msgspec.ValidationError as error:
        raise AttribError(
            f"manifest.json: not the options of a capture: {error}", hint=CAPTURE_AGAIN
        ) from error


def _defaults(names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(_DEFAULTS, name) for name in names}


def _of_workload(workload: Workload) -> dict[str, Any]:
    sizes = {
        "batch_size": workload.batch_size or None,
        "seq_len": None if workload.model in EXAMPLES else workload.seq_len or None,
        "cache_length": workload.cache_length or None,
        "layers": workload.layers or None,
        "task": workload.task,
        "padding": 0.0 if workload.text else workload.padding,
    }
    own = workload.source in OWN_INPUTS
    return (_defaults(_SIZES) if own else sizes) | {"precision": workload.precision, "seed": workload.seed}


def _of_runtime(side: Side) -> dict[str, Any]:
    exported = side.exporter != "file"
    return {
        "exporter": side.exporter if exported else _DEFAULTS.exporter,
        "opset": side.opset or None if exported else None,
        "dynamic_shapes": exported and side.settings.get("shapes") == "dynamic",
        "optimize": tuple(rewrite.name for rewrite in side.rewrites),
        "opt_level": side.opt_level,
        "session_options": session_options_from_entries(side.session_options),
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


def session_options_from_entries(entries: Mapping[str, str]) -> tuple[str, ...]:
    """Options of the session as the user writes them, where none can mean a file.

    Raises:
        AttribError: One may name a file.
    """
    for key in entries:
        if "." in key and not key.startswith(_SAFE_ENTRIES):
            raise AttribError(
                f"the capture set the session option {key!r}, which attrib does not take from a trace directory: it may"
                " name a file",
                hint=CAPTURE_AGAIN + " without it",
            )
    return tuple(f"{key}={value}" for key, value in entries.items())


def _device(manifest: Manifest, ort: Side) -> str:
    """The device: as recorded, as the command has it, else the one whose own provider was requested."""
    if recorded := manifest.sides["torch"].settings.get("device"):
        return recorded
    try:
        words = shlex.split(manifest.command)
    except ValueError:
        words = []
    given = [after for word, after in pairwise(words) if word == "--device"]
    given += [word.partition("=")[2] for word in words if word.startswith("--device=")]
    own = "cuda" if ort.requested_providers == (CUDA_PROVIDER,) else "cpu"
    return (given[-1] if given else "") or own
