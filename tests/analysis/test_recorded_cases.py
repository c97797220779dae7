"""Traces of people on which attrib once said something wrong: written again in small, and as they were recorded."""

import gzip
import json
import shutil

import pytest

from attrib.api import load
from attrib.report.markdown.summary import to_markdown
from attrib.report.view.verdict import verdict_of
from attrib.report.view.view import view_of
from attrib.traces import read_trace
from attrib.traces.inspection.summary import summarize
from tests.conftest import SHARED

CASES = SHARED / "cases" / "traces"


def kineto(*events):
    """A trace of torch.profiler: (category, name, start, duration, thread, arguments), microseconds."""
    rows = [
        {"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": tid, "ts": ts, "dur": dur, "args": args}
        for cat, name, ts, dur, tid, args in events
    ]
    return json.dumps({"schemaVersion": 1, "traceEvents": rows})


def step(number, ts, dur):
    return ("user_annotation", f"ProfilerStep#{number}", ts, dur, 1, {})


def launch(number, ts, tid):
    return ("cuda_runtime", "cudaLaunchKernel", ts, 2, tid, {"correlation": number})


def kernel(number, ts, dur):
    return ("kernel", f"k{number}", ts, dur, 7, {"correlation": number, "stream": 7, "device": 0})


RUN = {"cat": "Session", "pid": 1, "tid": 1, "dur": 100, "ts": 10, "ph": "X", "name": "model_run", "args": {}}
NODE = RUN | {
    "cat": "Node",
    "dur": 50,
    "ts": 20,
    "name": "m_kernel_time",
    "args": {"op_name": "MatMul", "provider": "CPUExecutionProvider"},
}
ON_CPU = json.dumps([RUN, NODE])


@pytest.fixture
def analyzed(tmp_path):
    def analysis(**files):
        for name, text in files.items():
            (tmp_path / f"{name}.json").write_text(text)
        return load(tmp_path)

    return analysis


def test_what_autograds_thread_launches_belongs_to_the_step(analyzed):
    events = [
        step(1, 100, 100), ("cpu_op", "aten::mm", 110, 10, 1, {}), launch(1, 112, 1),
        ("cpu_op", "MmBackward0", 130, 10, 2, {}), launch(2, 132, 2), kernel(1, 115, 10), kernel(2, 140, 40),
    ]  # fmt: skip
    found = analyzed(trace=kineto(*events))
    partition = found.partitions["torch"]
    owned = dict(zip((work.op for work in partition.work), partition.work_ns[:, 0].tolist(), strict=True))
    assert set(owned) == {"aten::mm", "MmBackward0"}
    assert owned["MmBackward0"] >= 40_000  # its kernel, 40 µs
    assert not [text for text in found.document.warnings if "launched in no operator" in text]


def test_the_step_that_has_operators_is_used_where_the_last_one_is_empty(analyzed):
    found = analyzed(
        trace=kineto(step(1, 100, 100), ("cpu_op", "aten::mm", 110, 30, 1, {}), step(2, 201, 3)), run=ON_CPU
    )
    assert [work.op for work in found.partitions["torch"].work] == ["aten::mm"]
    assert found.partitions["torch"].walls_ns.tolist() == [100_000]


def test_a_cpu_profile_beside_a_gpu_trace_raises_no_alarm(analyzed):
    """Nobody said what was asked for."""
    events = [
        step(1, 100, 100),
        ("cpu_op", "aten::mm", 110, 10, 1, {}),
        launch(1, 112, 1),
        kernel(1, 115, 10),
    ]
    document = analyzed(trace=kineto(*events), run=ON_CPU).document
    (found,) = [f for f in document.findings if f.id == "provider-not-used"]
    assert found.state == "not_applicable"
    assert not [
        check for check in document.comparability if "provider" in check.check and check.state == "failed"
    ]


def sized(op, *sizes):
    """Arguments of a node with shapes as ONNX Runtime's profile has them."""
    shapes = [{"float": list(size)} for size in sizes]
    return {
        "op_name": op,
        "provider": "CPUExecutionProvider",
        "input_type_shape": shapes,
        "output_type_shape": shapes[:1],
    }


def test_a_pair_of_two_models_is_said_to_be_one_and_gets_no_causes(analyzed):
    dims = [[64, 768], [768, 768]]
    args = {"Input Dims": dims, "Input type": ["float", "float"]}
    torch = kineto(
        step(1, 100, 1000), *[("cpu_op", "aten::linear", 110 + 100 * i, 90, 1, args) for i in range(8)]
    )
    nodes = [
        NODE
        | {
            "name": f"conv{i}_kernel_time",
            "ts": 20 + 100 * i,
            "dur": 90,
            "args": sized("Conv", (1, 3, 224, 224), (64, 3, 7, 7)),
        }
        for i in range(8)
    ]
    document = analyzed(trace=torch, run=json.dumps([*nodes, RUN | {"dur": 1000}])).document
    assert not document.judgement.split_reliable
    assert any("different models" in reason for reason in document.judgement.reasons)
    assert document.judgement.named == ()
    assert not [f for f in document.findings if f.cause and f.state == "failed"]
    assert (document.ledger, document.causes, document.regions) == ((), (), ())
    assert document.coverage.ort_node_time_mapped == document.coverage.torch_call_time_mapped == 0
    assert document.timeline == {}
    verdict = verdict_of(document)
    assert verdict.sentence == "No comparison: no plain step was timed"
    assert verdict.remark.startswith("The two traces are of different models")
    view = view_of(document)
    assert not view.provable
    assert not [gap for gap in view.gaps if "graph" in gap.what]
    told = to_markdown(document)
    assert "Matched operators" not in told
    assert "| `aten::linear` | 8 | 0.720 | 72.0 % |" in told
    assert "| `Conv` | 8 | 0.720 | 72.0 % |" in told
    assert told.count("outside every operator") == 2


def test_one_engine_alone_is_no_difference(analyzed):
    document = analyzed(run=json.dumps([NODE, RUN])).document
    assert verdict_of(document).sentence == "No comparison: only ONNX Runtime was recorded"
    told = to_markdown(document)
    assert "| Cause | PyTorch |" not in told
    assert "Matched operators" not in told
    assert told.count("outside every operator") == 1


@pytest.mark.skipif(not CASES.is_dir(), reason="the folder of shared cases is not beside the checkout")
class TestAsRecorded:
    def test_ascend_names_its_device_by_its_process(self):
        found = summarize(read_trace(CASES / "ascend_trace_view.json.gz"))
        events = json.loads(gzip.decompress((CASES / "ascend_trace_view.json.gz").read_bytes()))
        named = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
        own = [float(e["dur"]) for e in events if e["ph"] == "X" and named[e["pid"]] == "Ascend Hardware"]
        assert found.gpu.events == len(own) == 276
        assert found.gpu.sum_us == pytest.approx(sum(own), abs=0.0005 * len(own))  # whole nanoseconds

    def test_nodes_of_directml_have_ops(self):
        found = summarize(read_trace(CASES / "ort_dml_no_args_issue24306.json"))
        assert list(found.runs_us) == [31_038]
        assert sum(use.nodes for use in found.providers.values()) == 7
        assert sum(use.dur_us for use in found.providers.values()) == 10_329
        assert "" not in {use.name for use in found.ops}
        assert not [text for text in found.warnings if "old ONNX Runtime" in text and "DirectML" not in text]

    @pytest.mark.parametrize(("name", "events"), [("k336_callstack.json", 12), ("na.json", 13)])
    @pytest.mark.parametrize("lenient", [False, True])
    def test_what_is_no_json_to_the_letter_is_read_whole(self, name, events, lenient):
        assert len(read_trace(CASES / name, lenient=lenient)) == events

    def test_a_lost_bracket_costs_no_event_that_is_whole(self):
        assert len(read_trace(CASES / "o22_no_bracket.json", lenient=True)) == 4

    def test_steps_of_2021(self):
        found = summarize(read_trace(CASES / "kineto_2021_step.json"))
        assert [(its.name, its.wall_us) for its in found.steps] == [("ProfilerStep#5", 100)]

    def test_a_trace_of_kernels_alone_says_so_in_a_pair(self, tmp_path):
        for name in ("kineto_gpu_only.json", "ort_cpu.json"):
            shutil.copy(CASES / name, tmp_path)
        warnings = load(tmp_path).document.warnings
        assert any("kineto_gpu_only.json: holds no step" in text and "CPU" in text for text in warnings)

    @pytest.mark.parametrize("name", ["latency_negative", "latency_zero", "latency_dup_columns"])
    def test_latencies_that_cannot_be_are_refused(self, sample_copy, reseal, name):
        from attrib.errors import AttribError

        shutil.copy(CASES.parent / "captures" / f"{name}.parquet", sample_copy / "latency.parquet")
        reseal(sample_copy)
        with pytest.raises(AttribError, match=r"latency\.parquet"):
            load(sample_copy)


@pytest.fixture
def reseal():
    """Write the hashes of a directory's files into its manifest anew, as somebody would who changed one."""
    import hashlib

    def seal(directory):
        path = directory / "manifest.json"
        manifest = json.loads(path.read_text())
        for row in manifest["files"]:
            data = (directory / row["path"]).read_bytes()
            row.update(
                sha256=hashlib.sha256(data).hexdigest(), **({"bytes": len(data)} if "bytes" in row else {})
            )
        path.write_text(json.dumps(manifest))

    return seal
