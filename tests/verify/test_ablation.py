"""What an ablation takes out, by every name that there is, and what is said of the result."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from attrib.capture.bench.ablation import Cut
from attrib.errors import AttribError, UsageError
from attrib.verify.ablation import ablate, target_of
from attrib.verify.measuring import Setup
from tests.verify import fakes

REGION = "encoder.layer.0.output/add+layer_norm"
"""One fused node that covers two calls of two modules."""


@pytest.fixture(scope="module")
def analysis(sample_analysis):
    return sample_analysis


@pytest.fixture
def ran(root):
    return root / "sample_traces/bert-base-uncased/onnx/optimized.onnx"


class Bench(fakes.FakeBench):
    """Every step takes `step`, and one of the variant `saved` less."""

    def __init__(self, ran: Path, step: int, saved: int):
        super().__init__(cost=lambda options: step - saved * (options.onnx == Path("variant.onnx")))
        self.graph = ran
        self.cuts = []

    def optimized_graph(self, options):
        return self.graph

    def cut_graph(self, options, ran, produced):
        self.cuts.append(produced)
        baseline, variant = Path("baseline.onnx"), Path("variant.onnx")
        return Cut(
            ran=ran, baseline=baseline, variant=variant, removed=len(produced), fed=("a",), bytes=400_000
        )


def setup_of(analysis, **changes):
    captured = {"onnxruntime": analysis.document.latency.onnxruntime_ns.median}
    options = replace(fakes.ORIGINAL, opt_level="all", optimize=("onnxslim",), opset=20, **changes)
    return Setup(options=options, captured_ns=captured)


def test_node_row_region_and_module_are_found_by_their_names(analysis):
    region = target_of(analysis, REGION)
    (node,) = region.nodes
    assert target_of(analysis, node).values == region.values
    row = next(row for row in analysis.ledger_rows.rows if row.region == REGION)
    assert row.id in region.rows
    assert target_of(analysis, row.id).nodes == region.nodes
    module = target_of(analysis, "encoder.layer.0.output")
    assert set(region.values) < set(module.values)
    assert len(module.values) == len(module.nodes) > 1


def test_every_executed_node_can_be_found_in_the_graph_that_ran(analysis):
    graph = analysis.evidence.optimized
    made = {name for node in graph.nodes for name in node.outputs}
    for work in analysis.partitions["onnxruntime"].work:
        assert made.issuperset(target_of(analysis, work.id).values)


def test_unknown_name_is_refused_and_so_is_what_did_not_run(analysis):
    with pytest.raises(UsageError, match="no-such-thing"):
        target_of(analysis, "no-such-thing")
    idle = next(region.id for region in analysis.regions if not region.nodes and region.calls)
    with pytest.raises(UsageError, match="ONNX Runtime ran no node for"):
        target_of(analysis, idle)


def test_result_has_the_ledgers_figure_beside_the_plain_one_and_says_what_it_cannot_tell(analysis, ran):
    time = analysis.ledger_rows.work("onnxruntime", target_of(analysis, REGION).nodes)
    step = analysis.document.latency.onnxruntime_ns.median
    bench = Bench(ran, step, time.median)
    result = ablate(analysis, bench, setup_of(analysis), REGION)
    assert result.id == f"ablate-{REGION}"
    assert (result.side, result.state, result.agrees, result.outputs_equal) == (
        "onnxruntime",
        "measured",
        True,
        True,
    )
    at_this_speed = result.baseline_ns.median / step
    assert result.predicted.saving_ns.median == round(time.median * at_this_speed)
    assert result.predicted.saving_ns.low == round(time.low * at_this_speed)
    assert result.predicted.kind == "estimate"
    assert result.saving_ns.low <= time.median <= result.saving_ns.high
    assert result.note == ""
    assert "cover 2 calls of 2 modules" in result.predicted.basis
    assert "an ablation cannot tell how the time splits among these" in result.predicted.basis


def test_both_graphs_are_opened_as_they_are(analysis, ran):
    bench = Bench(ran, 1_000_000, 1)
    ablate(analysis, bench, setup_of(analysis), REGION)
    for options in bench.compared[0]:
        assert (options.opt_level, options.optimize, options.opset) == ("disabled", (), None)
    assert [options.onnx.name for options in bench.compared[0]] == ["baseline.onnx", "variant.onnx"]


def test_figure_that_the_plain_steps_do_not_confirm_is_a_miss_with_a_reason(analysis, ran):
    time = analysis.ledger_rows.work("onnxruntime", target_of(analysis, REGION).nodes)
    step = analysis.document.latency.onnxruntime_ns.median
    result = ablate(analysis, Bench(ran, step, 10 * time.high), setup_of(analysis), REGION)
    assert result.agrees is False
    assert "beyond the rows of the prediction" in result.note
    assert "1 recorded value (0.4 MB) took the place of 1 node" in result.note


def test_other_graph_than_the_captured_one_is_refused(analysis, ran):
    bench = Bench(ran.with_name("exported.onnx"), 1_000_000, 1)
    with pytest.raises(AttribError, match="another graph of the model than in the capture") as caught:
        ablate(analysis, bench, setup_of(analysis), REGION)
    assert "capture again" in caught.value.hint
    assert not bench.cuts
