"""An option of `attrib profile` is declared once; the command, the manifest, `--resume` and `attrib verify` follow."""

import subprocess
import sys

import click
import msgspec
import pytest

from attrib.capture.config.user_supplied import UserSupplied
from attrib.cli.profile import command
from attrib.model.capture_options import OPTIONS, CaptureOptions, Declared, declared_options
from attrib.model.capture_request import CaptureRequest
from attrib.verify.flags import FLAGS

WITH_A_DUMMY = """
from typing import Annotated, Literal
import attrib.model.capture_options as declaration
from attrib.model.capture_options import Option, declared_options

class CaptureOptions(declaration.CaptureOptions, frozen=True, kw_only=True):
    shade: Annotated[Literal["light", "dark"], Option(help="A dummy.", group="PyTorch")] = "light"

# The declaration is all that is touched; whatever follows from it is imported later.
declaration.CaptureOptions, declaration.OPTIONS = CaptureOptions, declared_options(CaptureOptions)
"""

THE_FOUR = """
import msgspec
from click.testing import CliRunner
from attrib.capture.config.user_supplied import UserSupplied
from attrib.capture.session.capture_request import options_to_resume, request_from_options
from attrib.capture.session.request_from_manifest import options_of
from attrib.cli.profile import command
from attrib.model.manifest import Environment, Manifest, Side, Workload
from attrib.verify.flags import command_of, flags_of

parameters = {parameter.name: parameter for parameter in command.params}
assert parameters["shade"].type.choices == ("light", "dark")
lines = CliRunner().invoke(command, ["--help"]).output.splitlines()
place = next(number for number, line in enumerate(lines) if "--shade" in line)
assert "A dummy." in lines[place] and [line for line in lines[:place] if line.endswith(":")][-1] == "PyTorch:"

dark = CaptureOptions(model="two-linears", shade="dark")
manifest = Manifest(
    attrib_version="1", created="2026-01-01T00:00:00Z", environment=Environment(),
    workload=Workload(model="two-linears", source="built-in", weights="w", batch_size=1, seq_len=0),
    sides={
        "torch": Side(engine="torch", state="complete", folder="torch", mode="eager"),
        "onnxruntime": Side(
            engine="onnxruntime", state="complete", folder="ort", opt_level="all", exporter="dynamo",
            requested_providers=("CPUExecutionProvider",),
        ),
    },
    asked=request_from_options(dark),
)
manifest = msgspec.json.decode(msgspec.json.encode(manifest), type=Manifest)
assert manifest.asked.shade == "dark"
assert options_to_resume(manifest, UserSupplied()).shade == "dark"
assert options_of(manifest).shade == "dark"
assert flags_of(CaptureOptions(model="two-linears"), dark) == "--shade dark"
assert command_of(dark) == "attrib profile --model two-linears --shade dark"
print("declared once")
"""

KEYS_OF_FORMAT_1 = (
    "onnx", "text", "ort_python", "batch_size", "seq_len", "layers", "device", "providers", "provider_options",
    "provider_libraries", "precision", "exporter", "opset", "dynamic_shapes", "optimize", "opt_level", "session_options",
    "disabled_optimizers", "attention", "torch_mode", "autocast", "threads", "iterations", "rounds", "warmup", "seed",
    "io_binding", "cuda_graph", "task", "padding", "against_itself", "timeout",
)  # fmt: skip


def test_dummy_option_is_one_declaration():
    done = subprocess.run(
        [sys.executable, "-c", WITH_A_DUMMY + THE_FOUR], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "declared once\n"), done.stderr


def test_field_without_a_declaration_is_refused():
    class Undeclared(CaptureOptions, frozen=True, kw_only=True):
        shade: str = "light"

    with pytest.raises(TypeError, match="shade is not declared"):
        declared_options(Undeclared)


def test_request_of_a_manifest_has_every_key_of_its_format():
    # An option that is added later adds its own: what lacks it has its default.
    assert set(KEYS_OF_FORMAT_1) <= set(CaptureRequest.__struct_fields__)
    written = msgspec.json.encode(CaptureRequest())
    assert tuple(msgspec.json.decode(written)) == CaptureRequest.__struct_fields__
    assert msgspec.json.decode(b"{}", type=CaptureRequest) == CaptureRequest()


@pytest.mark.parametrize("declared", OPTIONS, ids=lambda declared: declared.name)
def test_no_declared_option_is_missing_where_it_belongs(declared: Declared):
    option, name = declared.option, declared.name
    parameters = {parameter.name: parameter for parameter in command.params}
    assert (name in parameters) == option.on_command_line
    if option.on_command_line:
        assert declared.flag in parameters[name].opts
        assert parameters[name].hidden == option.hidden
        assert option.hidden or name in command.groups[option.group], "the help lists it under a heading"
    # What the manifest does not hold is named again, or bears on nothing that is measured.
    assert (name in CaptureRequest.__struct_fields__) == (option.recorded != "nothing")
    assert option.recorded != "nothing" or option.named_again or not option.chooses_what_runs
    assert (name in UserSupplied.__struct_fields__) == option.named_again
    assert (FLAGS.get(name) == declared.flag) == option.chooses_what_runs


def test_every_option_of_the_command_is_declared_or_about_the_command_itself():
    own = {"resume", "no_report", "strict", "open_page", "quiet", "verbose"}
    names = {parameter.name for parameter in command.params if isinstance(parameter, click.Option)}
    assert names - own == {declared.name for declared in OPTIONS if declared.option.on_command_line}


def test_what_is_reduced_in_the_manifest_is_named_again_or_holds_no_file():
    reduced = {declared.name for declared in OPTIONS if declared.option.recorded not in ("value", "nothing")}
    again = {declared.name for declared in OPTIONS if declared.option.named_again}
    assert reduced - again == {"session_options"}
