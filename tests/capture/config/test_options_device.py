"""`--cuda-graph`: what it asks of ONNX Runtime, and where it makes no sense."""

from pathlib import Path

import pytest

from attrib.capture.config.options import check_options
from attrib.capture.session.commands import new_side, open_command
from attrib.errors import UsageError
from attrib.model.capture_options import CaptureOptions

CUDA = "CUDAExecutionProvider"


def options(**changes):
    return CaptureOptions(model="mlp", **{"device": "cuda", "cuda_graph": True} | changes)


def test_graph_is_an_option_of_the_provider_and_binds_inputs_and_outputs():
    given = options(provider_options=("use_tf32=0",))
    check_options(given)
    command = open_command(given, Path("m.onnx"), Path("i.npz"), 2, "folder")
    assert command.provider_options == {CUDA: {"use_tf32": "0", "enable_cuda_graph": "1"}}
    assert command.io_binding
    assert new_side(given, "onnxruntime", "ort", 2).provider_options == command.provider_options


def test_without_it_nothing_is_bound_or_captured():
    command = open_command(options(cuda_graph=False), Path("m.onnx"), Path("i.npz"), 2, "folder")
    assert (command.provider_options, command.io_binding) == ({}, False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"device": "cpu"}, "needs CUDAExecutionProvider"),
        ({"providers": ("tensorrt", "cuda")}, "needs CUDAExecutionProvider"),
        ({"against_itself": "torch"}, "--cuda-graph has no use"),
    ],
)
def test_where_it_makes_no_sense_it_is_refused(changes, words):
    with pytest.raises(UsageError, match=words):
        check_options(options(**changes))


def test_provider_may_be_named_instead_of_the_device():
    given = options(device="cpu", providers=("cuda",))
    check_options(given)
    command = open_command(given, Path("m.onnx"), Path("i.npz"), 2, "folder")
    assert command.provider_options == {CUDA: {"enable_cuda_graph": "1"}}
    assert command.io_binding
