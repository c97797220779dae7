"""The figures of shared/traces/README.md, computed there from the raw JSON without attrib's parsers."""

import json
from decimal import Decimal

import numpy as np
import pytest

from attrib.traces import read_trace
from attrib.traces.inspection.summary import summarize
from attrib.traces.recording.intervals import NONE

ORT_FILES = [
    ("ort_2019_cpu.json", [2455], {"not recorded": (12, 12, 1963)}),
    (
        "ort_2023_cuda.json",
        [12098274, 16763, 16758, 16724, 16793, 16694],
        {"CUDAExecutionProvider": (14, 84, 12089323)},
    ),
    (
        "ort_1.27_coreml_cpu_fallback.json",
        [5557, 309, 241, 234, 254],
        {"CoreMLExecutionProvider": (2, 10, 6421), "CPUExecutionProvider": (2, 10, 74)},
    ),
    ("ort_2025_string_thread_stats.json", [326820], {"CPUExecutionProvider": (77, 77, 326302)}),
    ("ort_2026_never_ran.json", [], {}),
]
KINETO_FILES = [
    "kineto_bert_small_h100.json",
    "kineto_cpu_only_cut.json",
    "kineto_t4_fp32.json",
]
LARGE_FILES = [("large/kineto_mi300x.json.gz", 200_514), ("large/kineto_rocm_graph_capture.json.gz", 126_861)]


@pytest.mark.parametrize(("name", "runs", "providers"), ORT_FILES)
def test_runs_and_providers_of_real_profiles(shared_traces, name, runs, providers):
    found = summarize(read_trace(shared_traces / name))
    assert found.format == "ort-profile"
    assert list(found.runs_us) == runs
    assert {name: (use.nodes, use.events, use.dur_us) for name, use in found.providers.items()} == providers


def test_warm_node_sums_of_the_cuda_profile(shared_traces):
    found = summarize(read_trace(shared_traces / "ort_2023_cuda.json"))
    assert [run.node_us for run in found.runs[1:]] == [1863, 2079, 1121, 1115, 1150]
    assert [run.nodes for run in found.runs] == [14] * 6
    assert any("enqueue" in warning for warning in found.warnings)


def test_fences_of_the_cuda_profile_are_not_nodes(shared_traces):
    table = read_trace(shared_traces / "ort_2023_cuda.json")
    names = [table.text(code) for code in table.name]
    assert sum(name.endswith("_fence_before") for name in names) == 84
    assert sum(name.endswith("_fence_after") for name in names) == 84
    assert table.nodes().size == 84


def test_a_session_that_never_ran_is_said_to_have_no_run(shared_traces):
    found = summarize(read_trace(shared_traces / "ort_2026_never_ran.json"))
    assert found.runs_us == ()
    assert any("no run" in warning for warning in found.warnings)


def test_gpu_work_of_the_h100_trace(shared_traces):
    found = summarize(read_trace(shared_traces / "kineto_bert_small_h100.json"))
    assert found.gpu is not None
    assert (found.gpu.events, found.gpu.sum_us) == (61, 309.437)
    # README: 309.438, from floating-point sums. A union is never longer than its sum; in integers they are equal here.
    assert found.gpu.busy_us == 309.437
    assert found.categories["kernel"].dur_us == 307.197
    assert (found.memcpy.to_host.events, found.memcpy.to_host.dur_us) == (1, 2.24)
    assert found.memcpy.from_host.events == 0
    step = found.steps[0]
    assert (step.name, step.wall_us, step.gpu_events, step.gpu_sum_us) == (
        "ProfilerStep#6",
        4426.114,
        61,
        309.437,
    )
    assert len(found.steps) == 1  # the gpu_user_annotation of the same name is no step


def test_a_trace_without_gpu_events_has_no_gpu_figures(shared_traces):
    found = summarize(read_trace(shared_traces / "kineto_cpu_only_cut.json"))
    assert found.gpu is None
    assert [(step.gpu_events, step.gpu_sum_us) for step in found.steps] == [(None, None)]


def test_kernels_launched_before_the_trace_belong_to_no_step(shared_traces):
    table = read_trace(shared_traces / "kineto_t4_fp32.json")
    found = summarize(table)
    assert found.gpu is not None
    assert found.gpu.events == 113
    assert [step.gpu_events for step in found.steps] == [35, 35, 35]
    assert (table.launch_of(table.device_work()) == NONE).sum() == 8
    assert any("8 of 113" in warning for warning in found.warnings)


@pytest.mark.parametrize("name", KINETO_FILES)
def test_times_of_real_traces_are_exact(shared_traces, name):
    raw = json.loads((shared_traces / name).read_text(), parse_float=Decimal)
    events = [event for event in raw["traceEvents"] if event["ph"] == "X"]
    table = read_trace(shared_traces / name)
    assert table.base_ns == raw["baseTimeNanoseconds"]
    assert table.start_ns.tolist() == [
        raw["baseTimeNanoseconds"] + int(event["ts"] * 1000) for event in events
    ]
    assert table.duration_ns.tolist() == [int(event["dur"] * 1000) for event in events]
    assert [table.text(code) for code in table.name] == [event["name"] for event in events]
    assert [table.text(code) for code in table.track] == [
        f"{event['pid']}/{event['tid']}" for event in events
    ]


@pytest.mark.parametrize("name", [name for name, _, _ in ORT_FILES])
def test_columns_of_real_profiles_agree_with_the_json(shared_traces, name):
    events = json.loads((shared_traces / name).read_text())
    table = read_trace(shared_traces / name)
    assert table.start_ns.tolist() == [event["ts"] * 1000 for event in events]
    assert table.duration_ns.tolist() == [event["dur"] * 1000 for event in events]
    assert [table.text(code) for code in table.op] == [event["args"].get("op_name", "") for event in events]
    assert table.node_index.tolist() == [int(event["args"].get("node_index", -1)) for event in events]
    shapes = [event["args"].get("input_type_shape", []) for event in events]
    expected = [
        [(dtype, tuple(dims)) for entry in shape for dtype, dims in entry.items()] for shape in shapes
    ]
    found = [[(t.dtype, t.shape) for t in table.input_tensors(row)] for row in range(len(table))]
    assert found == expected


@pytest.mark.parametrize(("name", "events"), LARGE_FILES)
def test_large_traces_are_read_whole(shared_traces, name, events):
    table = read_trace(shared_traces / name)
    assert len(table) == events
    assert summarize(table).gpu is not None
    assert np.all(table.duration_ns >= 0)


def test_steps_of_the_mi300x_trace_hold_every_kernel(shared_traces):
    found = summarize(read_trace(shared_traces / "large/kineto_mi300x.json.gz"))
    assert found.gpu is not None
    assert found.gpu.busy_us < found.gpu.sum_us  # several streams
    assert sum(step.gpu_events or 0 for step in found.steps) == found.gpu.events


@pytest.mark.parametrize("name", KINETO_FILES)
def test_no_host_user_or_path_is_among_the_facts(shared_traces, name):
    metadata = read_trace(shared_traces / name).metadata
    assert (
        not {"username", "host_name", "traceName", "metadata", "distributedInfo", "trace_id", "INFO"}
        & metadata.keys()
    )
    assert not any("/" in value for value in metadata.values())


def test_nodes_of_real_profiles_all_lie_in_runs(shared_traces):
    for name, runs, _ in ORT_FILES:
        placed = read_trace(shared_traces / name).runs()
        assert (placed.run_of_node != NONE).all(), name
        assert set(placed.run_of_node.tolist()) == set(range(len(runs))), name
