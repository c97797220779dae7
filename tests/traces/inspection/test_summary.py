import json

import msgspec

from attrib.traces import read_trace
from attrib.traces.inspection.summary import Inspection, summarize

KEYS = ["format", "events", "runs_us", "providers", "memcpy", "gpu", "steps", "warnings"]


def node(name, op, start, duration, provider="CUDAExecutionProvider"):
    args = {"op_name": op, "provider": provider, "node_index": "1"}
    return {"cat": "Node", "ph": "X", "name": name, "ts": start, "dur": duration, "args": args}


def run(start, duration):
    return {"cat": "Session", "ph": "X", "name": "model_run", "ts": start, "dur": duration}


def launch(start, correlation):
    args = {"correlation": correlation}
    return {"cat": "cuda_runtime", "ph": "X", "name": "cudaLaunchKernel", "ts": start, "dur": 1, "args": args}


def device(category, name, start, duration, correlation, stream=7):
    args = {"correlation": correlation, "stream": stream}
    return {
        "cat": category,
        "ph": "X",
        "name": name,
        "tid": stream,
        "ts": start,
        "dur": duration,
        "args": args,
    }


def inspect(write, content):
    return summarize(read_trace(write(json.dumps(content))))


def test_the_documented_keys_come_first_and_in_order(write):
    found = inspect(write, {"traceEvents": []})
    assert list(json.loads(msgspec.json.encode(found)))[: len(KEYS)] == KEYS
    assert msgspec.json.decode(msgspec.json.encode(found), type=Inspection) == found


def test_copies_of_a_profile_are_known_by_op_type_alone(write):
    found = inspect(write, [
        node("Memcpy", "MemcpyToHost", 1, 5), node("Memcpy_token_1", "MemcpyFromHost", 7, 2),
        node("MemcpyToHost", "Add", 10, 40), node("x", "MemcpyToHost", 60, 1), run(0, 100),
    ])  # fmt: skip
    assert (found.memcpy.to_host.events, found.memcpy.to_host.dur_us) == (2, 6)
    assert (found.memcpy.from_host.events, found.memcpy.from_host.dur_us) == (1, 2)


def test_copies_of_a_trace_are_known_by_direction(write):
    names = [
        "Memcpy DtoH (Device -> Pinned)", "CopyDeviceToHost", "Memcpy HtoD (Pageable -> Device)",
        "Memcpy DtoD (Device -> Device)",
    ]  # fmt: skip
    found = inspect(
        write, {"traceEvents": [device("gpu_memcpy", name, i, 0.5, 0) for i, name in enumerate(names)]}
    )
    assert (found.memcpy.to_host.events, found.memcpy.from_host.events) == (2, 1)
    assert found.memcpy.to_host.dur_us == 1
    assert found.gpu is not None
    assert found.gpu.events == 4


def test_busy_time_counts_overlapping_streams_once(write):
    found = inspect(write, {"traceEvents": [
        device("kernel", "a", 0, 10, 0, stream=1), device("kernel", "b", 5, 10, 0, stream=2),
        device("kernel", "c", 20, 1.5, 0),
    ]})  # fmt: skip
    assert found.gpu is not None
    assert (found.gpu.sum_us, found.gpu.busy_us) == (21.5, 16.5)


def test_steps_count_the_work_they_launched(write):
    found = inspect(write, {"traceEvents": [
        {"cat": "user_annotation", "ph": "X", "name": "ProfilerStep#1", "ts": 10, "dur": 10},
        launch(1, 1), device("kernel", "before", 11, 5, 1), launch(12, 2), device("kernel", "own", 30, 2.25, 2),
    ]})  # fmt: skip
    assert [(step.name, step.gpu_events, step.gpu_sum_us) for step in found.steps] == [
        ("ProfilerStep#1", 1, 2.25)
    ]


def test_nodes_are_counted_once_per_provider_and_name(write):
    found = inspect(write, [
        node("a", "Add", 1, 5), node("a", "Add", 101, 3), node("b", "Mul", 7, 1, "CPUExecutionProvider"),
        run(0, 50), run(100, 40),
    ])  # fmt: skip
    uses = {name: (use.nodes, use.events, use.dur_us) for name, use in found.providers.items()}
    assert uses == {"CUDAExecutionProvider": (1, 2, 8), "CPUExecutionProvider": (1, 1, 1)}
    assert [(r.wall_us, r.nodes, r.node_us) for r in found.runs] == [(50, 2, 6), (40, 1, 3)]
    assert [(op.name, op.dur_us) for op in found.ops] == [("Add", 8), ("Mul", 1)]


def test_a_cold_first_run_is_said_and_a_warm_one_is_not(write):
    cold = inspect(write, [run(0, 100), run(200, 10), run(300, 10)])
    assert any("the first run is cold: 10.0 times" in warning for warning in cold.warnings)
    warm = inspect(write, [run(0, 12), run(200, 10), run(300, 10)])
    assert not any("cold" in warning for warning in warm.warnings)
    zero = inspect(write, [run(0, 12), run(200, 0)])
    assert any("cold" in warning for warning in zero.warnings)


def test_enqueue_times_are_said_only_without_kernels(write):
    nodes = [node("a", "Add", 1, 5), run(0, 10)]
    assert any("enqueue" in warning for warning in inspect(write, nodes).warnings)
    with_kernels = [*nodes, device("Kernel", "k", 3, 1, 0)]
    assert not any("enqueue" in warning for warning in inspect(write, with_kernels).warnings)
    on_cpu = [node("a", "Add", 1, 5, "CPUExecutionProvider"), run(0, 10)]
    assert not any("enqueue" in warning for warning in inspect(write, on_cpu).warnings)


def test_nodes_outside_every_run_are_said(write):
    found = inspect(write, [node("a", "Add", 500, 5), run(0, 10), run(20, 10)])
    assert any("1 node events lie in no run" in warning for warning in found.warnings)


def test_the_outermost_calls_make_the_operators(write):
    call = {"cat": "cpu_op", "ph": "X", "pid": 1, "tid": 1}
    found = inspect(write, {"traceEvents": [
        call | {"name": "aten::linear", "ts": 0, "dur": 10}, call | {"name": "aten::addmm", "ts": 1, "dur": 8},
    ]})  # fmt: skip
    assert [(op.name, op.events, op.dur_us) for op in found.ops] == [("aten::linear", 1, 10)]
