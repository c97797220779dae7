import re
import shlex

import msgspec
import pytest

from attrib.capture import CaptureOptions
from attrib.capture.config.options import check_options
from attrib.cli.profile import command
from attrib.findings.commands import base_words, with_whole_commands
from attrib.model.document import Check
from tests.report.factory import document

MANIFEST_COMMAND = "attrib profile --model bert-base-uncased --seq-len 64 -o out --force --opset=18"


def completed(fix, told=MANIFEST_COMMAND):
    manifest = _Manifest(command=told)
    (found,) = with_whole_commands([Check(check="c", state="failed", detail="", fix=fix)], manifest)
    return found.fix


class _Manifest(msgspec.Struct):
    command: str


def test_a_change_becomes_a_whole_command():
    fix = "Keep it whole: `attrib profile --opset 23`; or look."
    whole = "`attrib profile --model bert-base-uncased --seq-len 64 --opset=18 --opset 23`"
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
def test_what_is_no_command_of_a_capture_changes_nothing(told):
    fix = "`attrib profile --opset 23`"
    assert completed(fix, told) == fix


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("attrib profile -o x --model m", "attrib profile --model m"),
        ("attrib profile --output=x --model m --resume d", "attrib profile --model m"),
        ("attrib profile --model 'm; rm x'", "attrib profile --model 'm; rm x'"),
    ],
)
def test_another_capture_goes_to_another_place(told, kept):
    assert shlex.join(base_words(told)) == kept


def commands_in(document):
    texts = [*(f.fix for f in document.findings), *(c.fix for c in document.comparability)]
    return {found for text in texts for found in re.findall(r"`(attrib profile -[^`]+)`", text)}


def test_every_command_that_a_sample_prints_can_be_run(sample_analysis):
    found = commands_in(sample_analysis.document)
    assert found
    for line in found:
        words = shlex.split(line)
        if re.search(r" [A-Z]+\b", line):
            continue  # a value that only the reader knows
        context = command.make_context("profile", words[2:])
        given = {
            name: value for name, value in context.params.items() if name in CaptureOptions.__struct_fields__
        }
        options = CaptureOptions(**{name: value for name, value in given.items() if value is not None})
        check_options(options)
        assert options.model == "bert-base-uncased", line


def test_a_document_of_any_kind_keeps_its_fixes():
    assert with_whole_commands(document().findings, None) == document().findings
