import shlex

import msgspec
import pytest

from attrib.findings.commands import base_words, with_whole_commands
from attrib.model.document import Check

MANIFEST_COMMAND = "attrib profile --model bert-base-uncased --seq-len 64 -o out --force --opset=18"


def completed(fix, told=MANIFEST_COMMAND):
    manifest = _Manifest(command=told)
    (found,) = with_whole_commands([Check(check="c", state="failed", detail="", fix=fix)], manifest)
    return found.fix


class _Manifest(msgspec.Struct):
    command: str


def test_a_change_becomes_a_whole_command():
    fix = "Keep it whole: `attrib profile --opset 23`; or look."
    whole = "`attrib profile --model bert-base-uncased --seq-len 64 --opset 23`"
    assert completed(fix) == f"Keep it whole: {whole}; or look."


@pytest.mark.parametrize(
    "fix",
    [
        "`attrib profile` notes it",
        "`attrib profile --threads N` with N below the quota",
        "`attrib doctor` says it",
        "attrib profile --opset 23",
    ],
)
def test_what_is_no_command_to_run_stays(fix):
    assert completed(fix) == fix


@pytest.mark.parametrize(
    "told",
    [
        "",
        "python x.py",
        "attrib profile 'x",
        "attrib profile `x`",
        "attrib profile x\ny",
        "attrib profile " + "x" * 3000,
    ],
)
def test_where_nobody_says_what_was_captured_the_reader_names_the_model(told):
    fix = "`attrib profile --opset 23`"
    assert completed(fix, told) == "`attrib profile --model MODEL --opset 23`"


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("attrib profile -o x --model m", "attrib profile --model m"),
        ("attrib profile --output=x --model m --resume d", "attrib profile --model m"),
        ("attrib profile -q --open --model m -v --quiet", "attrib profile --model m"),
        ("attrib profile --model 'm; rm x'", "attrib profile --model 'm; rm x'"),
    ],
)
def test_another_capture_goes_to_another_place(told, kept):
    assert shlex.join(base_words(told)) == kept


@pytest.mark.parametrize(
    ("told", "fix", "whole"),
    [
        (
            "--model m --autocast --precision bf16",
            "`attrib profile` without `--autocast`",
            "--model m --precision bf16",
        ),
        (
            "--model m --exporter=dynamo",
            "`attrib profile --exporter torchscript`",
            "--model m --exporter torchscript",
        ),
        (
            "--disable-optimizer A --model m --disable-optimizer B",
            "`attrib profile` without `--disable-optimizer`",
            "--model m",
        ),
        (
            "--optimize float16 --optimize onnxslim --model m",
            "`attrib profile` without `--optimize float16`",
            "--optimize onnxslim --model m",
        ),
        (
            "--model m --optimize int8-dynamic",
            "`attrib profile --optimize int8-qdq` in place of `--optimize int8-dynamic`",
            "--model m --optimize int8-qdq",
        ),
        (
            "--model m --optimize onnxslim",
            "`attrib profile --optimize float16`",
            "--model m --optimize onnxslim --optimize float16",
        ),
    ],
)
def test_what_is_replaced_or_left_out_is_not_in_the_command(told, fix, whole):
    assert completed(fix, f"attrib profile {told}") == f"`attrib profile {whole}`"


def test_what_was_not_given_is_not_left_out():
    fix = "`attrib profile` without `--autocast`"
    assert completed(fix, "attrib profile --model m") == fix


def test_a_document_without_a_manifest_names_no_model_of_its_own():
    (found,) = with_whole_commands(
        [Check(check="c", state="failed", detail="", fix="`attrib profile --opset 23`")], None
    )
    assert found.fix == "`attrib profile --model MODEL --opset 23`"
