"""The device's work in the layout of every vendor and generation, and in what real ones recorded."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attrib.traces import read_trace
from attrib.traces.inspection.summary import summarize
from attrib.traces.recording.activity_types import KIND_OF_CATEGORY, kind_of
from attrib.traces.recording.device_names import call_kind_of, direction_of
from tests.traces.device_traces import NVIDIA, TRACES, call, on, x

every_layout = pytest.mark.parametrize("trace", TRACES.values(), ids=TRACES)


@every_layout
def test_work_is_recognized_by_kind_direction_and_stream(write, trace):
    gpu = summarize(read_trace(write(trace.text()))).gpu
    assert gpu is not None
    assert (gpu.kernels.events, gpu.kernels.dur_us) == trace.kernels
    assert {direction: (use.events, use.bytes) for direction, use in gpu.copies.items()} == trace.copies
    assert (gpu.fills.events if gpu.fills else 0) == trace.fills
    assert len(gpu.streams) == trace.streams
    assert sum(stream.events for stream in gpu.streams) == gpu.events
    assert gpu.busy_us == trace.busy
    assert (gpu.graph_events, gpu.without_launch) == (trace.graph_events, trace.without_launch)


@every_layout
def test_the_hosts_calls_are_recognized(write, trace):
    runtime = summarize(read_trace(write(trace.text()))).runtime
    if trace.launches is None:
        assert runtime is None
        return
    assert (runtime.launches, runtime.graph_launches, runtime.without_work) == (
        trace.launches, trace.graph_launches, trace.without_work,
    )  # fmt: skip
    assert {use.name for use in runtime.synchronizations} == set(trace.waits)


@every_layout
def test_no_event_is_dropped_without_a_word(write, trace):
    found = summarize(read_trace(write(trace.text())))
    assert tuple(found.unknown) == trace.unknown
    known = {name: use for name, use in found.categories.items() if kind_of(name) != "other"}
    assert sum(use.events for use in (*known.values(), *found.unknown.values())) == found.events
    for name in trace.unknown:
        said = f"unknown category {name}" if name else "without a category"
        assert any(said in warning for warning in found.warnings), found.warnings


def test_many_unknown_categories_are_counted_but_not_all_named(write):
    events = [x(f"mine{i}", "e", i, 1, (1, 1)) for i in range(9)] + [x("mine0", "e", 9, 1, (1, 1))]
    found = summarize(read_trace(write(json.dumps({"traceEvents": events}))))
    said = [warning for warning in found.warnings if "unknown categor" in warning]
    assert said[0].startswith("2 events of unknown category mine0:")
    assert said[-1].startswith("4 events of 4 further unknown categories:")
    assert len(found.unknown) == 9


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("Memcpy DtoH (Device -> Pinned)", "to_host"), ("Memcpy HtoA (Pageable -> Array)", "from_host"),
        ("Memcpy AtoD (Array -> Device)", "on_device"), ("Memcpy PtoP (Device -> Device)", "between_devices"),
        ("Memcpy HtoH (Pageable -> Pinned)", "on_host"), ("Memcpy S2D (SHARED -> DEVICE)", "unknown"),
        ("MemcpyDeviceArrayToHost", "to_host"), ("CopyHostToDevice2D", "from_host"), ("Memcpy", "unknown"),
        ("Device -> Pageable", "to_host"), ("Pinned -> Device", "from_host"), ("D2D", "on_device"),
        ("AddToHostname", "unknown"), ("", "unknown"),
    ],
)  # fmt: skip
def test_a_copys_direction_is_read_from_its_name(name, direction):
    assert direction_of(name) == direction


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cudaLaunchCooperativeKernel", "launch"), ("cuLaunchKernelEx", "launch"), ("hipModuleLaunchKernel", "launch"),
        ("urEnqueueKernelLaunchCustomExp", "launch"), ("cuGraphLaunch", "graph_launch"), ("cudaLaunchHostFunc", None),
        ("hipGraphLaunch_spt", "graph_launch"), ("cudaGraphInstantiate", None), ("cuCtxSynchronize", "sync"),
        ("cudaMemcpyAsync", None), ("cudaEventQuery", None),
    ],
)  # fmt: skip
def test_a_calls_kind_is_read_from_its_name(name, kind):
    assert call_kind_of(name) == kind


def test_categories_are_kept_in_lower_case():
    assert all(category == category.lower() for category in KIND_OF_CATEGORY)


def test_a_runtime_call_and_the_driver_call_inside_it_are_one_launch(write):
    events = [
        call("cuda_runtime", "cudaLaunchKernel", 1, 1, 5), call("cuda_driver", "cuLaunchKernel", 2, 2, 3),
        call("cuda_runtime", "cudaLaunchKernel", 8, 3), x("kernel", "k", 20, 1, on(7), correlation=2),
    ]  # fmt: skip
    runtime = summarize(read_trace(write(json.dumps({"traceEvents": events})))).runtime
    assert (runtime.launches, runtime.without_work) == (2, 1)


def test_a_trace_without_kernels_says_null_and_never_0(write):
    host = [event for event in NVIDIA.events if event["pid"] == 900]
    found = summarize(read_trace(write(json.dumps({"traceEvents": host}))))
    assert found.gpu is None
    assert found.runtime.without_work == found.runtime.launches == 4
    assert any("4 of 4 launching calls have no work" in warning for warning in found.warnings)


def test_copies_without_kernels_are_not_kernels_that_took_no_time(write):
    step = x("user_annotation", "ProfilerStep#1", 0, 50, (900, 901))
    events = [step, *(event for event in NVIDIA.events if event.get("cat") != "kernel")]
    found = summarize(read_trace(write(json.dumps({"traceEvents": events}))))
    assert found.gpu.events == 4
    assert found.gpu.kernels is None
    assert (found.steps[0].gpu_events, found.steps[0].kernels) == (4, None)
    assert any("no kernel times" in warning for warning in found.warnings)


def test_without_launching_calls_no_step_has_a_figure(write):
    step = x("user_annotation", "ProfilerStep#1", 0, 50, (900, 901))
    events = [step, *TRACES["cupti only"].events]
    found = summarize(read_trace(write(json.dumps({"traceEvents": events}))))
    assert found.steps[0].gpu_events is None
    assert found.steps[0].gpu_sum_us is None
    assert any("2 of 2 GPU events have no launching call" in warning for warning in found.warnings)


def test_work_whose_launch_is_not_in_the_trace_is_in_no_step(write):
    step = x("user_annotation", "ProfilerStep#1", 0, 50, (900, 901))
    events = [
        step, call("cuda_runtime", "cudaLaunchKernel", 1, 1), x("kernel", "own", 5, 3, on(7), correlation=1),
        x("kernel", "from before", 4, 1, on(7), correlation=99), x("kernel", "of nothing", 9, 1, on(7)),
    ]  # fmt: skip
    found = summarize(read_trace(write(json.dumps({"traceEvents": events}))))
    assert (found.steps[0].gpu_events, found.steps[0].gpu_sum_us) == (1, 3)
    assert found.gpu.without_launch == 2


def test_a_step_holds_what_it_launched_with_an_instant_counted_once(write):
    steps = [x("user_annotation", f"ProfilerStep#{i}", 10 * i, 9, (900, 901)) for i in (1, 2)]
    events = [
        *steps, call("cuda_runtime", "cudaLaunchKernel", 11, 1), call("cuda_runtime", "cudaLaunchKernel", 12, 2),
        call("cuda_runtime", "cudaMemcpyAsync", 21, 3), x("kernel", "a", 20, 10, on(7), correlation=1),
        x("kernel", "b", 25, 10, on(8), correlation=2), x("gpu_memcpy", "HtoD", 40, 1, on(8), correlation=3),
    ]  # fmt: skip
    found = summarize(read_trace(write(json.dumps({"traceEvents": events}))))
    figures = [(s.gpu_events, s.kernels, s.gpu_sum_us, s.gpu_busy_us) for s in found.steps]
    assert figures == [(2, 2, 20, 15), (1, 0, 1, 1)]


def test_a_process_of_a_distributed_job_says_which_it_is(write):
    place = {"backend": "nccl", "rank": 3, "world_size": 8, "pg_config": [{"pg_name": "secret"}]}
    events = {"traceEvents": [x("cpu_op", "a", 1, 1, (1, 1))], "distributedInfo": place}
    metadata = summarize(read_trace(write(json.dumps(events)))).metadata
    assert metadata == {"rank": "3", "world_size": "8"}


@pytest.mark.parametrize(
    "place", [{"rank": "box7.example"}, {"rank": True}, {"rank": [1]}, ["rank"], "rank", None]
)
def test_a_place_that_is_no_number_is_not_shown(write, place):
    events = {"traceEvents": [x("cpu_op", "a", 1, 1, (1, 1))], "distributedInfo": place}
    assert summarize(read_trace(write(json.dumps(events)))).metadata == {}


# Trace Event Format, "Duration Events": an end closes the last open beginning of its thread.
def test_begin_and_end_events_are_one_event(write):
    def half(phase, name, time, thread=1):
        return {
            "ph": phase,
            "cat": "kernel",
            "name": name,
            "ts": time,
            "pid": 0,
            "tid": thread,
            "args": {"stream": 5},
        }

    events = [
        half("B", "outer", 1_624_000_000_000_000.5), half("B", "inner", 1_624_000_000_000_010),
        half("B", "other", 1_624_000_000_000_010, 2), half("E", "inner", 1_624_000_000_000_015),
        half("E", "", 1_624_000_000_000_040), half("E", "", 1_624_000_000_000_041),
        half("E", "", 1_624_000_000_000_050, 2),
        half("B", "open", 1_624_000_000_000_060),
    ]  # fmt: skip
    table = read_trace(write(json.dumps({"traceEvents": events})))
    found = {
        table.text(name): length for name, length in zip(table.name, table.duration_ns.tolist(), strict=True)
    }
    assert found == {"inner": 5000, "outer": 39_500, "other": 40_000}
    assert table.stream.tolist() == [5, 5, 5]
    assert any("2 begin or end events have no counterpart" in warning for warning in table.warnings)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.recursive(st.just([]), lambda inner: st.lists(inner, max_size=4), max_leaves=30))
def test_nested_halves_are_the_same_events_as_complete_ones(write, tree):
    clock = iter(range(10_000))
    halves, complete = [], []

    def walk(nodes):
        for children in nodes:
            begin = next(clock)
            halves.append({"ph": "B", "cat": "cpu_op", "name": f"n{begin}", "ts": begin, "pid": 1, "tid": 1})
            walk(children)
            halves.append({"ph": "E", "ts": next(clock), "pid": 1, "tid": 1})
            complete.append((f"n{begin}", begin, halves[-1]["ts"] - begin))

    walk(tree)
    table = read_trace(write(json.dumps({"traceEvents": halves})))
    found = [
        (table.text(name), start // 1000, length // 1000)
        for name, start, length in zip(
            table.name, table.start_ns.tolist(), table.duration_ns.tolist(), strict=True
        )
    ]
    assert found == complete


def test_halves_in_different_blocks_meet(write):
    filler = [x("cpu_op", "a" * 500, i, 1, (1, 2)) for i in range(1500)]
    begin = {"ph": "B", "cat": "kernel", "name": "long", "ts": 1, "pid": 0, "tid": 7}
    end = {"ph": "E", "ts": 2000, "pid": 0, "tid": 7}
    found = summarize(read_trace(write(json.dumps({"traceEvents": [begin, *filler, end]}))))
    assert (found.gpu.kernels.events, found.gpu.kernels.dur_us) == (1, 1999)
    assert found.events == 1501


def test_a_complete_event_without_a_duration_is_said(write):
    event = {"ph": "X", "cat": "kernel", "name": "k", "ts": 1, "pid": 0, "tid": 7}
    found = summarize(read_trace(write(json.dumps({"traceEvents": [event, event | {"dur": 2.5}]}))))
    assert found.gpu.kernels.dur_us == 2.5
    assert any("1 complete events have no duration" in warning for warning in found.warnings)
