"""Which values of a graph are read, in which pieces, and what is left out."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from attrib.analysis.lineage.reader import graph_from_bytes
from attrib.capture.session import phase_values as under_test
from attrib.capture.workload.recorded_step import RecordedCall, StepWriter, read_index, read_tensors


def model(*, sizes: int = 16) -> onnx.ModelProto:
    """`y = relu(x + w)`, and what depends on no input: a table made of the constant `t`."""
    nodes = [
        helper.make_node("Neg", ["t"], ["table"], name="table"),
        helper.make_node("Add", ["x", "w"], ["sum"], name="sum"),
        helper.make_node("Relu", ["sum"], ["y"], name="relu"),
    ]
    floats = TensorProto.FLOAT
    constants = [helper.make_tensor(name, floats, [4], [1.0, 2.0, 3.0, 4.0]) for name in ("t", "w")]
    constants.append(helper.make_tensor("large", floats, [8], [1.0] * 8))
    shapes = [helper.make_tensor_value_info(name, floats, [sizes, 4]) for name in ("x", "y", "sum")]
    graph = helper.make_graph(nodes, "g", shapes[:1], shapes[1:2], constants, value_info=shapes[2:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def names(computed: frozenset[int]) -> list[str]:
    made = model()
    return under_test._names_of(made, graph_from_bytes(made.SerializeToString(), "g"), computed)


def test_what_depends_on_no_input_is_read_only_where_pytorch_computes_it():
    assert names(frozenset()) == ["sum", "y"]
    assert names(frozenset({4})) == ["t", "w", "table", "sum", "y"]
    assert names(frozenset({5})) == ["table", "sum", "y"]


def test_values_are_read_in_pieces_of_a_size_that_the_file_states_or_that_is_usual(monkeypatch):
    graph = graph_from_bytes(model().SerializeToString(), "g")
    monkeypatch.setattr(under_test, "PIECE_BYTES", 1000)
    assert list(under_test._pieces(["sum", "y", "unknown"], graph, 100)) == [["sum", "y", "unknown"]]
    assert list(under_test._pieces(["sum", "y", "unknown"], graph, 900)) == [["sum", "y"], ["unknown"]]
    monkeypatch.setattr(under_test, "PIECE_BYTES", 10)
    assert list(under_test._pieces(["sum", "y"], graph, 1)) == [["sum"], ["y"]]
    assert list(under_test._pieces([], graph, 1)) == []


def test_a_probe_returns_its_piece_and_what_the_model_returns(tmp_path):
    made, file = model(), tmp_path / "probe.onnx"
    for piece in (["sum"], ["table", "y"]):
        under_test._write_probe(made, 1, piece, file)
        outputs = [output.name for output in onnx.load(file).graph.output]
        assert outputs == ["y", *(name for name in piece if name != "y")]


@pytest.fixture
def recorded(tmp_path) -> Path:
    with StepWriter(tmp_path, 100) as writer:
        numbers = [writer.add(np.arange(12.0).reshape(3, 4)), writer.add(np.zeros(9)), writer.add(np.ones(0))]
        writer.refine(0, (3, 2, 2))
        writer.refine(0, (12,))
        return writer.finish((RecordedCall("c", (0,), tuple(numbers)),))


def test_a_step_is_read_as_it_was_written_and_what_had_no_place_is_counted(recorded):
    step, tensors = read_index(recorded), read_tensors(recorded)
    assert step.left_out == 1
    assert step.calls[0].outputs == (0, -1, 1)
    assert [tensor.shape for tensor in tensors] == [(3, 2, 2), (0,)]
    assert tensors[0].ravel().tolist() == list(range(12))
    assert step.tensors[0].bytes == 96
