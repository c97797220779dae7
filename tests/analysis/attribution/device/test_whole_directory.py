"""A whole trace directory of a GPU: both engines split by what the device did, the ledger exact, the report written."""

import pytest

from attrib.api import load
from tests.analysis.attribution.device.directory import (
    ORT_WALL,
    STEPS,
    TORCH_WALL,
    write_directory,
    write_ort_kernels,
    write_replays,
)


@pytest.fixture(scope="module")
def analysis(tmp_path_factory):
    return load(write_directory(tmp_path_factory.mktemp("gpu")))


def rows(analysis, cause):
    return {row.region: row for row in analysis.document.ledger if row.cause == cause}


def spent(analysis, role, unit):
    """Kinds of time of one unit in the first step, microseconds."""
    partition = analysis.partitions[role]
    i = [work.id for work in partition.work].index(unit)
    kinds = {kind: int(ns[i, 0]) / 1000 for kind, ns in partition.split.work_ns.items()}
    return {kind: ns for kind, ns in kinds.items() if ns}


def test_the_steps_are_split_exactly(analysis):
    for role, wall in (("torch", TORCH_WALL), ("onnxruntime", ORT_WALL)):
        partition = analysis.partitions[role]
        partition.self_check()
        assert partition.walls_ns.tolist() == [wall] * STEPS


def test_nodes_own_the_kernels_that_they_launched_and_the_gaps_that_they_caused(analysis):
    nodes = {
        "node_linear": {"kernel": 60, "idle": 10 + 10},
        "node_linear_to_host": {"copy": 4, "sync": 40, "idle": 1 + 5},
        "node_sign": {"host": 60},
        "node_sign_from_host": {"copy": 6, "idle": 5 + 10 + 9},
        "node_relu": {"kernel": 7, "idle": 5 + 10},
    }
    assert {name: spent(analysis, "onnxruntime", name) for name in nodes} == nodes


def test_what_lies_around_the_nodes_is_inputs_outputs_waiting_and_the_framework(analysis):
    ort = analysis.partitions["onnxruntime"]
    found = dict(zip(ort.parts, (ort.parts_ns[:, 0] / 1000).tolist(), strict=True))
    assert found["copies of inputs"] == 10 + 8
    assert found["copies of outputs"] == 20 + 9
    assert found["waiting for the device"] == 20
    assert found["ort api"] == 10 + 20
    assert {use.cause for use in ort.split.copies} == {"input", "output", "node"}


def test_the_ledger_sums_to_the_headline_and_has_rows_for_copies_and_idle_time(analysis):
    document = analysis.document
    assert sum(row.delta_ns for row in document.ledger) == document.latency.delta_ns.median
    assert sum(row.torch_ns for row in document.ledger) == document.latency.torch_ns.median
    assert sum(row.onnxruntime_ns for row in document.ledger) == document.latency.onnxruntime_ns.median
    assert len({row.id for row in document.ledger}) == len(document.ledger)
    copies, idle = rows(analysis, "memcpy"), rows(analysis, "device_idle")
    assert {
        "(device)/copies of inputs",
        "(device)/copies of outputs",
        "(device)/waiting for the device",
    } <= set(copies)
    assert any("node_linear_to_host" in row.onnx_nodes for row in copies.values())
    assert any("dense/aten::linear#0" in row.torch_calls for row in idle.values())
    assert {"ort executor", "ort session", "ort api", "torch dispatch"} == {
        region.removeprefix("(framework)/") for region in rows(analysis, "framework")
    }


def test_kernels_keep_the_cause_of_their_work_and_the_host_node_is_the_fallback(analysis):
    kernels, fallback = rows(analysis, "kernel"), rows(analysis, "fallback")
    linear = next(row for row in kernels.values() if "node_linear" in row.onnx_nodes)
    assert linear.torch_calls == ("dense/aten::linear#0",)
    assert linear.onnxruntime_ns == 60_000
    assert 90_000 <= linear.torch_ns <= 90_500
    sign = next(row for row in fallback.values() if "node_sign" in row.onnx_nodes)
    assert sign.onnxruntime_ns == 60_000


def test_copy_nodes_are_copies_with_all_their_time(analysis):
    taken = sum(row.onnxruntime_ns for row in rows(analysis, "memcpy").values() if row.onnx_nodes)
    assert taken == 1000 * (4 + 40 + 6 + 6 + 24)


def test_taking_a_node_out_of_the_ledger_takes_every_share_of_it_once(analysis):
    ledger = analysis.ledger_rows
    before = sum(row.onnxruntime_ns for row in ledger.rows)
    left = ledger.without([], ["node_linear"])
    assert before - sum(row.onnxruntime_ns for row in left.rows) == 80_000
    assert ledger.work("onnxruntime", ["node_linear"]).median == 80_000


def test_findings_and_trails_see_the_whole_time_of_a_node(analysis):
    node = next(run for trail in analysis.trails for run in trail.ran if run.id == "node_linear")
    assert node.ns == 80_000
    copies = next(f for f in analysis.document.findings if f.id == "memcpy-nodes")
    assert (copies.state, copies.saving_ns) == ("failed", 80_000)
    bound = next(f for f in analysis.document.findings if f.id == "launch-bound")
    assert bound.state != "error"
    assert not [f.id for f in analysis.document.findings if f.state == "error"]


@pytest.mark.parametrize("suffix", ["html", "json", "md"])
def test_the_report_is_written(analysis, tmp_path, suffix):
    text = analysis.save(tmp_path / f"report.{suffix}").read_text()
    assert "Device idle" in text or "device_idle" in text


def test_without_the_devices_trace_node_times_are_called_enqueue_times(tmp_path):
    found = load(write_directory(tmp_path, device=None))
    assert found.partitions["onnxruntime"].split is None
    assert "kernel times of ONNX Runtime" in {gap.what for gap in found.document.gaps}
    assert any("enqueue time, not kernel time" in warning for warning in found.document.warnings)


def test_a_replayed_graph_has_no_nodes_and_says_that_its_operators_are_unknown(tmp_path):
    found = load(write_replays(tmp_path))
    ort = found.partitions["onnxruntime"]
    assert (ort.work, ort.steps) == ((), STEPS)
    assert (
        dict(zip(ort.parts, ort.parts_ns[:, 0].tolist(), strict=True))["graph replay"]
        == 20_000 + 60_000 + 7_000
    )
    assert any("replays of a graph" in warning for warning in found.document.warnings)
    assert rows(found, "unattributed")["(device)/graph replay"].onnxruntime_ns > 0
    assert sum(row.delta_ns for row in found.document.ledger) == found.document.latency.delta_ns.median
    assert not [f.id for f in found.document.findings if f.state == "error"]


def test_kernels_in_the_profile_itself_belong_to_the_nodes_that_it_names(tmp_path):
    found = load(write_ort_kernels(tmp_path))
    ort = found.partitions["onnxruntime"]
    assert ort.unseen == ()
    assert spent(found, "onnxruntime", "node_linear")["kernel"] == 70
    assert spent(found, "onnxruntime", "node_linear_to_host")["copy"] == 5
    assert ort.device.kernels.tolist() == [1] * STEPS
    assert sum(row.delta_ns for row in found.document.ledger) == found.document.latency.delta_ns.median


@pytest.mark.parametrize("skew", [-30_000, -3_000, 3_000])
def test_a_run_is_moved_into_the_range_around_it(tmp_path, skew):
    found = load(write_directory(tmp_path, skew=skew))
    assert spent(found, "onnxruntime", "node_relu")["kernel"] == 7
    assert not [warning for warning in found.document.warnings if "apart" in warning]


def test_clocks_far_apart_are_said(tmp_path):
    found = load(write_directory(tmp_path, skew=80_000))
    assert any("61 µs apart" in warning or "61.0 µs apart" in warning for warning in found.document.warnings)
