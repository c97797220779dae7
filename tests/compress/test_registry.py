"""The names that `--compress` takes, what is refused, and what each says in one line."""

import importlib

import pytest
from click.testing import CliRunner

from attrib.capture.config.options import check_options
from attrib.cli.profile import command
from attrib.compress.registry import COMPRESSIONS, Asked, asked_of, compressed_precision
from attrib.errors import UsageError
from attrib.model.capture_options import CaptureOptions


@pytest.mark.parametrize(
    ("wrong", "says", "hint"),
    [
        ({"compress": ("prune-head",)}, "unknown compression 'prune-head'", "did you mean prune-heads?"),
        ({"compress": ("zzz",)}, "unknown compression 'zzz'", "prune-heads, int8-dynamic, int8-weight-only"),
        ({"compress": ("prune-heads=1",)}, "above 0 and below 1, not '1'", "--compress prune-heads=0.25"),
        ({"compress": ("prune-heads=nan",)}, "above 0 and below 1, not 'nan'", "--compress prune-heads=0.25"),
        ({"compress": ("prune-heads=few",)}, "above 0 and below 1, not 'few'", "--compress prune-heads=0.25"),
        ({"compress": ("int8-dynamic=0.5",)}, "takes no share, not '0.5'", "--compress int8-dynamic"),
        ({"compress": ("int8-dynamic",), "device": "cuda"}, "computes on cpu, not on cuda", "--device cpu"),
        (
            {"compress": ("int8-dynamic",), "precision": "bf16"},
            "computes from fp32, not from bf16",
            "--precision fp32",
        ),
        (
            {"compress": ("int8-dynamic",), "precision": "bf16", "autocast": True},
            "computes from fp32, not from bf16",
            "--precision fp32",
        ),
        ({"compress": ("prune-heads",), "onnx": "m.onnx"}, "--compress applies to an export", ""),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_way_out(wrong, says, hint):
    with pytest.raises(UsageError, match=says) as caught:
        check_options(CaptureOptions(model="bert-base-uncased", **wrong))
    assert hint in caught.value.hint


def test_share_is_the_rows_own_unless_one_is_asked_for():
    assert asked_of("prune-heads") == Asked("prune-heads", 0.25)
    assert asked_of("prune-heads=0.5") == Asked("prune-heads", 0.5)
    assert asked_of("int8-dynamic") == Asked("int8-dynamic", 0.0)


def test_every_compression_is_accepted_has_its_functions_and_stands_in_the_help():
    text = " ".join(CliRunner().invoke(command, ["--help"], terminal_width=200).output.split()).replace(
        "- ", "-"
    )
    for name, row in COMPRESSIONS.items():
        check_options(CaptureOptions(model="bert-base-uncased", compress=(name,)))
        own = importlib.import_module(f"attrib.compress.{row.module}")
        assert callable(own.layers)
        assert callable(own.compress)
        assert name in text


def test_command_line_refuses_an_unknown_name_before_anything_is_loaded(tmp_path):
    out = tmp_path / "out"
    done = CliRunner().invoke(
        command, ["--model", "two-linears", "--compress", "int8-dynamc", "-o", str(out)]
    )
    assert isinstance(done.exception, UsageError)
    assert done.exception.hint == "did you mean int8-dynamic?"
    assert not out.exists()


def test_int8_layers_widen_the_tolerance_and_pruned_heads_do_not():
    assert compressed_precision("bf16", ("prune-heads",)) == "bf16"
    assert compressed_precision("fp32", ("prune-heads=0.5", "int8-dynamic")) == "int8"
