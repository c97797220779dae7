"""What the ONNX Runtime worker does with a session's options, in this process."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from attrib.capture.workers.messages import Finish, Open, Outputs, Run
from attrib.capture.workload.inputs import load_inputs, save_inputs
from attrib.errors import UsageError

pytestmark = pytest.mark.engines

X = np.arange(12, dtype=np.float32).reshape(3, 4)
ONE = np.array(1, np.float32)


@pytest.fixture
def engine():
    from attrib.capture.ort.engine import OrtEngine

    return OrtEngine()


@pytest.fixture
def command(tmp_path):
    """A graph with one output of static and one of unknown size, and its inputs, one of them a scalar."""
    nodes = [
        helper.make_node("Erf", ["x"], ["erf"]),
        helper.make_node("NonZero", ["x"], ["found"]),
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Add", ["m", "b"], ["sum"]),
        helper.make_node("Mul", ["sum", "scale"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    weights = [
        helper.make_tensor("w", TensorProto.FLOAT, [4, 4], np.eye(4, dtype=np.float32).ravel()),
        helper.make_tensor("b", TensorProto.FLOAT, [4], np.ones(4, np.float32)),
    ]
    outputs = [value("y", TensorProto.FLOAT, [3, 4]), value("found", TensorProto.INT64, [2, "n"])]
    inputs = [value("x", TensorProto.FLOAT, [3, 4]), value("scale", TensorProto.FLOAT, [])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    save_inputs(tmp_path / "inputs.npz", {"x": X, "scale": ONE})

    def make(**changes):
        known = {
            "model": str(tmp_path / "m.onnx"),
            "inputs": str(tmp_path / "inputs.npz"),
            "precision": "fp32",
            "threads": 2,
            "opt_level": "all",
            "providers": ("CPUExecutionProvider",),
            "io_binding": False,
            "folder": str(tmp_path),
        }
        return Open(**known | changes)

    return make


def test_settings_are_those_of_the_session(engine, command):
    opened = engine.open(command(session_options={"execution_mode": "parallel", "intra_op_num_threads": "3"}))
    assert (opened.threads, opened.settings["execution_mode"], opened.settings["inter_op_threads"]) == (
        3, "parallel", "2",
    )  # fmt: skip
    assert opened.settings["io_binding"] == "false"


def test_threads_that_onnx_runtime_chose_are_counted(engine, command):
    """It chooses where 0 is asked for; here it is told 3, and only the count of what it started is used."""
    from types import SimpleNamespace

    import onnxruntime

    from attrib.capture.ort import engine as ort_engine

    def counted(mode, inter, asked):
        """Threads of a session with a pool of 3, where this was asked for."""
        given = {"intra_op_num_threads": "3", "inter_op_num_threads": "3", "execution_mode": mode}
        before = ort_engine._running_threads()
        session = ort_engine.session_of(command(session_options=given, profiled=False))
        started = ort_engine._running_threads() - before
        options = onnxruntime.SessionOptions()
        options.execution_mode = ort_engine.MODES[mode]
        options.intra_op_num_threads, options.inter_op_num_threads = asked, inter
        assert session
        return ort_engine._intra_op_threads(SimpleNamespace(get_session_options=lambda: options), started)

    assert counted("sequential", 3, 0) == 3
    assert counted("parallel", 3, 0) == 3
    assert counted("parallel", 0, 0) == 3
    assert counted("sequential", 3, 5) == 5


def test_configuration_entries_reach_both_sessions(engine, command):
    engine.open(command(session_options={"session.set_denormal_as_zero": "1"}))
    for session, _ in (engine._plain, engine._profiled):
        entry = session.get_session_options().get_session_config_entry("session.set_denormal_as_zero")
        assert entry == "1"
    engine.finish(Finish())


@pytest.mark.parametrize(("name", "op"), [("MatMulAddFusion", "Gemm"), ("", "MatMul")])
def test_optimizer_that_is_left_out_leaves_its_nodes_alone(engine, command, tmp_path, name, op):
    import onnx

    engine.open(command(disabled_optimizers=() if name else ("MatMulAddFusion",)))
    engine.finish(Finish())
    found = {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
    assert op in found
    assert {"Gemm": "MatMul", "MatMul": "Gemm"}[op] not in found


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("MatMulAdFusion", "did you mean MatMulAddFusion?"),
        ("Nothing", "disable_specified_optimizers=Nothing"),
    ],
)
def test_optimizer_that_onnx_runtime_does_not_know_is_refused(engine, command, name, hint):
    with pytest.raises(UsageError, match=name) as caught:
        engine.open(command(disabled_optimizers=(name,)))
    assert hint in caught.value.hint


def test_family_and_rewrite_rule_are_known():
    from attrib.capture.ort.optimizers import find_optimizers

    assert find_optimizers(["GeluFusion", "EliminateIdentity"]) == [
        "GeluFusionL1",
        "GeluFusionL2",
        "EliminateIdentity",
    ]


def test_without_the_profiled_session_there_is_no_profile(engine, command, tmp_path):
    engine.open(command(profiled=False))
    assert len(engine.run(Run(iterations=2, lead_in=1)).wall_ns) == 3
    assert engine.finish(Finish()).files == ()
    assert not (tmp_path / "optimized.onnx").exists()


def test_bound_outputs_are_written_into_the_same_memory(engine, command, tmp_path, monkeypatch):
    import onnxruntime

    made, make = [], onnxruntime.OrtValue.ortvalue_from_shape_and_type
    monkeypatch.setattr(
        onnxruntime.OrtValue,
        "ortvalue_from_shape_and_type",
        lambda *a: made.append(make(*a)) or made[-1],
    )
    opened = engine.open(command(io_binding=True, profiled=False))
    assert opened.settings["preallocated_outputs"] == "true"
    assert [value.shape() for value in made] == [[3, 4], [2, 11]]
    made[0].update_inplace(np.zeros((3, 4), np.float32))
    engine.run(Run(iterations=1, lead_in=0))
    np.testing.assert_array_equal(made[0].numpy(), X + 1)
    engine.outputs(Outputs(file=str(tmp_path / "out.npz")))
    found = load_inputs(tmp_path / "out.npz")
    np.testing.assert_array_equal(found["y"], X + 1)
    np.testing.assert_array_equal(found["found"], np.array(np.nonzero(X)))


@pytest.mark.parametrize("binding", [False, True])
def test_floats_of_another_type_are_converted_where_that_is_wanted(engine, command, tmp_path, binding):
    from attrib.errors import AttribError

    save_inputs(tmp_path / "inputs.npz", {"x": X.astype(np.float16), "scale": ONE})
    with pytest.raises(AttribError, match="do not match"):
        engine.open(command(profiled=False))
    engine.open(command(profiled=False, any_floats=True, io_binding=binding))
    engine.outputs(Outputs(file=str(tmp_path / "out.npz")))
    np.testing.assert_array_equal(load_inputs(tmp_path / "out.npz")["y"], X + 1)
