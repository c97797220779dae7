"""blocked-optimization, where the session was not allowed to fuse layers: GELU and layer norm by single operators."""

import json
from pathlib import Path

import numpy as np
import pytest

from attrib.findings.evidence.executed_graph import executed_graph
from attrib.findings.evidence.single_operators import fusion_of
from attrib.findings.evidence.unfused_patterns import find_unfused_layers
from attrib.findings.runner import run
from tests.findings.evidence_factory import MS, manifest, node, tensor
from tests.findings.graph_evidence import Ran, given
from tests.findings.rules.graph.test_unfused_layers import (
    CONSTANTS,
    gelu_of_halves,
    gelu_of_tanh,
    gelu_textbook,
    layer,
    linear,
    norm,
    rms,
)


def rms_by_power(source="x", result="y"):
    """A norm without a mean, as LlamaRMSNorm was exported at first."""
    return [
        ["Pow", [source, "two"], "q"],
        ["ReduceMean", ["q", "axes"], "v"],
        ["Add", ["v", "eps"], "e"],
        ["Sqrt", ["e"], "s"],
        ["Div", [source, "s"], "n"],
        ["Mul", ["n", "weight"], result],
    ]


def findings(specs, *more, level="all", values=None, **onnxruntime):
    """What two rules say of a layer in a session of this level."""
    side = manifest(onnxruntime={"opt_level": level, **onnxruntime})
    ran = (*linear(), *layer(specs), *more)
    found = {f.id: f for f in run(given(*ran, constants=CONSTANTS, manifest=side, values=values))}
    return found["blocked-optimization"], found["unfused-layers"]


@pytest.mark.rule("blocked-optimization", "fires")
@pytest.mark.parametrize("name", ["GeluFusion", "GeluFusionL1", "GeluFusionL2"])
def test_a_fusion_that_was_left_out_is_the_cause_and_not_the_layer(name):
    blocked, unfused = findings(gelu_textbook(), disabled_optimizers=(name,))
    assert blocked.title.endswith(f"left out: {name}")
    assert blocked.saving_ns == pytest.approx(4 * MS, rel=0.02)  # five nodes of 1 ms less that of its Erf
    assert any("GELU: 2 Mul" in line.text for line in blocked.evidence)
    assert "--disable-optimizer" in blocked.fix
    assert unfused.state == "passed"


@pytest.mark.parametrize("level", ["disabled", "basic"])
def test_a_level_without_fusions_leaves_the_layer_apart(level):
    blocked, unfused = findings(gelu_textbook(), level=level)
    bias = MS if level == "disabled" else 0  # which the product would take in
    assert blocked.saving_ns == pytest.approx(4 * MS + bias, rel=0.02)
    assert unfused.state == "passed"


@pytest.mark.parametrize(
    ("specs", "name", "saving"),
    [(norm(power=True), "LayerNormFusion", 7 * MS), (rms_by_power(), "SimplifiedLayerNormFusion", 4 * MS)],
)
def test_a_layer_norm_is_left_apart_by_its_own_fusion_only(specs, name, saving):
    peer = Ran(node("LayerNormalization", ["a", "b"], ["c"], name="peer"), 2 * MS, result=tensor(1, 32, 3072))
    assert findings(specs, peer, disabled_optimizers=(name,))[0].saving_ns == pytest.approx(saving, rel=0.02)
    assert findings(specs, peer, disabled_optimizers=("GeluFusion",))[0].state == "passed"


@pytest.mark.rule("blocked-optimization", "passes")
@pytest.mark.parametrize("specs", [gelu_of_halves(), gelu_of_tanh(), rms(), norm()])
def test_a_form_that_no_fusion_knows_is_no_fault_of_the_session(specs):
    out = ("GeluFusion", "LayerNormFusion", "SimplifiedLayerNormFusion")
    blocked, unfused = findings(specs, disabled_optimizers=out)
    assert blocked.state == "passed"
    assert "1 GELU" in unfused.title or specs in (rms(), norm())  # whose measure would be PyTorch's call


@pytest.mark.rule("blocked-optimization", "passes")
def test_with_every_fusion_allowed_the_layer_itself_is_the_finding():
    blocked, unfused = findings(gelu_textbook())
    assert (blocked.state, unfused.state) == ("passed", "failed")


def test_a_factor_of_the_layer_beside_a_product_is_counted_once():
    product = Ran(node("MatMul", ["y", "linear weight"], ["z"], name="next"), 9 * MS)
    values = {"root": tensor(), "half": tensor()}
    blocked, _ = findings(gelu_textbook(), product, level="basic", values=values)
    assert blocked.saving_ns == pytest.approx(4 * MS, rel=0.02)


VALUES = {
    "axes": np.array([-1]),
    "two": 2.0,
    "eps": 1e-5,
    "root": 2**0.5,
    "half": 0.5,
    "one": 1.0,
    "three": 3.0,
}
VALUES |= {"c1": 0.044715, "c2": (2 / np.pi) ** 0.5, "weight": np.ones(64), "bias": np.zeros(64)}


@pytest.mark.engines
@pytest.mark.parametrize(
    "specs",
    [norm(), norm(power=True), rms(), rms_by_power(), gelu_of_halves(), gelu_textbook(), gelu_of_tanh()],
    ids=["norm", "norm by power", "rms", "rms by power", "gelu of halves", "gelu", "gelu of tanh"],
)
def test_the_forms_are_those_that_onnx_runtime_itself_fuses(specs, tmp_path):
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    (found,) = find_unfused_layers(executed_graph(given(*linear(), *layer(specs), constants=CONSTANTS)))
    used = [name for name in VALUES if any(name in inputs for _, inputs, _ in specs)]
    constants = [
        numpy_helper.from_array(np.asarray(VALUES[name], np.int64 if name == "axes" else np.float32), name)
        for name in used
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 8, 64]) for name in ("in", "z")]
    nodes = [helper.make_node(op, inputs, [output]) for op, inputs, output in specs]
    around = helper.make_node("Relu", ["in"], ["x"]), helper.make_node("Relu", ["y"], ["z"])
    made = helper.make_graph([around[0], *nodes, around[1]], "layer", ends[:1], ends[1:], constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    session.run(None, {"in": np.ones((2, 8, 64), np.float32)})
    events = json.loads(Path(session.end_profiling()).read_text())
    ran = [event["args"]["op_name"] for event in events if event["name"].endswith("_kernel_time")]
    assert bool(fusion_of(found)) == (len(ran) == 3)  # the layer between two Relu
