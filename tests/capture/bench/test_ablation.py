"""Graphs with a part taken out: the rest computes the same, and all of it still runs."""

import json

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from attrib.capture.bench.ablation_engine import AblationEngine
from attrib.capture.ort.run_once import run_once
from attrib.capture.workers.messages import Ablate
from attrib.capture.workload.inputs import save_inputs
from attrib.errors import AttribError
from tests.rewrite.surgery.graphs import FLOAT, N, const, model_of, random_input

pytestmark = pytest.mark.engines

X = {"x": random_input()}
NODES = [
    N("Exp", ["x"], ["a"]),
    N("Neg", ["a"], ["b"]),
    N("Softmax", ["b"], ["c"]),
    N("Add", ["a", "c"], ["d"]),
    N("MatMul", ["d", "w"], ["e"]),
    N("Split", ["e"], ["f", "g"], axis=1, num_outputs=2),
    N("Mul", ["f", "f"], ["h"]),
]
OUTPUTS = [("h", FLOAT), ("d", FLOAT), ("g", FLOAT)]
NAMES = [node.output[0] for node in NODES]


def graph(nodes=NODES, outputs=OUTPUTS):
    given = [("x", FLOAT, [2, 4, 4])]
    return model_of(nodes, outputs, inputs=given, constants=[const("w", random_input((4, 4)))])


INPUTS = {"x": random_input((2, 4, 4))}


def cut(folder, model, *produced):
    onnx.save(model, folder / "optimized.onnx")
    save_inputs(folder / "inputs.npz", INPUTS)
    return AblationEngine().ablate(
        Ablate(
            model=str(folder / "optimized.onnx"), origin=str(folder), inputs=str(folder / "inputs.npz"),
            providers=("CPUExecutionProvider",), produced=produced, folder=str(folder),
        )
    )  # fmt: skip


def assert_same_outputs(folder, done, model):
    before = run_once(folder / "optimized.onnx", folder / "inputs.npz")
    for file in (done.baseline, done.variant):
        after = run_once(file, folder / "inputs.npz")
        assert list(after) == [value.name for value in model.graph.output]
        for name, own in before.items():
            np.testing.assert_array_equal(own, after[name])


@settings(max_examples=40)
@given(produced=st.sets(st.sampled_from(NAMES), min_size=1))
def test_whatever_is_taken_out_the_rest_computes_the_same(tmp_path_factory, produced):
    folder = tmp_path_factory.mktemp("cut")
    done = cut(folder, graph(), *sorted(produced))
    assert_same_outputs(folder, done, graph())
    assert done.removed == len(produced)
    baseline, variant = (onnx.load(file).graph for file in (done.baseline, done.variant))
    assert len(baseline.node) - len(variant.node) == len(produced)
    # Outputs of the graph are copied in both, so that returning them costs the same.
    copies = [sum(node.op_type == "Identity" for node in part.node) for part in (baseline, variant)]
    returned = {"h", "d"} & produced | ({"g"} if "f" in produced else set())
    assert copies == [len(returned)] * 2


def test_only_what_others_read_is_fed(tmp_path):
    done = cut(tmp_path, graph(), "a", "b", "c")
    assert sorted(done.fed) == ["a", "c"]
    assert done.bytes == 2 * INPUTS["x"].nbytes


def test_value_that_a_branch_reads_is_fed_to_it(tmp_path):
    branch = helper.make_graph(
        [N("Neg", ["b"], ["t"])], "then", [], [helper.make_tensor_value_info("t", FLOAT, None)]
    )
    other = helper.make_graph(
        [N("Abs", ["d"], ["u"])], "else", [], [helper.make_tensor_value_info("u", FLOAT, None)]
    )
    nodes = [*NODES, N("If", ["yes"], ["v"], then_branch=branch, else_branch=other)]
    model = graph(nodes, [*OUTPUTS, ("v", FLOAT)])
    model.graph.initializer.append(const("yes", True, np.bool_))
    done = cut(tmp_path, model, "b", "d")
    assert_same_outputs(tmp_path, done, model)
    assert "b" in done.fed


def test_nodes_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(AttribError, match="has none of these nodes"):
        cut(tmp_path, graph(), "zzz")


def test_nodes_whose_results_nobody_reads_any_more_still_run(tmp_path):
    done = cut(tmp_path, graph(), "d", "e")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    session = ort.InferenceSession(done.variant, options, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["x"]
    session.run(None, INPUTS)
    events = json.loads((tmp_path / session.end_profiling()).read_text())
    ran = [
        e["args"]["op_name"] for e in events if e.get("cat") == "Node" and e["name"].endswith("_kernel_time")
    ]
    assert sorted(ran) == ["Exp", "Identity", "Mul", "Neg", "Softmax", "Split"]
