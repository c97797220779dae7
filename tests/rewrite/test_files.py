import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from attrib.capture.export.user_graph import check_user_graph
from attrib.errors import AttribError
from attrib.rewrite.files import SMALL, STUB, strip_graph

WEIGHT = np.arange(100_000, dtype=np.float32).reshape(100, 1000)


def model_file(folder, *, external=False, location=None):
    weight = numpy_helper.from_array(WEIGHT, "weight")
    shape = numpy_helper.from_array(np.array([1, -1], np.int64), "shape")
    table = numpy_helper.from_array(np.arange(SMALL + 1, dtype=np.int64), "table")
    scalar = numpy_helper.from_array(np.float32(0.125), "scale")
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(WEIGHT[:1], "c"))
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["y"], name="/encoder/layer.0/MatMul"),
        helper.make_node("Reshape", ["y", "shape"], ["z"]),
        constant,
    ]
    nodes[
        0
    ].doc_string = 'File "/home/jane/venv/lib/python3.11/site-packages/pkg/model.py", line 3, in forward'
    entry = nodes[0].metadata_props.add()
    entry.key, entry.value = "pkg.torch.onnx.stack_trace", 'File "/home/jane/work/my_models.py", line 9'
    entry = nodes[0].metadata_props.add()
    entry.key, entry.value = "pkg.torch.onnx.name_scopes", "['', 'encoder', 'encoder.layer.0']"
    ends = [
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 100])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 1000])],
    ]
    graph = helper.make_graph(nodes, "g", *ends, initializer=[weight, shape, table, scalar])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    file = folder / "model.onnx"
    if external:
        onnx.save_model(
            model, file, save_as_external_data=True, location="model.onnx.data", size_threshold=1024
        )
        if location is not None:
            model = onnx.load(file, load_external_data=False)
            for row in model.graph.initializer[0].external_data:
                if row.key == "location":
                    row.value = location
            file.write_bytes(model.SerializeToString())
    else:
        onnx.save_model(model, file)
    return file


def stripped(file):
    return onnx.load_from_string(strip_graph(file))


@pytest.mark.parametrize("external", [False, True])
def test_weights_are_gone_and_the_structure_is_kept(tmp_path, external):
    file = model_file(tmp_path, external=external)
    data = strip_graph(file)
    assert len(data) < 3000
    graph = onnx.load_from_string(data).graph
    weight = graph.initializer[0]
    assert (weight.name, list(weight.dims), weight.data_type) == ("weight", [100, 1000], TensorProto.FLOAT)
    assert {e.key: e.value for e in weight.external_data} == {"location": STUB}
    assert graph.node[0].name == "/encoder/layer.0/MatMul"


def test_weights_beside_the_file_are_never_read(tmp_path):
    file = model_file(tmp_path, external=True)
    (tmp_path / "model.onnx.data").unlink()
    assert len(strip_graph(file)) < 3000


def test_shapes_and_scalars_keep_their_data(tmp_path):
    kept = {t.name: t for t in stripped(model_file(tmp_path)).graph.initializer}
    assert numpy_helper.to_array(kept["shape"]).tolist() == [1, -1]
    assert numpy_helper.to_array(kept["scale"]) == np.float32(0.125)
    assert kept["table"].data_location == TensorProto.EXTERNAL


def test_large_constant_nodes_are_weights_too(tmp_path):
    constant = stripped(model_file(tmp_path)).graph.node[2].attribute[0].t
    assert (list(constant.dims), len(constant.raw_data)) == ([1, 1000], 0)


def test_nothing_of_the_source_code_stays_and_scopes_are_kept(tmp_path):
    data = strip_graph(model_file(tmp_path))
    node = onnx.load_from_string(data).graph.node[0]
    assert not any(part in data for part in (b"jane", b"/home", b"my_models.py", b"pkg/model.py"))
    assert node.doc_string == ""
    metadata = {entry.key: entry.value for entry in node.metadata_props}
    assert metadata == {"pkg.torch.onnx.name_scopes": "['', 'encoder', 'encoder.layer.0']"}


def test_paths_in_what_describes_the_model_are_shortened(tmp_path):
    file = model_file(tmp_path)
    model = onnx.load(file)
    model.doc_string = "made from /home/jane/work/bert.pt"
    onnx.save(model, file)
    assert onnx.load_from_string(strip_graph(file)).doc_string == "made from bert.pt"


def test_result_is_deterministic(tmp_path):
    file = model_file(tmp_path)
    assert strip_graph(file) == strip_graph(file)


def test_user_graph_tells_its_opset(tmp_path):
    assert check_user_graph(model_file(tmp_path, external=True)) == 17


@pytest.mark.parametrize("location", ["../model.onnx.data", "/etc/passwd", "sub/../../x", "..\\x"])
def test_weights_outside_the_directory_are_refused(tmp_path, location):
    folder = tmp_path / "inner"
    folder.mkdir()
    with pytest.raises(AttribError, match="outside the file's directory"):
        check_user_graph(model_file(folder, external=True, location=location))


def test_link_that_leaves_the_directory_is_refused(tmp_path):
    folder = tmp_path / "inner"
    folder.mkdir()
    (tmp_path / "elsewhere").write_bytes(b"x")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AttribError, match="outside the file's directory"):
        check_user_graph(model_file(folder, external=True, location="link"))


def test_missing_weights_are_named(tmp_path):
    file = model_file(tmp_path, external=True)
    (tmp_path / "model.onnx.data").unlink()
    with pytest.raises(AttribError, match=r"'weight' are missing.*'model.onnx.data'"):
        check_user_graph(file)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x00" * 50])
def test_file_that_is_no_model_is_refused(tmp_path, content):
    file = tmp_path / "model.onnx"
    file.write_bytes(content)
    with pytest.raises(AttribError, match=r"model\.onnx (is not an ONNX model|holds no graph)"):
        check_user_graph(file)


def test_absent_file_is_named(tmp_path):
    with pytest.raises(AttribError, match="there is no file"):
        check_user_graph(tmp_path / "model.onnx")
