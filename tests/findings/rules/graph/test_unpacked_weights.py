"""blocked-optimization, where weights are graph inputs: what products of weights that are not packed can gain at most."""

import msgspec
import pytest

from attrib.findings.runner import run
from attrib.model.manifest import EXPORTED, OPTIMIZED
from tests.findings.evidence_factory import MS, PEAKS, manifest, node, tensor
from tests.findings.graph_evidence import Ran, given

OPS = 2 * 128 * 768 * 3072
LIMIT_NS = OPS / 400
ON_A_GPU = msgspec.structs.replace(PEAKS, device="cuda")


def found(overridable, peaks=PEAKS):
    product = Ran(
        node("MatMul", ["x", "w"], ["y"], name="product"),
        5 * MS,
        tensor(128, 3072),
        (tensor(128, 768), tensor(768, 3072)),
    )
    sides = {"opt_level": "all", "peaks": peaks}
    evidence = given(product, constants=("w",), manifest=manifest(onnxruntime=sides, torch={"peaks": peaks}))
    ran = msgspec.structs.replace(evidence.graphs[OPTIMIZED], overridable=frozenset(overridable))
    evidence.graphs.update({EXPORTED: ran, OPTIMIZED: ran})
    return next(f for f in run(evidence) if f.id == "blocked-optimization")


@pytest.mark.rule("blocked-optimization", "fires")
def test_what_lies_beyond_the_peak_is_the_most_that_packing_saves():
    finding = found({"w"})
    assert finding.state == "failed"
    assert finding.saving_ns == pytest.approx(5 * MS - LIMIT_NS, rel=0.02)
    assert finding.explains_ns == 0  # PyTorch may be as far from the peak
    assert "the most that constants save" in finding.summary


@pytest.mark.parametrize(
    ("overridable", "peaks"),
    [({"x2"}, PEAKS), ({"w"}, None), ({"w"}, ON_A_GPU)],
)
def test_without_a_peak_or_a_weight_that_is_packed_no_figure_is_given(overridable, peaks):
    finding = found(overridable, peaks)
    assert (finding.state, finding.saving_ns) == ("failed", 0)


@pytest.mark.rule("blocked-optimization", "passes")
def test_constants_are_packed():
    assert found(set()).state == "passed"
