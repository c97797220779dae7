"""Providers of a capture: nothing that may name a file is taken from a trace directory, and no other ONNX Runtime."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from attrib.capture.session.providers_from_manifest import check_runtime
from attrib.capture.session.request_from_manifest import options_of, recorded_options
from attrib.capture.system.providers import RuntimeInfo
from attrib.errors import AttribError, UsageError
from attrib.verify.flags import command_of
from tests.verify import fakes

OPENVINO = "OpenVINOExecutionProvider"


def captured(**changes):
    """A capture whose ONNX Runtime ran on OpenVINO under another interpreter."""
    manifest = fakes.manifest_of()
    side = replace(
        manifest.sides["onnxruntime"], requested_providers=(OPENVINO,), package="onnxruntime-openvino",
        version="1.24.1", interpreter="3.12.1",
    )  # fmt: skip
    return replace(manifest, sides=manifest.sides | {"onnxruntime": replace(side, **changes)})


def side_of(**changes):
    return captured(**changes).sides["onnxruntime"]


def test_interpreter_has_to_be_named_again():
    with pytest.raises(UsageError, match=r"onnxruntime-openvino 1\.24\.1") as caught:
        options_of(captured())
    assert "--ort-python PYTHON" in caught.value.hint
    python = Path("somewhere/python")
    assert options_of(captured(), ort_python=python).ort_python == python


def test_what_is_only_listed_needs_no_interpreter():
    assert recorded_options(captured()).providers == (OPENVINO,)


def test_capture_of_attrib_s_own_runtime_needs_none():
    assert options_of(captured(interpreter="")).ort_python is None


def test_plain_options_come_back_by_themselves():
    given = {OPENVINO: {"num_streams": "2", "device_type": "CPU"}}
    options = options_of(captured(interpreter="", provider_options=given))
    assert options.provider_options == (f"{OPENVINO}:num_streams=2", f"{OPENVINO}:device_type=CPU")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cache_dir", "engines"), ("load_config", "x.json"), ("trt_extra_plugin_lib_paths", "x.so"),
        ("unknown", "1"), ("num_streams", "../x"), ("device_type", "CPU;rm"), ("num_streams", "2\n"),
    ],
)  # fmt: skip
def test_option_that_may_name_a_file_has_to_be_named_again(key, value):
    manifest = captured(interpreter="", provider_options={OPENVINO: {key: value}})
    with pytest.raises(UsageError, match=f"the option {key}"):
        options_of(manifest)
    assert recorded_options(manifest).provider_options == ()
    named = options_of(manifest, provider_options=(f"{key}=own",))
    assert named.provider_options == (f"{OPENVINO}:{key}=own",)


def test_option_that_the_capture_had_not_is_refused():
    with pytest.raises(UsageError, match="gave OpenVINOExecutionProvider no num_streams"):
        options_of(captured(interpreter=""), provider_options=("num_streams=1",))


def test_libraries_have_to_be_named_again(tmp_path):
    library = tmp_path / "lib.so"
    library.touch()
    manifest = captured(interpreter="", provider_libraries=(OPENVINO,))
    with pytest.raises(UsageError, match="provider libraries") as caught:
        options_of(manifest)
    assert f"--provider-library {OPENVINO}=PATH" in caught.value.hint
    named = f"{OPENVINO}={library}"
    assert options_of(manifest, provider_libraries=(named,)).provider_libraries == (named,)
    with pytest.raises(UsageError, match="had no provider libraries"):
        options_of(captured(interpreter=""), provider_libraries=(named,))


@pytest.mark.parametrize(
    "runtime",
    [
        RuntimeInfo(version="1.25.0", package="onnxruntime-openvino"),
        RuntimeInfo(version="1.24.1", package="onnxruntime"),
        RuntimeInfo(version="1.24.1", error="cannot be imported"),
    ],
)
def test_another_runtime_is_refused(runtime):
    with pytest.raises(AttribError, match="cannot be"):
        check_runtime(side_of(), runtime)


@pytest.mark.parametrize("package", ["onnxruntime-openvino", ""])
def test_the_same_runtime_is_taken(package):
    """Where an interpreter does not say its package, the version decides."""
    check_runtime(side_of(), RuntimeInfo(version="1.24.1", package=package))
    with pytest.raises(
        AttribError, match=r"has \S+ 1\.24\.2, and the capture ran onnxruntime-openvino 1\.24\.1"
    ):
        check_runtime(side_of(), RuntimeInfo(version="1.24.2", package=package))


def test_capture_that_did_not_note_its_package_is_known_by_its_version():
    side = side_of(package="")
    check_runtime(side, RuntimeInfo(version="1.24.1", package="onnxruntime-openvino"))
    with pytest.raises(AttribError, match="cannot be compared"):
        check_runtime(side, RuntimeInfo(version="1.24.2", package="onnxruntime-openvino"))


def test_command_to_repeat_does_not_say_where_the_interpreter_is():
    options = options_of(captured(), ort_python=Path("/somewhere/private/python"))
    assert "private" not in command_of(options)
    assert "--ort-python PYTHON" in command_of(options)
