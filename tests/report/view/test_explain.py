"""Looking things up by name, and what is printed of them: on the BERT-base sample and with hostile names."""

import io

import msgspec
import numpy as np
import pytest
from rich.console import Console

from attrib.analysis.attribution.ledger.rows import Ledger
from attrib.analysis.attribution.ledger.sampling import Rounds
from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.provenance import chain_of
from attrib.errors import UsageError
from attrib.model.document import EvidenceRow, Finding, LedgerRow
from attrib.model.manifest import EXPORTED
from attrib.model.provenance import (
    RegionTrail,
    TrailCall,
    TrailMember,
    TrailNode,
    TrailRun,
    TrailStage,
    TrailStep,
)
from attrib.model.region import Match, Region
from attrib.report.terminal.explain import print_explanation
from attrib.report.view.explain import Explainer
from tests.report.factory import HOSTILE, experiments_of


@pytest.fixture(scope="module")
def explainer(sample_analysis):
    return Explainer(
        sample_analysis.regions, sample_analysis.trails, sample_analysis.chain, sample_analysis.ledger_rows
    )


def test_findings_and_experiments_on_a_row_are_shown(sample_analysis):
    row = next(r for r in sample_analysis.ledger_rows.rows if r.cause == "layout")
    other = next(r for r in sample_analysis.ledger_rows.rows if r.cause == "framework")
    finding = Finding(
        id="some-rule", state="failed", title="it costs", evidence=(EvidenceRow(text="x", rows=(row.id,)),)
    )
    elsewhere = msgspec.structs.replace(
        finding, id="elsewhere", evidence=(EvidenceRow(text="x", rows=(other.id,)),)
    )
    opset, pairs, spinning = (
        next(r for r in experiments_of() if r.id == name)
        for name in ("opset-23", "inverse-pairs", "spinning-off")
    )
    proof = msgspec.structs.replace(opset, findings=("some-rule",), snippet="code")
    predicted = msgspec.structs.replace(pairs.predicted, rows=(row.id,))
    asked = Explainer(
        sample_analysis.regions, sample_analysis.trails, sample_analysis.chain,
        sample_analysis.ledger_rows, findings=(finding, elsewhere),
        experiments=(proof, msgspec.structs.replace(pairs, findings=(), predicted=predicted), spinning),
    )  # fmt: skip
    found = asked.explain(row.id)
    assert [f.id for f in found.findings] == ["some-rule"]
    assert [(e.id, e.snippet) for e in found.experiments] == [("opset-23", ""), ("inverse-pairs", "")]
    text = flat(printed(found))
    assert "Findings it costs (some-rule)" in text
    assert "Export with opset 23 (--opset 23): predicted 3.10 ± 0.30 ms, measured 2.90 ± 0.65 ms" in text
    assert "missed: ONNX Runtime already removes them" in text


def printed(found, width=100) -> str:
    stream = io.StringIO()
    print_explanation(found, Console(file=stream, width=width, highlight=False, emoji=False, markup=False))
    return stream.getvalue()


def flat(text: str) -> str:
    return " ".join(text.split())


def test_every_node_and_every_call_can_be_explained(sample_analysis, explainer):
    for role, kind in (("onnxruntime", "node"), ("torch", "call")):
        for work in sample_analysis.partitions[role].work:
            found = explainer.explain(work.id)
            assert (found.kind, found.name) == (kind, work.id)
            trail = found.regions[0].trail
            assert work.id in {item.id for item in (*trail.calls, *trail.ran)}


def test_every_exported_node_and_every_module_can_be_explained(sample_analysis, explainer):
    for node in sample_analysis.chain.graphs[0].nodes:
        found = explainer.explain(node.name)
        assert found.regions
        assert any(node.name in {n.name for n in s.nodes} for r in found.regions for s in r.trail.stages) or (
            found.kind == "node"
        )
    for module in {work.scope for work in sample_analysis.partitions["torch"].work if work.scope}:
        assert explainer.explain(module).kind == "module"


@pytest.mark.parametrize(
    ("query", "kind", "name"),
    [
        ("node_MatMul_109/MatMulAddFusion", "node", "node_MatMul_109/MatMulAddFusion"),
        ("node_MatMul_109", "graph node", "node_MatMul_109"),
        ("linear_4", "value", "linear_4"),
        ("encoder.layer.0.intermediate.dense/aten::linear#0", "call", "encoder.layer.0.intermediate.dense/aten::linear#0"),
        ("encoder.layer.0.intermediate.dense/linear", "region", "encoder.layer.0.intermediate.dense/linear"),
        ("encoder.layer.0.intermediate.dense/linear:kernel", "row", "encoder.layer.0.intermediate.dense/linear:kernel"),
        ("layer.0.intermediate.dense", "module", "encoder.layer.0.intermediate.dense"),
    ],
)  # fmt: skip
def test_one_linear_goes_by_many_names(explainer, query, kind, name):
    found = explainer.explain(query)
    assert (found.kind, found.name) == (kind, name)
    assert [region.trail.id for region in found.regions] == ["encoder.layer.0.intermediate.dense/linear"]


def test_figures_are_those_of_the_ledger(sample_analysis, explainer):
    found = explainer.explain("encoder.layer.0.intermediate.dense/linear")
    rows = [row for row in sample_analysis.document.ledger if row.region == found.name]
    assert found.delta_ns == sum(row.delta_ns for row in rows) == found.regions[0].delta_ns
    assert found.low_ns <= found.delta_ns <= found.high_ns
    assert {cause.cause for cause in found.causes} == {row.cause for row in rows}
    whole = explainer.explain("(root)")
    assert whole.torch_ns == sum(row.torch_ns for row in sample_analysis.document.ledger if row.torch_calls)
    assert whole.shared == 0


def test_a_module_whose_work_was_fused_with_its_parents_says_so(explainer):
    found = explainer.explain("encoder.layer.0.attention.output.LayerNorm")
    assert [region.trail.id for region in found.regions] == [
        "encoder.layer.0.attention.output/add+layer_norm"
    ]
    assert found.shared == 1
    assert "shared with other modules: 1 region of these" in flat(printed(found))


def test_framework_time_has_a_row_and_no_trail(explainer):
    found = explainer.explain("ort executor")
    assert found.name == "(framework)/ort executor"
    assert "time inside the step that no operator owns" in flat(printed(found))


def test_a_part_of_several_names_is_refused_with_five_of_them(explainer):
    with pytest.raises(UsageError, match=r"'dense' is part of the names of \d+ modules: ") as caught:
        explainer.explain("dense")
    assert str(caught.value).count(",") == 4
    assert caught.value.exit_code == 2


def test_a_misspelt_name_gets_the_nearest(explainer):
    with pytest.raises(UsageError, match="nothing here is named 'lineer_4'; similar names: linear_4"):
        explainer.explain("lineer_4")


@pytest.mark.parametrize("query", ["", "\0", "x" * 100_000, *HOSTILE])
def test_odd_queries_are_refused_in_one_line(explainer, query):
    with pytest.raises(UsageError) as caught:
        explainer.explain(query)
    assert len(str(caught.value)) < 2_000


@pytest.mark.parametrize("width", [40, 60, 100, 200])
def test_print_fits_the_terminal(explainer, width):
    for name in ("node_MatMul_156", "encoder.layer.0", "embeddings"):
        assert max(map(len, printed(explainer.explain(name), width).splitlines())) <= width


def test_print_says_where_a_node_comes_from_what_it_costs_and_who_rewrote_it(explainer):
    text = flat(printed(explainer.explain("node_MatMul_109/MatMulAddFusion")))
    for part in (
        "PyTorch 3.362 ms, ONNX Runtime 1.434 ms: −1.93 ± 0.15 ms",
        "aten::linear 3.362 ms encoder.layer.0.intermediate.dense/aten::linear#0 float[1×128×768]",
        "MatMul node_MatMul_109 fx node linear_4",
        "Gemm 1.434 ms node_MatMul_109/MatMulAddFusion ◂ float[128×768], float[3072] → float[128×3072]",
        "MatMul + Add → Reshape, Gemm, Reshape by MatMulAddFusion",
        "Match: values 99.9 %, verified by values",
    ):
        assert part in text


def _hostile() -> Explainer:
    """One region whose every name is a stranger's."""
    bad = iter(HOSTILE * 3)
    module = next(bad)
    trail = RegionTrail(
        id=next(bad),
        module=module,
        calls=(TrailCall(id=next(bad), op=next(bad), module=module, ns=1, inputs=(next(bad),),
                         members=(TrailMember(op=next(bad), name=next(bad), scope=next(bad)),)),),
        stages=(TrailStage(name=next(bad), nodes=(TrailNode(name=next(bad), op=next(bad), fx_node=next(bad)),)),),
        ran=(TrailRun(id=next(bad), op=next(bad), provider=next(bad), ns=2),),
        steps=(TrailStep(stage="optimized", kind="rewritten", by=next(bad), text=next(bad)),),
    )  # fmt: skip
    match = Match(method="fx-node", confidence=0.4, evidence=("SIZES DIFFER: " + next(bad), next(bad)))
    row = LedgerRow(id="r", region=trail.id, module=module, cause="kernel", torch_ns=1, onnxruntime_ns=2,
                    delta_ns=1, low_ns=0, high_ns=2, match=match)  # fmt: skip
    region = Region(id=trail.id, module=module, calls=(), nodes=(), match=match)
    return Explainer(
        [region], [trail], chain_of({}, None), Ledger((row,), np.ones((1, 9)), Rounds((0, 1, 2)))
    )


def test_hostile_names_are_found_and_printed_as_text():
    explainer = _hostile()
    for known in explainer.names.values():
        for name in known:
            text = printed(explainer.explain(name), 80)
            assert not set(text) & set("\x1b\x07\x00\x9b\u202e\u2066\u200b\ud800")
            assert "SIZES DIFFER" in text or "(contradicted)" in text


def test_a_node_that_vanished_and_belongs_to_nobody_still_tells_its_fate():
    def node(index, op, reads, writes):
        return GraphNode(name=f"n_{op}", index=index, op=op, domain="", inputs=reads, outputs=writes)

    before = Graph(
        nodes=(node(0, "Identity", ("x",), ("a",)), node(1, "Neg", ("a",), ("y",))),
        inputs=("x",), outputs=("y",), constants=frozenset(), values={}, opset=20,
    )  # fmt: skip
    after = msgspec.structs.replace(before, nodes=(node(0, "Neg", ("x",), ("y",)),))
    chain = chain_of({EXPORTED: before, "onnx/optimized.onnx": after}, None)
    found = Explainer([], [], chain, Ledger((), np.zeros((0, 9)), Rounds((0, 1, 2)))).explain("n_Identity")
    assert [step.text for step in found.regions[0].trail.steps] == ["Identity left out by EliminateIdentity"]
    assert "ONNX Runtime ran no node for it" in flat(printed(found))
    found = Explainer(
        [], [], chain_of({EXPORTED: before}, None), Ledger((), np.zeros((0, 9)), Rounds((0, 1, 2)))
    ).explain("n_Neg")
    assert "the graph that ran was not recorded" in flat(printed(found))
