"""What a capture was asked for, written into its manifest, and read back when it is resumed.

Nothing in a directory makes attrib run code or open a file, see `request_from_manifest`: what only the user can name is
noted as having been there, and has to be named again.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from attrib.capture.config.options import CaptureOptions, check_options
from attrib.capture.config.provider_options import provider_libraries
from attrib.capture.config.session_options import session_options
from attrib.capture.config.user_supplied import check_text, named_file, named_model
from attrib.capture.session.commands import provider_options_of, shareable
from attrib.capture.session.providers_from_manifest import (
    named_interpreter,
    named_libraries,
    named_provider_options,
)
from attrib.capture.session.request_from_manifest import checked_entry
from attrib.errors import AttribError, UsageError
from attrib.model.capture_request import Asked
from attrib.model.execution_providers import provider_name
from attrib.model.manifest import Manifest, Side, Workload

RESUME = "attrib profile --resume TRACE_DIR"

_SPECIAL = (
    "onnx",
    "text",
    "ort_python",
    "provider_options",
    "provider_libraries",
    "session_options",
)
_PLAIN = tuple(name for name in Asked.__struct_fields__ if name not in _SPECIAL)
"""Choices that stand in the manifest as they stand in the options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What the user names (again) to resume a capture.

    Attributes:
        model: Needed for one that is not built in.
        onnx: Needed where the capture ran a file of the user's.
        text: Needed where it ran on sentences.
        ort_python: Needed where another interpreter ran ONNX Runtime.
        provider_options: Needed for those that may name a file.
        provider_libraries: Needed where it had some.
        save_models: Where the graphs go with their weights, if wanted.
        timeout: Another one than the capture's.
    """

    model: str | None = None
    onnx: Path | None = None
    text: tuple[str, ...] = ()
    ort_python: Path | None = None
    provider_options: tuple[str, ...] = ()
    provider_libraries: tuple[str, ...] = ()
    save_models: Path | None = None
    timeout: float | None = None


def asked_of(options: CaptureOptions) -> Asked:
    """The choices of a capture, without what names a place on this machine or holds what somebody wrote."""
    return Asked(
        onnx=options.onnx is not None,
        text=len(options.text),
        ort_python=options.ort_python is not None,
        provider_options=shareable(provider_options_of(msgspec.structs.replace(options, cuda_graph=False))),
        provider_libraries=tuple(provider_libraries(options.provider_libraries)),
        session_options=session_options(options.session_options),
        **{name: getattr(options, name) for name in _PLAIN},
    )


def options_to_resume(manifest: Manifest, named: Named, *, live: bool = False) -> CaptureOptions:
    """The options of an interrupted capture.

    Args:
        manifest: Its manifest.
        named: What the user names.
        live: The user hands a live module over, which stands for the model.

    Raises:
        UsageError: The user has to name something, or names what the capture did not have.
        AttribError: The capture is too old to be resumed, or the manifest says what no capture says.
    """
    asked = manifest.asked
    if asked is None:
        raise AttribError(
            "the capture was made by an older attrib, which did not note what is needed to resume it",
            hint="capture again with `attrib profile`",
        )
    check_text(bool(asked.text), named.text)
    side = _runtime(asked)
    found: dict[str, Any] = {
        **{name: getattr(asked, name) for name in _PLAIN},
        "model": _model(manifest.workload, named.model, live=live),
        "onnx": named_file(asked.onnx, named.onnx, RESUME),
        "text": named.text,
        "ort_python": named_interpreter(side, named.ort_python),
        "provider_options": named_provider_options(side, named.provider_options),
        "provider_libraries": named_libraries(side, named.provider_libraries),
        "session_options": tuple(f"{k}={checked_entry(k, v)}" for k, v in asked.session_options.items()),
        "save_models": named.save_models,
        "command": manifest.command,
    }
    if named.timeout is not None:
        found["timeout"] = named.timeout
    options = _converted(found)
    check_options(options)
    return options


def _model(workload: Workload, named: str | None, *, live: bool) -> str:
    if live:
        return workload.model
    if workload.source == "module" and named is None:
        raise UsageError(
            "the capture ran a live module, which only Python can hand over again",
            hint="attrib.capture.resume(TRACE_DIR, handover=Handover(module, inputs))",
        )
    return named_model(workload, named, RESUME)


def _runtime(asked: Asked) -> Side:
    """ONNX Runtime's side as far as it was asked for: what the rules on a stranger's word are applied to."""
    return Side(
        engine="onnxruntime",
        state="interrupted",
        folder="ort",
        interpreter="another" if asked.ort_python else "",
        requested_providers=tuple(map(provider_name, asked.providers or (asked.device,))),
        provider_options=asked.provider_options,
        provider_libraries=asked.provider_libraries,
    )


def _converted(found: dict[str, Any]) -> CaptureOptions:
    try:
        return msgspec.convert(found, CaptureOptions)
    except msgspec.ValidationError as error:
        raise AttribError(
            f"manifest.json: not the options of a capture: {error}",
            hint="capture again with `attrib profile`",
        ) from error
