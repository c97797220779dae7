"""What the rules look for is found in graphs that ONNX Runtime really optimized and ran."""

from collections import Counter

import planting
import pytest

from attrib.api import load
from attrib.findings.evidence.executed_graph import executed_graph
from attrib.findings.evidence.unfused_patterns import find_unfused_layers
from attrib.findings.rules.graph.einsum_products import RULE as EINSUM_PRODUCTS
from attrib.findings.rules.graph.nan_guard import RULE as NAN_GUARD
from attrib.findings.rules.graph.redundant_casts import inverse_casts
from attrib.findings.rules.kernels.double_precision import RULE as DOUBLE_PRECISION

pytestmark = pytest.mark.engines

FIRST = "encoder.layer.0"


@pytest.fixture(scope="module")
def unplanted(tiny_bert, tmp_path_factory):
    return recorded(tiny_bert, tiny_bert.parent / "unplanted.onnx", tmp_path_factory.mktemp("unplanted"), ())


@pytest.fixture(scope="module")
def planted(tiny_bert, tmp_path_factory):
    from plants import casts, decomposed

    edits = (
        lambda editing: decomposed.norms(editing, (f"{FIRST}.output.LayerNorm",)),
        lambda editing: decomposed.gelus(editing, (f"{FIRST}.intermediate.intermediate_act_fn",)),
        lambda editing: decomposed.einsums(editing, (f"{FIRST}.intermediate.dense",)),
        lambda editing: casts.double_linears(editing, (f"{FIRST}.output.dense",)),
        lambda editing: casts.pairs_before(editing, (f"{FIRST}.attention.self.query",)),
    )
    return recorded(tiny_bert, tiny_bert.parent / "planted.onnx", tmp_path_factory.mktemp("planted"), edits)


def recorded(source, file, folder, edits):
    """Plant, run with ONNX Runtime's profiler, and load what a stranger would send: profile and graphs."""
    import onnx
    import onnxruntime as ort
    from plants.edit import Editing

    editing = Editing(onnx.load(source, load_external_data=False))
    for edit in edits:
        edit(editing)
    onnx.save(editing.finish(), file)
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    options.enable_profiling, options.profile_file_prefix = True, str(folder / "profile")
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    for _ in range(3):
        session.run(None, planting.inputs())
    session.end_profiling()
    (folder / "exported.onnx").write_bytes(file.read_bytes())
    return load(folder).evidence


def test_every_plant_is_found_where_it_is(planted):
    ran = executed_graph(planted)
    assert Counter(apart.layer for apart in find_unfused_layers(ran)) == {"LayerNorm": 1, "GELU": 1}
    assert [len(apart.nodes) for apart in sorted(find_unfused_layers(ran), key=lambda one: one.layer)] == [
        5,
        9,
    ]
    assert EINSUM_PRODUCTS.audit(planted).detail == "1 matrix product is"
    assert DOUBLE_PRECISION.audit(planted).detail == "1 node computes"
    assert len(inverse_casts(ran)) == 1


def test_the_exporters_guard_is_found_in_every_layer(planted, unplanted):
    for evidence in (planted, unplanted):
        assert NAN_GUARD.audit(evidence).detail == "4 nodes guard"  # IsNaN and Where, in two layers


def test_nothing_is_found_in_what_the_exporter_wrote(unplanted):
    ran = executed_graph(unplanted)
    assert find_unfused_layers(ran) == ()
    assert inverse_casts(ran) == ()
    for rule in (EINSUM_PRODUCTS, DOUBLE_PRECISION):
        assert not rule.audit(unplanted).failed
