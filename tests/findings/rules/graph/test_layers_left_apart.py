"""blocked-optimization, where the session was not allowed to fuse layers: GELU and layer norm by single operators."""

import pytest

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
    ("specs", "name"), [(norm(power=True), "LayerNormFusion"), (norm(), "LayerNormFusion")]
)
def test_a_layer_norm_is_left_apart_by_its_own_fusion_only(specs, name):
    peer = Ran(node("LayerNormalization", ["a", "b"], ["c"], name="peer"), 2 * MS, result=tensor(1, 32, 3072))
    assert findings(specs, peer, disabled_optimizers=(name,))[0].saving_ns == pytest.approx(7 * MS, rel=0.02)
    assert findings(specs, peer, disabled_optimizers=("GeluFusion",))[0].state == "passed"


@pytest.mark.rule("blocked-optimization", "passes")
@pytest.mark.parametrize("specs", [gelu_of_halves(), gelu_of_tanh(), rms()])
def test_a_form_that_no_fusion_knows_is_no_fault_of_the_session(specs):
    out = ("GeluFusion", "LayerNormFusion", "SimplifiedLayerNormFusion")
    blocked, unfused = findings(specs, disabled_optimizers=out)
    assert blocked.state == "passed"
    assert unfused.state == "failed" or specs == rms()  # whose measure would be PyTorch's call


@pytest.mark.rule("blocked-optimization", "passes")
def test_with_every_fusion_allowed_the_layer_itself_is_the_finding():
    blocked, unfused = findings(gelu_textbook())
    assert (blocked.state, unfused.state) == ("passed", "failed")


def test_a_factor_of_the_layer_beside_a_product_is_counted_once():
    product = Ran(node("MatMul", ["y", "linear weight"], ["z"], name="next"), 9 * MS)
    values = {"root": tensor(), "half": tensor()}
    blocked, _ = findings(gelu_textbook(), product, level="basic", values=values)
    assert blocked.saving_ns == pytest.approx(4 * MS, rel=0.02)
