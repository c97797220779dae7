"""Flags and options say the same, both ways; changes of the same options are put together or refused."""

import shlex
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields, replace

from attrib.cli.profile import command
from attrib.model.capture_options import CaptureOptions
from attrib.verify.flags import FLAGS, change_of, command_of, flags_of
from attrib.verify.stack import Conflict, changed_fields, merge_options

WORDS = st.text("abcXYZ019._=- '\"$;é", min_size=1, max_size=8)
LISTS = st.lists(WORDS, max_size=3).map(tuple)
COUNTS = st.none() | st.integers(1, 64)

OPTIONS = st.builds(
    CaptureOptions,
    model=WORDS,
    onnx=st.none() | WORDS.map(lambda name: Path(f"d/{name}")),
    batch_size=COUNTS, seq_len=COUNTS, layers=COUNTS, opset=COUNTS, threads=COUNTS, iterations=COUNTS, warmup=COUNTS,
    device=st.sampled_from(["cpu", "cuda"]),
    providers=LISTS, optimize=LISTS, session_options=LISTS, disabled_optimizers=LISTS, text=LISTS, env=LISTS,
    precision=st.sampled_from(["fp32", "fp16", "bf16"]),
    exporter=st.sampled_from(["dynamo", "torchscript"]),
    opt_level=st.sampled_from(["disabled", "basic", "extended", "all"]),
    attention=st.sampled_from(["sdpa", "eager"]),
    torch_mode=st.sampled_from(["eager", "compile", "jit"]),
    dynamic_shapes=st.booleans(), autocast=st.booleans(), io_binding=st.booleans(),
    seed=st.integers(0, 5), padding=st.sampled_from([0.0, 0.3, 0.5]),
    task=st.sampled_from(["", "fill-mask", "text-classification"]),
)  # fmt: skip


def parsed(words):
    """The options that `attrib profile` takes from these words."""
    context = click.Context(command)
    given_options = command.make_context("profile", list(words), parent=context).params
    known = {field.name for field in fields(CaptureOptions)}
    chosen = {name: value for name, value in given_options.items() if name in known}
    return CaptureOptions(**chosen | {"task": chosen["task"] or ""})


def without(words, flags):
    """A command line with some flags left out, each with its value where it takes one."""
    switches = {FLAGS[name] for name in ("dynamic_shapes", "autocast", "io_binding")}
    kept, left = [], iter(words)
    for word in left:
        value = None if word in switches else next(left)
        if word not in flags:
            kept += [word] if value is None else [word, value]
    return kept


@given(OPTIONS)
def test_command_gives_the_options_back(options):
    words = shlex.split(command_of(options))
    assert words[:2] == ["attrib", "profile"]
    assert parsed(words[2:]) == options


@given(OPTIONS, OPTIONS)
def test_change_of_a_command_line_gives_the_other_options(before, after):
    change = change_of(before, after)
    words = shlex.split(command_of(before))[2:]
    assert parsed([*without(words, change.drop), *change.add]) == after


@given(OPTIONS)
def test_same_options_need_no_flags(options):
    assert flags_of(options, options) == ""


def test_flags_read_as_one_types_them():
    base = CaptureOptions(model="m", dynamic_shapes=True, optimize=("onnxslim",))
    after = replace(
        base,
        dynamic_shapes=False,
        opset=23,
        optimize=("onnxslim", "onnxscript"),
        session_options=("a.b=c d",),
    )
    said = "--opset 23 --optimize onnxscript --session-option 'a.b=c d' (without --dynamic-shapes)"
    assert flags_of(base, after) == said


def test_every_field_that_chooses_what_runs_has_a_flag_of_the_command():
    known = {option for parameter in command.params for option in parameter.opts}
    assert set(FLAGS.values()) <= known


# Merging

BASE = CaptureOptions(model="m", optimize=("onnxslim",))


def test_lists_are_appended_and_other_fields_set():
    stack = replace(BASE, opset=23, optimize=("onnxslim", "onnxscript"), disabled_optimizers=("A",))
    other = replace(
        BASE, io_binding=True, optimize=("onnxslim", "ort-transformers"), disabled_optimizers=("B",)
    )
    both = merge_options(BASE, stack, other)
    assert (both.opset, both.io_binding) == (23, True)
    assert both.optimize == ("onnxslim", "onnxscript", "ort-transformers")
    assert both.disabled_optimizers == ("A", "B")


@pytest.mark.parametrize(
    ("stack", "other", "says"),
    [
        ({"opset": 23}, {"opset": 17}, "--opset is set by a change that saves more"),
        (
            {"session_options": ("session.intra_op.allow_spinning=0",)},
            {"session_options": ("session.intra_op.allow_spinning=1",)},
            "--session-option session.intra_op.allow_spinning is set",
        ),
        ({"optimize": ("onnxslim", "float16")}, {"optimize": ("onnxslim", "int8-dynamic")}, "float32 graph"),
        ({"optimize": ()}, {"optimize": ("onnxslim", "onnxscript")}, "--optimize is set"),
    ],
)
def test_changes_that_contradict_each_other_are_refused(stack, other, says):
    with pytest.raises(Conflict, match=says.replace("(", r"\(")):
        merge_options(BASE, replace(BASE, **stack), replace(BASE, **other))


@given(OPTIONS, OPTIONS)
def test_merging_a_change_into_the_original_is_that_change(base, other):
    try:
        both = merge_options(base, base, other)
    except Conflict:
        return
    assert all(getattr(both, name) == getattr(other, name) for name in changed_fields(base, other))
