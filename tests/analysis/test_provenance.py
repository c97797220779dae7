"""The trail of a region: on the BERT-base sample, through a chain with an offline rewrite, and with long lists cut."""

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.provenance import chain_of, shorten
from attrib.model.manifest import EXPORTED, OPTIMIZED, Manifest, Rewrite, Side, Workload
from attrib.model.provenance import (
    RegionTrail,
    TrailCall,
    TrailMember,
    TrailNode,
    TrailRun,
    TrailStage,
    TrailStep,
)


def test_each_intermediate_linear_shows_its_call_its_two_nodes_and_the_fusion(sample_analysis):
    trails = [t for t in sample_analysis.trails if t.module.endswith("intermediate.dense")]
    assert len(trails) == 12
    for trail in trails:
        assert [call.op for call in trail.calls] == ["aten::linear"]
        assert [(s.name, [n.op for n in s.nodes]) for s in trail.stages] == [("exported", ["MatMul", "Add"])]
        assert {node.module for stage in trail.stages for node in stage.nodes} == {trail.module}
        assert [node.op for node in trail.ran] == ["Reshape", "Gemm", "Reshape"]
        assert [step.text for step in trail.steps] == [
            "MatMul + Add → Reshape, Gemm, Reshape by MatMulAddFusion"
        ]
        assert trail.calls[0].inputs[0] == "float[1×128×768]"
        assert trail.ran[1].outputs == ("float[128×3072]",)
        assert trail.reason == ""


def test_times_of_calls_and_nodes_are_those_of_the_ledger_rows(sample_analysis):
    rows = {}
    for row in sample_analysis.document.ledger:
        rows.setdefault(row.region, []).append(row)
    for trail in sample_analysis.trails:
        own = rows[trail.id]
        units = len(trail.calls) + len(trail.ran)
        assert abs(sum(c.ns for c in trail.calls) - sum(r.torch_ns for r in own)) <= units
        assert abs(sum(n.ns for n in trail.ran) - sum(r.onnxruntime_ns for r in own)) <= units


def test_every_call_and_every_node_is_in_one_trail(sample_analysis):
    calls = [call.id for trail in sample_analysis.trails for call in trail.calls]
    ran = [node.id for trail in sample_analysis.trails for node in trail.ran]
    assert sorted(calls) == sorted(work.id for work in sample_analysis.partitions["torch"].work)
    assert sorted(ran) == sorted(work.id for work in sample_analysis.partitions["onnxruntime"].work)


def test_work_of_one_side_says_why(sample_analysis):
    reasons = {trail.origin: trail.reason for trail in sample_analysis.trails if trail.reason}
    assert set(reasons) == {"torch", "onnxruntime"}
    folded = next(t for t in sample_analysis.trails if t.module == "embeddings.position_embeddings")
    assert "Gather folded away by ConstantFolding" in folded.reason
    assert [t.id for t in sample_analysis.trails if t.origin == "both" and t.reason] == []


def test_the_document_holds_the_trails(sample_analysis):
    assert sample_analysis.document.regions == tuple(map(shorten, sample_analysis.trails))


def _node(index, op, reads, writes, name):
    return GraphNode(name=name, index=index, op=op, domain="", inputs=reads, outputs=writes, scope="m")


def _graph(*nodes):
    return Graph(
        nodes=nodes, inputs=("x",), outputs=("y",), constants=frozenset("wb"), values={}, opset=20
    )  # fmt: skip


MATMUL = _node(0, "MatMul", ("x", "w"), ("m",), "mm")
ADD = _node(1, "Add", ("m", "b"), ("y",), "add")
GEMM = _node(0, "Gemm", ("x", "w", "b"), ("y",), "gemm")
FUSED = _node(0, "FusedGemm", ("x", "w", "b"), ("y",), "fused gemm")
CHAIN = {EXPORTED: _graph(MATMUL, ADD), "onnx/1.onnx": _graph(GEMM), OPTIMIZED: _graph(FUSED)}


def _manifest():
    rewrite = Rewrite(name="onnxscript", tool="onnxscript 0.5", graph="onnx/1.onnx")
    side = Side(engine="onnxruntime", state="complete", folder="ort", rewrites=(rewrite,))
    work = Workload(model="m", source="", weights="", batch_size=1, seq_len=1)
    return Manifest(attrib_version="", created="", workload=work, sides={"onnxruntime": side})


def test_an_offline_rewrite_is_a_stage_of_its_own_and_named_by_its_tool():
    chain = chain_of(CHAIN, _manifest())
    assert chain.names == ("exported", "onnxscript", "optimized")
    steps = chain.steps_of([(0, 1), (0,), (0,)])
    assert [(step.stage, step.text) for step in steps] == [
        ("onnxscript", "MatMul + Add → Gemm by onnxscript 0.5 (offline)"),
        ("optimized", "Gemm → FusedGemm by GemmActivationFusion"),
    ]
    assert chain.lineage(0, 1) == [(1,), (0,), (0,)]
    assert chain.lineage(2, 0) == [(0, 1), (0,), (0,)]


def test_without_the_exported_graph_there_is_no_chain():
    assert chain_of({OPTIMIZED: CHAIN[OPTIMIZED]}, None).graphs == ()


def test_a_node_without_a_name_goes_by_its_op_and_output():
    nameless = _graph(_node(0, "Neg", ("x",), ("y",), ""))
    chain = chain_of({EXPORTED: nameless, OPTIMIZED: nameless}, None)
    assert [step.before for step in chain.steps_of([(0,), (0,)])] == [("Neg(y)",)]


def test_long_lists_are_cut_to_the_slowest_and_the_rest_is_counted():
    calls = tuple(
        TrailCall(id=f"c{i}", op="a", ns=i, members=tuple(TrailMember(op="b") for _ in range(i)))
        for i in range(9)
    )
    trail = RegionTrail(
        id="r",
        calls=calls,
        ran=tuple(TrailRun(id=f"n{i}", op="N", ns=9 - i) for i in range(9)),
        stages=(TrailStage(name="exported", nodes=tuple(TrailNode(name=f"e{i}", op="E") for i in range(7))),),
        steps=tuple(TrailStep(stage="optimized", kind="unchanged", text=f"{i}") for i in range(6)),
    )
    cut = shorten(trail, 4)
    assert [call.id for call in cut.calls] == ["c5", "c6", "c7", "c8"]
    assert [node.id for node in cut.ran] == ["n0", "n1", "n2", "n3"]
    assert [len(call.members) for call in cut.calls] == [4, 4, 4, 4]
    assert [call.members_more for call in cut.calls] == [1, 2, 3, 4]
    assert (cut.calls_more, cut.ran_more, cut.stages[0].more, cut.steps_more) == (5, 5, 3, 2)
    assert shorten(trail, 9) == trail
