"""What a capture was asked for, written into its manifest, and read back when it is resumed.

Nothing in a directory makes attrib run code or open a file, see `request_from_manifest`: what only the user can name is
noted as having been there, and has to be named again.
"""

from typing import Any

import msgspec

from attrib.capture.config.options import check_options
from attrib.capture.config.provider_options import provider_libraries
from attrib.capture.config.session_options import session_options
from attrib.capture.config.user_supplied import UserSupplied
from attrib.capture.config.variables import variables_of
from attrib.capture.session.commands import provider_options_of, shareable, shareable_entries
from attrib.capture.session.request_from_manifest import (
    CAPTURE_AGAIN,
    options_from_fields,
    session_options_from_entries,
    take_from_user,
)
from attrib.errors import AttribError, UsageError
from attrib.model.capture_options import OPTIONS, CaptureOptions, Declared
from attrib.model.capture_request import CaptureRequest
from attrib.model.execution_providers import provider_name
from attrib.model.manifest import Manifest, Side

RESUME = "attrib profile --resume TRACE_DIR"


def request_from_options(options: CaptureOptions) -> CaptureRequest:
    """The choices of a capture, without what names a place on this machine or holds what somebody wrote."""
    return CaptureRequest(
        **{
            declared.name: _record(declared, options)
            for declared in OPTIONS
            if declared.option.recorded != "nothing"
        }
    )


def _record(declared: Declared, options: CaptureOptions) -> Any:
    """What the request holds of one option."""
    value = getattr(options, declared.name)
    match declared.option.recorded:
        case "presence":
            return value is not None
        case "count":
            return len(value)
        case "names":
            return tuple(provider_libraries(value))
        case "entries" | "variables" as kind:
            return shareable_entries((session_options if kind == "entries" else variables_of)(value))
        case "provider entries":
            # Only what the user gave: the option that `--cuda-graph` stands for is recorded as itself.
            return shareable(provider_options_of(msgspec.structs.replace(options, cuda_graph=False)))
        case _:
            return value


def options_to_resume(manifest: Manifest, supplied: UserSupplied, *, live: bool = False) -> CaptureOptions:
    """The options of an interrupted capture.

    Args:
        manifest: Its manifest.
        supplied: What the user names.
        live: The user hands a live module over, which stands for the model.

    Raises:
        UsageError: The user has to name something, or names what the capture did not have.
        AttribError: The capture is too old to be resumed, or the manifest says what no capture says.
    """
    request, workload = manifest.asked, manifest.workload
    if request is None:
        raise AttribError(
            "the capture was made by an older attrib, which did not note what is needed to resume it",
            hint=CAPTURE_AGAIN,
        )
    if live:
        supplied = msgspec.structs.replace(supplied, model=workload.model)
    elif workload.source == "module" and supplied.model is None:
        raise UsageError(
            "the capture ran a live module, which only Python can hand over again",
            hint="attrib.capture.resume(TRACE_DIR, handover=Handover(module, inputs))",
        )
    # ONNX Runtime's side as far as it was asked for: what the rules on a stranger's word are applied to.
    side = Side(
        engine="onnxruntime",
        state="interrupted",
        folder="ort",
        exporter="file" if request.onnx else request.exporter,
        interpreter="another" if request.ort_python else "",
        requested_providers=tuple(map(provider_name, request.providers or (request.device,))),
        provider_options=request.provider_options,
        provider_libraries=request.provider_libraries,
    )
    workload = msgspec.structs.replace(workload, text=bool(request.text))
    found = {one.name: getattr(request, one.name) for one in OPTIONS if one.option.recorded == "value"}
    found["session_options"] = session_options_from_entries(request.session_options)
    found["command"] = manifest.command
    options = options_from_fields(
        found | supplied.fields() | take_from_user(workload, side, supplied, RESUME, request)
    )
    check_options(options)
    return options
