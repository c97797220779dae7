"""Steps of real GPU traces, against sums made from their JSON without attrib."""

import gzip
import json
from decimal import Decimal

import numpy as np
import pytest

from attrib.analysis.attribution.partitions import partition_of
from attrib.model.device import SPENT
from attrib.traces import open_directory
from attrib.traces.directory.trace_directory import TraceDirectory
from tests.analysis.attribution.device.timelines import Trace

DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
WANTED = (*DEVICE, "cuda_runtime", "cuda_driver", "user_annotation")
FILES = [
    ("kineto_bert_small_h100.json", "ProfilerStep#6"),
    ("kineto_t4_fp32.json", "ProfilerStep#3"),
    ("large/kineto_mi300x.json.gz", "ProfilerStep#3"),
]


def events_of(path):
    """Complete events with exact times, nanoseconds."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        events = json.load(file, parse_float=Decimal)["traceEvents"]
    return [
        event
        | {"start": int(Decimal(event["ts"]) * 1000), "end": int(Decimal(event["ts"] + event["dur"]) * 1000)}
        for event in events
        if event.get("ph") == "X" and event.get("cat") in WANTED
    ]


def own_work(events, step):
    """The step's window, and the device work whose runtime call begins in it; then all other device work."""
    row = next(e for e in events if e["name"] == step and e["cat"] == "user_annotation")
    runtime = (e for e in events if e["cat"] in ("cuda_runtime", "cuda_driver"))
    calls = {e["args"]["correlation"]: e for e in runtime if "correlation" in e["args"]}
    work = [e for e in events if e["cat"] in DEVICE]
    launched = [calls.get(e["args"].get("correlation")) for e in work]
    own = [
        e for e, call in zip(work, launched, strict=True) if row["start"] <= (call or e)["start"] < row["end"]
    ]
    return row["start"], row["end"], own


def union(intervals):
    total, reached = 0, None
    for start, end in sorted(intervals):
        total += max(end - (start if reached is None else max(start, reached)), 0)
        reached = end if reached is None else max(reached, end)
    return total


def partition(path):
    found = partition_of(
        TraceDirectory(root=path.parent, manifest=None, _traces={"torch": path}), "torch", None
    )
    found.self_check()
    return found


@pytest.mark.parametrize(("name", "step"), FILES)
def test_a_real_step_is_split_exactly_and_agrees_with_plain_sums(shared_traces, name, step):
    path = shared_traces / name
    begin, end, own = own_work(events_of(path), step)
    found = partition(path)
    use, split = found.device, found.split
    kernels = [e for e in own if e["cat"] == "kernel"]
    position = int(np.flatnonzero(found.walls_ns == end - begin)[0])
    assert use.kernels[position] == len(kernels)
    assert use.kernels_ns[position] == sum(e["end"] - e["start"] for e in kernels)
    assert use.copies_ns[position] == sum(e["end"] - e["start"] for e in own if e["cat"] != "kernel")
    assert use.busy_ns[position] == union((e["start"], e["end"]) for e in own)
    clipped = [(max(e["start"], begin), min(e["end"], end)) for e in own]
    assert split.busy_ns[position] == union((a, b) for a, b in clipped if a < b)
    assert split.busy_ns[position] + split.idle_ns[position] == end - begin
    assert (split.work_ns["kernel"] <= split.kernels_ns).all()
    assert all((split.work_ns[kind] >= 0).all() for kind in SPENT)


def test_the_published_figures_of_the_h100(shared_traces):
    found = partition(shared_traces / "kineto_bert_small_h100.json")
    use, split = found.device, found.split
    assert found.walls_ns.tolist() == [4_426_114]
    assert (use.kernels.tolist(), use.kernels_ns.tolist(), use.copies_ns.tolist()) == (
        [60],
        [307_197],
        [2_240],
    )
    assert use.kernels_ns[0] + use.copies_ns[0] == 309_437
    assert split.kernels.sum() == 60
    assert [(c.direction, c.cause, c.sync, c.count.tolist()) for c in split.copies] == [
        ("DtoH", "call", "cudaStreamSynchronize", [1])
    ]
    idle = sum(split.work_ns[kind].sum() for kind in ("idle", "sync", "allocation")) + found.parts_ns.sum()
    assert idle == 4_426_114 - 309_437
    assert found.parts == ("torch dispatch", "waiting for the device")


def test_a_graph_that_is_being_captured_runs_no_kernel_of_its_own(shared_traces):
    path = shared_traces / "large/kineto_rocm_graph_capture.json.gz"
    found = partition(path)
    work = [e for e in events_of(path) if e["cat"] in DEVICE]
    assert (found.device.kernels.sum(), len(work)) == (7, 10)
    assert found.device.kernels_ns.sum() == sum(e["end"] - e["start"] for e in work if e["cat"] == "kernel")


def test_a_trace_of_launches_without_kernels_is_enqueue_time(shared_traces, tmp_path):
    trace = json.loads((shared_traces / "kineto_bert_small_h100.json").read_text())
    trace["traceEvents"] = [e for e in trace["traceEvents"] if e.get("cat") not in DEVICE]
    (tmp_path / "trace.json").write_text(json.dumps(trace))
    found = partition_of(open_directory(tmp_path), "torch", None)
    assert (found.device, found.split, found.unseen) == (None, None, ("the device",))
    assert any("enqueue time, not kernel time" in warning for warning in found.warnings)


def test_the_cuda_profile_without_kernels_is_enqueue_time(shared_traces, tmp_path):
    (tmp_path / "profile.json").write_bytes((shared_traces / "ort_2023_cuda.json").read_bytes())
    found = partition_of(open_directory(tmp_path), "onnxruntime", None)
    assert found.unseen == ("CUDAExecutionProvider",)
    assert (found.device, found.split) == (None, None)
    assert any("enqueue time, not kernel time" in warning for warning in found.warnings)


def test_a_trace_of_the_processor_alone_lacks_nothing(tmp_path):
    trace = Trace()
    trace.step(0, 0, 1000)
    trace.call("aten::linear", 100, 100)
    (tmp_path / "trace.json").write_text(trace.text())
    found = partition(tmp_path / "trace.json")
    assert (found.device, found.split, found.unseen) == (None, None, ())
