"""`attrib explain` as a user runs it."""

import json
import subprocess
import sys

import pytest


def test_a_node_is_explained_in_the_terminal(cli, sample):
    done = cli("explain", sample, "node_MatMul_109/MatMulAddFusion")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "MatMul + Add → Reshape, Gemm, Reshape by MatMulAddFusion" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_module_lists_its_regions_and_causes(cli, sample):
    done = cli("explain", sample, "encoder.layer.0", env={"COLUMNS": "60"})
    assert done.returncode == 0, done.stderr
    assert "18 regions, in ms" in done.stdout
    assert "Kernel speed" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 60


def test_json_holds_the_same_as_data(cli, sample):
    done = cli("explain", sample, "encoder.layer.0.intermediate.dense/aten::linear#0", "--json")
    found = json.loads(done.stdout)
    assert (found["kind"], len(found["regions"])) == ("call", 1)
    region = found["regions"][0]
    assert region["trail"]["steps"][0]["by"] == "MatMulAddFusion"
    assert (
        region["delta_ns"]
        == region["onnxruntime_ns"] - region["torch_ns"]
        == sum(r["delta_ns"] for r in region["rows"])
    )
    assert region["match"]["method"] == "values"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dense", "'dense' is part of the names of"),
        ("lineer_4", "nothing here is named 'lineer_4'; similar names: linear_4"),
        ("\x1b[31m", "nothing here is named"),
        ("", "nothing here is named ''"),
    ],
)
def test_a_name_that_is_not_one_thing_is_a_usage_error_of_one_line(cli, sample, name, said):
    done = cli("explain", sample, name)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr


def test_a_directory_that_is_none_is_said(cli, tmp_path):
    done = cli("explain", tmp_path / "nowhere", "x")
    assert done.returncode == 3
    assert "does not exist" in done.stderr


def test_an_ascii_terminal_gets_codes_and_no_traceback(cli, sample):
    done = cli("explain", sample, "linear_4", env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert done.returncode == 0, done.stderr
    assert "MatMulAddFusion" in done.stdout


def test_explain_imports_no_engine_and_no_table_library(sample):
    code = (
        "import sys; from attrib.cli.main import run\n"
        f"assert run(['explain', {str(sample)!r}, 'linear_4']) == 0\n"
        "print('loaded:', sorted({'torch', 'onnxruntime', 'transformers', 'onnxscript', 'onnx_ir', 'pandas', 'plotly',"
        " 'scipy', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"
