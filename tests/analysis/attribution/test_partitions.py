"""Steps of small traces, split by hand and by attrib."""

import json

import numpy as np
import pytest

from attrib.analysis.attribution.host.ort_partition import ort_steps
from attrib.analysis.attribution.host.torch_partition import torch_steps
from attrib.analysis.attribution.partitions import TimedStep, step_windows
from attrib.errors import AttribError
from attrib.traces import read_kineto, read_ort_profile


def kineto(tmp_path, *events):
    """A trace of `(category, name, start, duration)` in microseconds on one thread."""
    rows = [
        {"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": 1, "ts": ts, "dur": dur, "args": {}}
        for cat, name, ts, dur in events
    ]
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"schemaVersion": 1, "baseTimeNanoseconds": 0, "traceEvents": rows}))
    return read_kineto(path)


def profile(tmp_path, *events):
    """A profile of `(category, name, start, duration, thread)` in microseconds."""
    rows = [
        {
            "cat": cat, "pid": 1, "tid": thread, "dur": dur, "ts": ts, "ph": "X", "name": name,
            "args": {"op_name": "Add", "provider": "CPUExecutionProvider", "node_index": "0"} if cat == "Node" else {},
        }
        for cat, name, ts, dur, thread in events
    ]  # fmt: skip
    path = tmp_path / "profile.json"
    path.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]")
    return read_ort_profile(path)


def split_torch(table):
    return torch_steps(table, step_windows(table, table.steps(), [TimedStep(0, 10**9, 0)])).partition


def split_ort(table, wall_ns):
    return ort_steps(table, step_windows(table, table.runs().rows, [TimedStep(0, wall_ns, 0)])).partition


def test_a_call_is_the_outermost_op_inside_the_innermost_module(tmp_path):
    found = split_torch(kineto(
        tmp_path,
        ("user_annotation", "attrib.step#0", 0, 100),
        ("cpu_op", "module: ", 1, 98), ("cpu_op", "module: dense", 10, 50),
        ("cpu_op", "aten::linear", 12, 40.5), ("cpu_op", "aten::addmm", 13, 30),
        ("cpu_op", "aten::add", 70, 5), ("cpu_op", "aten::add", 80, 5.001),
    ))  # fmt: skip
    found.self_check()
    assert [w.id for w in found.work] == ["dense/aten::linear#0", "/aten::add#0", "/aten::add#1"]
    assert found.work_ns[:, 0].tolist() == [40_500, 5_000, 5_001]
    assert found.parts_ns[0, 0] == 100_000 - 50_501
    assert found.work[0].inner == ("aten::addmm",)
    assert (found.inside.tolist(), found.outside.tolist()) == ([2, 1, 1, 0], [1, 0, 0, 3])
    assert found.scopes.tolist() == [0, 0, 0, 2]


def test_names_that_run_into_each_other_keep_distinct_ids(tmp_path):
    found = split_torch(kineto(
        tmp_path,
        ("user_annotation", "attrib.step#0", 0, 100),
        ("cpu_op", "module: a", 1, 20), ("cpu_op", "b/c", 2, 10),
        ("cpu_op", "module: a/b", 30, 20), ("cpu_op", "c", 31, 10),
    ))  # fmt: skip
    assert len({w.id for w in found.work}) == 2


def test_neighbors_that_overlap_by_rounding_stay_neighbors(tmp_path):
    found = split_torch(kineto(
        tmp_path,
        ("user_annotation", "attrib.step#0", 0, 100),
        ("cpu_op", "aten::add", 10, 5.001), ("cpu_op", "aten::mul", 15, 5),
    ))  # fmt: skip
    found.self_check()
    assert [w.op for w in found.work] == ["aten::add", "aten::mul"]
    assert found.work_ns[:, 0].tolist() == [5_001, 4_999]


def test_a_trace_without_operators_says_so(tmp_path):
    with pytest.raises(AttribError, match="no operators"):
        split_torch(kineto(tmp_path, ("user_annotation", "attrib.step#0", 0, 100)))


RUN = (("Session", "SequentialExecutor::Execute", 2, 90, 1), ("Session", "model_run", 0, 96, 1))


def test_a_run_is_nodes_executor_session_and_api(tmp_path):
    nodes = (("Node", "a_kernel_time", 10, 30, 1), ("Node", "b_kernel_time", 50, 20, 1))
    found = split_ort(profile(tmp_path, *nodes, *RUN), wall_ns=100_000)
    found.self_check()
    assert found.work_ns[:, 0].tolist() == [30_000, 20_000]
    assert found.parts_ns[:, 0].tolist() == [40_000, 6_000, 4_000]


def test_nodes_of_two_threads_share_the_instants_that_they_overlap(tmp_path):
    nodes = (("Node", "a_kernel_time", 10, 40, 1), ("Node", "b_kernel_time", 30, 40, 2))
    found = split_ort(profile(tmp_path, *nodes, *RUN), wall_ns=96_000)
    found.self_check()
    assert found.work_ns[:, 0].tolist() == [30_000, 30_000]


def test_repeated_and_empty_node_names_keep_distinct_ids(tmp_path):
    names = ("n", "n", "n#1", "")
    nodes = [("Node", f"{name}_kernel_time", 10 + 10 * i, 5, 1) for i, name in enumerate(names)]
    found = split_ort(profile(tmp_path, *nodes, *RUN), wall_ns=96_000)
    ids = [w.id for w in found.work]
    assert len(set(ids)) == len(names)
    assert all(ids)


def test_steps_are_found_by_the_clock_among_warm_up_runs(tmp_path):
    runs = [("Session", "model_run", 1000 * i, 100, 1) for i in range(5)]
    table = profile(tmp_path, *runs)
    timed = [
        TimedStep(7_000_000 + 2_000_000 - 20_000, 150_000, 3),
        TimedStep(7_000_000 + 4_000_000, 150_000, 4),
    ]
    windows = step_windows(table, table.runs().rows, timed, zero=7_000_000)
    assert [(w.start_ns, w.block, w.wall_ns) for w in windows] == [
        (2_000_000, 3, 150_000),
        (4_000_000, 4, 150_000),
    ]


def test_without_recorded_steps_the_cold_one_is_left_out(tmp_path):
    table = profile(tmp_path, *[("Session", "model_run", 1000 * i, 100, 1) for i in range(3)])
    windows = step_windows(table, table.runs().rows, [])
    assert np.array([w.start_ns for w in windows]).tolist() == [1_000_000, 2_000_000]


def test_of_steps_that_nobody_recorded_those_that_did_nothing_are_left_out(tmp_path):
    table = kineto(
        tmp_path,
        ("user_annotation", "ProfilerStep#1", 100, 100),
        ("cpu_op", "aten::mm", 110, 30),
        ("user_annotation", "ProfilerStep#2", 201, 3),
    )
    assert [w.start_ns for w in step_windows(table, table.steps(), [])] == [100_000]


def threads(tmp_path, *events):
    """A trace of `(category, name, start, duration, thread)` in microseconds."""
    rows = [
        {"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": thread, "ts": ts, "dur": dur, "args": {}}
        for cat, name, ts, dur, thread in events
    ]
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"schemaVersion": 1, "baseTimeNanoseconds": 0, "traceEvents": rows}))
    return read_kineto(path)


STEP = ("user_annotation", "ProfilerStep#1", 100, 100, 1)


def test_operators_of_a_thread_for_which_the_step_waits_belong_to_it(tmp_path):
    found = split_torch(
        threads(
            tmp_path, STEP, ("cpu_op", "aten::mm", 110, 10, 1),
            ("cpu_op", "MmBackward0", 130, 10, 2), ("cpu_op", "aten::mm", 132, 5, 2),
        )
    )  # fmt: skip
    found.self_check()
    assert [(w.op, w.inner) for w in found.work] == [("aten::mm", ()), ("MmBackward0", ("aten::mm",))]
    assert found.parts_ns[0, 0] == 80_000


def test_operators_of_a_thread_that_runs_beside_the_step_do_not(tmp_path):
    found = split_torch(
        threads(
            tmp_path, STEP, ("cpu_op", "aten::mm", 110, 10, 1), ("cpu_op", "aten::stack", 105, 10, 2),
            ("cpu_op", "aten::stack", 130, 10, 2),
        )
    )  # fmt: skip
    found.self_check()
    assert [w.op for w in found.work] == ["aten::mm"]
