"""Profiles of ONNX Runtime that hold what the device did: kernels are counted beside the nodes and linked to them."""

import json

import pytest

from attrib.traces import read_trace
from attrib.traces.inspection.summary import summarize

CUDA = "CUDAExecutionProvider"


def session(name, start, length):
    return {
        "cat": "Session",
        "pid": 5,
        "tid": 5,
        "dur": length,
        "ts": start,
        "ph": "X",
        "name": name,
        "args": {},
    }


def node(name, op, start, length, provider=CUDA, suffix="_kernel_time"):
    args = {"op_name": op, "provider": provider, "node_index": "1"}
    return session(name + suffix, start, length) | {"cat": "Node", "args": args}


def kernel(name, start, length, category="Kernel", pid=-1, tid=-1, **args):
    return {
        "cat": category, "pid": pid, "tid": tid, "dur": length, "ts": start, "ph": "X", "name": name, "args": args,
    }  # fmt: skip


def inspect(write, *events):
    return summarize(read_trace(write(json.dumps([session("session_initialization", 0, 5), *events]))))


def links(write, *events):
    """Each work event's name with the start of the node event that it belongs to, None without one."""
    table = read_trace(write(json.dumps([session("session_initialization", 0, 5), *events])))
    work = table.device_work()
    rows = table.launch_of(work)
    starts = [None if row < 0 else int(table.start_ns[row]) // 1000 for row in rows.tolist()]
    return [(table.text(name), start) for name, start in zip(table.name[work], starts, strict=True)]


# core/common/gpu_profiler_common.h: kernels take the op type and, as `parent_name`, the name of the node's event;
# providers/cuda/cupti_manager.cc: pid and tid -1, the stream and the grid as strings
CUPTI = (
    session("model_run", 10, 100), node("mm", "MatMul", 20, 5), node("sm", "Softmax", 26, 4),
    kernel("gemm", 30, 12, op_name="MatMul", parent_name="mm_kernel_time", stream="13", grid_x="1", block_x="256"),
    kernel("MemcpyHostToDevice", 42, 2, op_name="MatMul", parent_name="mm_kernel_time", stream="14"),
    kernel("softmax", 40, 10, op_name="Softmax", parent_name="sm_kernel_time", stream="13"),
    session("model_run", 200, 60), node("mm", "MatMul", 210, 3), node("sm", "Softmax", 214, 2),
    kernel("gemm", 216, 11, op_name="MatMul", parent_name="mm_kernel_time", stream="13"),
    kernel("softmax", 228, 9, op_name="Softmax", parent_name="sm_kernel_time", stream="13"),
    kernel("MemcpyDeviceToHost", 240, 1, op_name="", parent_name="model_run", stream="13"),
)  # fmt: skip


def test_kernels_are_counted_apart_and_leave_the_nodes_as_they_are(write):
    with_kernels = inspect(write, *CUPTI)
    without = inspect(write, *(event for event in CUPTI if event["cat"] != "Kernel"))
    for figure in ("runs", "runs_us", "providers", "ops", "memcpy"):
        assert getattr(with_kernels, figure) == getattr(without, figure), figure
    assert without.gpu is None
    gpu = with_kernels.gpu
    assert (gpu.kernels.events, gpu.kernels.dur_us) == (4, 42)
    assert {name: use.events for name, use in gpu.copies.items()} == {"from_host": 1, "to_host": 1}
    assert (gpu.sum_us, gpu.busy_us) == (45, 20 + 11 + 9 + 1)
    assert [(use.name, use.events) for use in gpu.streams] == [("stream 13", 5), ("stream 14", 1)]
    assert (gpu.graph_events, gpu.without_launch) == (None, None)


def test_kernels_belong_to_the_last_execution_of_their_node_before_them(write):
    assert links(write, *CUPTI) == [
        ("gemm", 20), ("MemcpyHostToDevice", 20), ("softmax", 26), ("gemm", 210), ("softmax", 214),
        ("MemcpyDeviceToHost", None),
    ]  # fmt: skip
    found = inspect(write, *CUPTI)
    assert {name: (use.events, use.dur_us) for name, use in found.gpu.by_provider.items()} == {CUDA: (5, 44)}
    assert found.gpu.without_node == 1
    assert any("1 of 6 kernel events name no node" in warning for warning in found.warnings)
    assert any("host's part alone" in warning for warning in found.warnings)


def test_a_kernel_may_begin_in_the_microsecond_of_its_node(write):
    events = (
        session("model_run", 10, 30), node("mm", "MatMul", 12, 5), session("model_run", 50, 30),
        node("mm", "MatMul", 52, 5), kernel("k", 52, 2, parent_name="mm_kernel_time"),
    )  # fmt: skip
    assert links(write, *events) == [("k", 52)]


def test_a_parent_that_is_no_node_wins_over_what_stands_beside(write):
    events = (
        session("model_run", 10, 30), node("mm", "MatMul", 12, 5),
        kernel("k", 14, 2, op_name="MatMul", parent_name="model_run"),
    )  # fmt: skip
    assert links(write, *events) == [("k", None)]


# microsoft/onnxruntime#8406 and #9567: no parent's name yet; the kernels stand after the record that started them
def test_before_parents_were_named_a_kernel_stands_beside_its_node(write):
    events = (
        session("model_run", 10, 90), node("a", "Add", 12, 1, suffix="_fence_before"), node("a", "Add", 14, 3),
        kernel("add", 20, 4, op_name="Add", stream="7"), node("a", "Add", 18, 1, suffix="_fence_after"),
        node("b", "Add", 30, 1, suffix="_fence_before"), kernel("add", 40, 4, op_name="Add", stream="7"),
        node("b", "Add", 34, 3), kernel("other", 50, 1, op_name="Mul"),
    )  # fmt: skip
    assert links(write, *events) == [("add", 14), ("add", 34), ("other", None)]


def test_nodes_without_a_name_have_their_kernels_too(write):
    events = (
        session("model_run", 10, 90), node("", "Conv", 14, 3), kernel("conv", 20, 4, op_name="Conv"),
        node("", "Relu", 30, 3), kernel("relu", 31, 4, op_name="Relu"), kernel("lost", 60, 1),
    )  # fmt: skip
    assert links(write, *events) == [("conv", 14), ("relu", 30), ("lost", None)]


# core/providers/webgpu/webgpu_context.cc: events of the category Api, of no thread, `node&operator&program`; the zero of
# their clock is the first kernel in older versions
def test_kernels_of_webgpu_are_api_events_of_no_thread(write):
    webgpu = "WebGpuExecutionProvider"
    events = (
        session("model_run", 100, 90), node("mm", "MatMul", 114, 3, webgpu), node("mm", "MatMul", 150, 3, webgpu),
        kernel("mm&MatMul&MatMulNaive", 0, 7, "Api", cache_key="k", shapes="inputs[0] = {1,2} "),
        kernel("compile", 101, 50, "Api", pid=5, tid=6),
    )  # fmt: skip
    found = inspect(write, *events)
    assert (found.gpu.kernels.events, found.gpu.kernels.dur_us) == (1, 7)
    assert found.gpu.by_provider[webgpu].events == 1
    assert links(write, *events) == [("mm&MatMul&MatMulNaive", 114)]
    assert not any("enqueue" in warning for warning in found.warnings)


# The plugin providers' profiler (CreateProfilingEvent): all events come last, and each provider names the parent its own way
@pytest.mark.parametrize("argument", ["parent_name", "ort_event_name", "parent_ort_node"])
def test_kernels_of_plugin_providers_name_their_node(write, argument):
    provider = "MyPluginExecutionProvider"
    events = (
        session("model_run", 10, 30), node("mm", "MatMul", 12, 5, provider), session("model_run", 50, 30),
        node("mm", "MatMul", 52, 5, provider), kernel("k", 14, 2, **{argument: "mm_kernel_time"}),
        kernel("k", 60, 2, **{argument: "mm_kernel_time"}),
    )  # fmt: skip
    assert links(write, *events) == [("k", 12), ("k", 52)]
    found = inspect(write, *events)
    assert found.gpu.by_provider[provider].dur_us == 4
    assert found.providers[provider].dur_us == 10


@pytest.mark.parametrize(
    ("provider", "returns_early"),
    [
        ("TensorrtExecutionProvider", True), ("NvTensorRTRTXExecutionProvider", True), ("DmlExecutionProvider", True),
        ("CudaPluginExecutionProvider", True), ("OpenVINOExecutionProvider", False), ("QNNExecutionProvider", False),
        ("SomeVendorsPlugin", False),
    ],
)  # fmt: skip
def test_nodes_are_counted_under_any_providers_own_name(write, provider, returns_early):
    part = f"{provider}_TRTKernel_graph_torch_jit_1_0"
    events = (session("model_run", 10, 30), node(part, "TRTKernel_graph_torch_jit_1", 12, 5, provider))
    found = inspect(write, *events)
    assert {name: (use.nodes, use.dur_us) for name, use in found.providers.items()} == {provider: (1, 5)}
    assert found.gpu is None
    assert any("time to enqueue" in warning for warning in found.warnings) == returns_early


# providers/rocm/rocm_profiler: ROCTracer's names, the device as pid
def test_copies_and_fills_of_roctracer_are_told_by_name(write):
    events = (
        session("model_run", 10, 90), node("mm", "MatMul", 12, 5, "ROCMExecutionProvider"),
        kernel("CopyHostToDevice", 14, 2, pid=0, tid=1, op_name="MatMul", parent_name="mm_kernel_time", stream="0x0"),
        kernel("FillBuffer", 17, 1, pid=0, tid=1, op_name="MatMul", parent_name="mm_kernel_time"),
        kernel("Cijk_Copy", 19, 3, pid=0, tid=1, op_name="MatMul", parent_name="mm_kernel_time"),
    )  # fmt: skip
    gpu = inspect(write, *events).gpu
    assert (gpu.kernels.events, gpu.fills.events, gpu.copies["from_host"].events) == (1, 1, 1)
    assert gpu.copies["from_host"].bytes is None
    assert [use.name for use in gpu.streams] == ["0/1"]


# Older ORT does not escape names: a quote in a parent's name breaks the JSON as one in the name does
def test_a_parents_unescaped_name_is_mended(write):
    good = session("model_run", 10, 90)
    text = json.dumps([good, node("a", "Add", 12, 5)])[1:-1].replace('"a_kernel_time"', '"a"b_kernel_time"')
    event = json.dumps(kernel("k", 14, 1, parent_name="PARENT")).replace("PARENT", 'a"b_kernel_time')
    lines = [*text.replace("}, {", "},\n{").splitlines(), event]
    content = "[\n" + "\n".join(f"{line.rstrip(',')}," for line in lines)[:-1] + "\n]\n"
    found = summarize(read_trace(write(content)))
    assert found.gpu.by_provider[CUDA].events == 1
