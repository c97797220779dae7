import itertools
import json

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attrib.traces import read_trace
from attrib.traces.recording.intervals import NONE, union_ns
from attrib.traces.recording.ort_kernels import node_name


def ort(*events):
    """An ORT profile from (category, name, start, end[, thread]) in microseconds."""
    lines = []
    for category, name, start, end, *thread in events:
        lines.append({
            "cat": category, "pid": 1, "tid": thread[0] if thread else 1, "dur": end - start, "ts": start,
            "ph": "X", "name": name, "args": {},
        })  # fmt: skip
    return json.dumps(
        [{"cat": "Session", "ph": "X", "name": "session_initialization", "ts": 0, "dur": 0}, *lines]
    )


def kineto(*events):
    """A Kineto trace from (category, name, start, end, correlation[, thread]) in microseconds."""
    rows = [
        {
            "ph": "X", "cat": category, "name": name, "ts": start, "dur": end - start, "pid": 1,
            "tid": thread[0] if thread else 1, "args": {"correlation": correlation},
        }
        for category, name, start, end, correlation, *thread in events
    ]  # fmt: skip
    return json.dumps({"traceEvents": rows})


def placed(table):
    """Each node's name and the wall time of its run in microseconds."""
    runs = table.runs()
    walls = [*(table.duration_ns[runs.rows] // 1000).tolist(), None]
    return {
        table.text(table.name[row]): walls[run] for row, run in zip(runs.nodes, runs.run_of_node, strict=True)
    }


def test_nodes_are_placed_by_time_although_runs_come_after_them_and_out_of_order(write):
    table = read_trace(write(ort(
        ("Node", "b", 120, 125), ("Session", "model_run", 100, 131),
        ("Node", "a", 10, 20), ("Node", "early", 1, 2), ("Session", "model_run", 5, 37),
    )))  # fmt: skip
    assert placed(table) == {"a": 32, "b": 31, "early": None}
    runs = table.runs()
    assert (np.diff(table.start_ns[runs.rows]) > 0).all()


def test_two_executors_in_one_run_are_one_run(write):
    table = read_trace(write(ort(
        ("Node", "inner", 12, 14), ("Session", "SequentialExecutor::Execute", 11, 15), ("Node", "If", 10, 16),
        ("Session", "SequentialExecutor::Execute", 8, 18), ("Session", "model_run", 5, 20),
    )))  # fmt: skip
    runs = table.runs()
    assert runs.rows.size == 1
    assert runs.run_of_executor.tolist() == [0, 0]
    assert placed(table) == {"inner": 15, "If": 15}


def test_fences_are_no_nodes(write):
    table = read_trace(write(ort(
        ("Node", "n_fence_before", 1, 2), ("Node", "n_kernel_time", 2, 3), ("Node", "n_fence_after", 3, 4),
        ("Session", "model_run", 0, 5),
    )))  # fmt: skip
    assert list(placed(table)) == ["n_kernel_time"]
    assert node_name("n_kernel_time") == "n"


def test_runs_that_touch_in_one_microsecond_are_told_apart_by_file_order(write):
    table = read_trace(write(ort(
        ("Node", "last of first", 10, 10), ("Session", "model_run", 0, 10),
        ("Node", "first of second", 10, 12), ("Session", "model_run", 10, 21),
    )))  # fmt: skip
    assert placed(table) == {"last of first": 10, "first of second": 11}


def test_overlapping_runs_are_told_apart_by_thread(write):
    table = read_trace(write(ort(
        ("Node", "a", 5, 6, 1), ("Node", "b", 5, 6, 2), ("Node", "pool", 5, 6, 3), ("Node", "alone", 25, 26, 3),
        ("Session", "model_run", 0, 20, 1), ("Session", "model_run", 1, 30, 2),
    )))  # fmt: skip
    assert placed(table) == {"a": 20, "b": 29, "pool": None, "alone": 29}


def test_the_only_active_run_need_not_be_the_last_begun(write):
    table = read_trace(write(ort(
        ("Node", "n", 50, 51, 9), ("Session", "model_run", 10, 20, 2), ("Session", "model_run", 0, 100, 1),
    )))  # fmt: skip
    assert placed(table) == {"n": 100}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    gaps=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 9)), min_size=1, max_size=8),
    times=st.lists(st.integers(0, 120), min_size=1, max_size=10),
)
def test_placing_agrees_with_looking_at_every_run(write, gaps, times):
    edges = list(itertools.accumulate(itertools.chain.from_iterable(gaps)))
    runs = list(zip(edges[::2], edges[1::2], strict=True))
    table = read_trace(write(ort(
        *(("Node", f"n{i}", time, time) for i, time in enumerate(times)),
        *(("Session", "model_run", start, end) for start, end in runs),
    )))  # fmt: skip
    expected = [
        next((k for k, (start, end) in enumerate(runs) if start <= time <= end), NONE) for time in times
    ]
    assert table.runs().run_of_node.tolist() == expected


def test_steps_are_host_annotations_in_order_of_time(write):
    table = read_trace(write(kineto(
        ("user_annotation", "ProfilerStep#7", 50, 60, 0), ("gpu_user_annotation", "ProfilerStep#6", 1, 2, 0),
        ("user_annotation", "ProfilerStep#6", 10, 20, 0), ("user_annotation", "ProfilerStep#6 (more)", 12, 13, 0),
        ("cpu_op", "ProfilerStep#5 (more)", 1, 2, 0),
    )))  # fmt: skip
    assert [table.text(table.name[row]) for row in table.steps()] == ["ProfilerStep#6", "ProfilerStep#7"]


def test_our_own_steps_win_over_the_profilers(write):
    table = read_trace(write(kineto(
        ("user_annotation", "ProfilerStep#0", 0, 100, 0), ("user_annotation", "attrib.step#1", 50, 60, 0),
        ("user_annotation", "attrib.step#0", 10, 20, 0),
    )))  # fmt: skip
    assert [table.text(table.name[row]) for row in table.steps()] == ["attrib.step#0", "attrib.step#1"]


def test_gpu_work_belongs_to_the_step_that_launched_it(write):
    table = read_trace(write(kineto(
        ("user_annotation", "ProfilerStep#1", 10, 20, 0), ("user_annotation", "ProfilerStep#2", 20, 40, 0),
        ("cuda_runtime", "cudaLaunchKernel", 5, 6, 1), ("kernel", "before the steps", 12, 18, 1),
        ("cuda_runtime", "cudaLaunchKernel", 19, 20, 2), ("kernel", "late", 25, 30, 2),
        ("cuda_driver", "cuLaunchKernel", 21, 22, 3), ("kernel", "second", 31, 32, 3),
        ("cuda_runtime", "cudaGraphLaunch", 30, 31, 4), ("kernel", "graph a", 33, 34, 4),
        ("gpu_memset", "graph b", 34, 35, 4),
        ("kernel", "orphan", 15, 16, 99), ("gpu_memcpy", "none", 15, 16, 0), ("cuda_runtime", "cudaMalloc", 15, 16, 0),
    )))  # fmt: skip
    gpu = np.flatnonzero(
        np.isin(table.category, [table.code(c) for c in ("kernel", "gpu_memset", "gpu_memcpy")])
    )
    found = dict(
        zip(
            (table.text(table.name[row]) for row in gpu),
            table.step_of_device_work().tolist(),
            strict=True,
        )
    )
    assert found == {
        "before the steps": NONE, "late": 0, "second": 1, "graph a": 1, "graph b": 1, "orphan": NONE, "none": NONE,
    }  # fmt: skip


def test_the_first_of_several_calls_with_one_correlation_launched_the_work(write):
    table = read_trace(write(kineto(
        ("kernel", "k", 9, 10, 5), ("cuda_driver", "inner", 3, 4, 5), ("cuda_runtime", "outer", 2, 5, 5),
    )))  # fmt: skip
    assert [table.text(table.name[row]) for row in table.launch_of(np.array([0]))] == ["outer"]


def test_a_trace_without_steps_or_runtime_calls_places_nothing(write):
    table = read_trace(write(kineto(("kernel", "k", 9, 10, 5))))
    rows = np.array([0])
    assert table.launch_of(rows).tolist() == [NONE]
    assert table.step_of(rows).tolist() == [NONE]
    assert table.step_of_device_work().tolist() == [NONE]
    empty = read_trace(write('{"traceEvents":[]}'))
    assert empty.step_of_device_work().tolist() == []
    assert empty.runs().rows.size == 0


def test_an_answer_is_worked_out_once_and_cannot_be_changed(write):
    table = read_trace(write(kineto(("kernel", "k", 9, 10, 5), ("cpu_op", "aten::mm", 1, 2, 0))))
    for ask in (table.kernels, table.ops, table.steps, table.launches):
        assert ask() is ask()
        assert not ask().flags.writeable
    assert table.kernels().tolist() == [0]
    assert table.take(np.array([1])).kernels().tolist() == []


def test_events_are_found_by_what_they_are(write):
    table = read_trace(write(kineto(
        ("kernel", "k", 9, 10, 5), ("Memcpy", "Memcpy HtoD", 1, 2, 0), ("gpu_memset", "Memset", 1, 2, 0),
        ("cpu_op", "aten::mm", 1, 2, 0), ("python_function", "f", 1, 2, 0), ("cuda_runtime", "cudaFree", 1, 2, 0),
        ("user_annotation", "mine", 1, 2, 0), ("nobody knows", "it", 1, 2, 0),
    )))  # fmt: skip
    found = [
        table.kernels(), table.copies(), table.fills(), table.calls(), table.python_calls(), table.runtime_calls(),
        table.annotations(),
    ]  # fmt: skip
    assert [rows.tolist() for rows in found] == [[i] for i in range(7)]
    assert table.device_work().tolist() == [0, 1, 2]
    categories = table.categories()
    assert next(categories)[0] == "Memcpy"  # one at a time: the rows of all are as long as the trace
    assert dict(categories)["nobody knows"].tolist() == [7]
    assert (table.nodes().size, table.runs().rows.size) == (0, 0)


def test_the_outermost_calls_are_found_per_thread(write):
    table = read_trace(write(kineto(
        ("cpu_op", "inner", 2, 4, 0), ("cpu_op", "outer", 1, 9, 0), ("cpu_op", "same start", 1, 3, 0),
        ("cpu_op", "next", 9, 10, 0), ("cpu_op", "other thread", 3, 4, 0, 2),
    )))  # fmt: skip
    rows = table.outermost(np.arange(len(table)))
    assert [table.text(table.name[row]) for row in rows] == ["outer", "next", "other thread"]


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 30)), max_size=12))
def test_the_union_counts_every_nanosecond_once(intervals):
    start, duration = (np.array(column, np.int64) for column in zip(*intervals, strict=True)) if intervals else (
        np.empty(0, np.int64), np.empty(0, np.int64),
    )  # fmt: skip
    covered = {instant for begin, length in intervals for instant in range(begin, begin + length)}
    assert union_ns(start, duration) == len(covered)
