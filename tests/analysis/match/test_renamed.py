"""A renamed file, run for real: structure and shapes are all that is left."""

import warnings
from pathlib import Path

import pytest

from attrib.analysis.lineage.reader import graph_from_bytes
from attrib.analysis.match.regions import regions
from attrib.model.manifest import EXPORTED, OPTIMIZED

onnx = pytest.importorskip("onnx")


def model_of(nodes):
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, [2, 4])],
        [helper.make_tensor_value_info("y", kind, [2, 4])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def chain():
    make = onnx.helper.make_node
    branch = onnx.helper.make_graph(
        [make("Neg", ["h"], ["b"], name="inner")], "then", [],
        [onnx.helper.make_tensor_value_info("b", onnx.TensorProto.FLOAT, [2, 4])],
    )  # fmt: skip
    return model_of([
        make("Relu", ["x"], ["h"], name="first"),
        make("ReduceMax", ["h"], ["m"], name="second", keepdims=0),
        make("Cast", ["m"], ["c"], name="third", to=onnx.TensorProto.BOOL),
        make("If", ["c"], ["y"], name="fourth", then_branch=branch, else_branch=branch),
    ])  # fmt: skip


def test_every_name_is_another_one_and_the_model_still_valid():
    from tests.renaming import renamed

    before = chain()
    found = renamed(before, seed=3)
    onnx.checker.check_model(found.model)
    old = {n.name for n in before.graph.node} | {"inner", "h", "m", "c", "b"}
    text = found.model.SerializeToString()
    assert not any(f"\n\x05{name}".encode() in text for name in old if len(name) == 5)
    assert sorted(found.nodes.values()) == ["first", "fourth", "inner", "inner", "second", "third"]
    assert set(found.values.values()) == {"h", "m", "c", "b"}
    assert [n.op_type for n in found.model.graph.node] == ["Relu", "ReduceMax", "Cast", "If"]
    assert found.model.graph.node[3].attribute[0].g.node[0].input[0] == found.model.graph.node[0].output[0]
    assert renamed(before, seed=3).model.SerializeToString() == text


@pytest.mark.parametrize("nodes", ["empty", "same"])
def test_nodes_may_lose_their_names_or_share_one(nodes):
    from tests.renaming import renamed

    found = renamed(chain(), nodes=nodes)
    onnx.checker.check_model(found.model)
    assert len({n.name for n in found.model.graph.node}) == 1
    assert found.nodes == {}


@pytest.mark.slow
@pytest.mark.engines
@pytest.mark.parametrize("values", [False, True])
def test_a_renamed_file_that_really_ran_is_matched_by_structure_and_shape(
    tmp_path: Path, *, values: bool
) -> None:
    """The exporter's metadata hold the truth: they are given back to the exported graph for the comparison only."""
    import torch
    from msgspec.structs import replace

    from attrib.api import load
    from attrib.capture import CaptureOptions, capture
    from tests.analysis.match.pairs import small_bert
    from tests.analysis.match.scoring import score_of_times
    from tests.renaming import renamed

    model, inputs = small_bert()
    source, target = tmp_path / "named.onnx", tmp_path / "renamed.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, kwargs=inputs, dynamo=True, verbose=False).save(source)
    given = onnx.load(source)
    onnx.save(renamed(given).model, target)
    pairs = Path(__file__).with_name("pairs.py")
    analysis = load(
        capture(
            CaptureOptions(
                model=f"{pairs}:sdpa",
                onnx=target,
                output=tmp_path / "out",
                rounds=2,
                iterations=2,
                warmup=1,
                max_time=0.0,
                no_values=not values,
            )
        )
    )
    graphs = {n: graph_from_bytes(data, n) for n, data in analysis.directory.graphs().items()}
    truth = graph_from_bytes(given.SerializeToString(), "named.onnx")
    nodes = zip(graphs[EXPORTED].nodes, truth.nodes, strict=True)
    told = [replace(n, scope=t.scope, fx_node=t.fx_node, fx_target=t.fx_target) for n, t in nodes]
    torch_work, ort = analysis.partitions["torch"].work, analysis.partitions["onnxruntime"]
    exported = replace(graphs[EXPORTED], nodes=tuple(told))
    known = regions(torch_work, ort.work, (exported, graphs[OPTIMIZED]))
    # Every node counts alike: on a busy machine the times of three rounds may be those of one small node.
    result = score_of_times(analysis.regions, known, torch_work, dict.fromkeys((w.id for w in ort.work), 1))
    assert result.correct >= 0.95
    # By order and shape alone little is sure; what both compute is.
    assert result.confidence >= 0.9 if values else result.confidence <= 0.6
    verified = analysis.document.coverage.ort_node_time_verified
    assert verified >= 0.97 if values else verified is None
