"""The generated ONNX classes are imported without onnx, and are the ones that onnx has."""

import subprocess
import sys


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_class_comes_without_the_package():
    code = (
        "import sys; from attrib.analysis.lineage.reader import model_class; model_class()();"
        "print('onnx' in sys.modules, 'onnx.helper' in sys.modules)"
    )
    assert run(code) == "False False"


def test_onnx_imported_later_has_the_same_class():
    code = (
        "from attrib.analysis.lineage.reader import model_class; ours = model_class(); import onnx;"
        "from onnx import checker, helper, TensorProto as T;"
        "x = helper.make_tensor_value_info('x', T.FLOAT, [1]); y = helper.make_tensor_value_info('y', T.FLOAT, [1]);"
        "model = helper.make_model(helper.make_graph([helper.make_node('Relu', ['x'], ['y'])], 'g', [x], [y]));"
        "checker.check_model(model); print(ours is onnx.ModelProto, type(model) is ours, model_class() is ours)"
    )
    assert run(code) == "True True True"


def test_onnx_imported_before_has_the_same_class():
    code = "import onnx; from attrib.analysis.lineage.reader import model_class; print(model_class() is onnx.ModelProto)"
    assert run(code) == "True"
