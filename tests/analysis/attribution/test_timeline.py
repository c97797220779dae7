"""The typical step, segment by segment: where each lies, that nothing is lost, and that merging keeps every sum."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrib.analysis.attribution.host.lanes import find_typical
from attrib.analysis.attribution.host.ort_partition import ort_steps
from attrib.analysis.attribution.host.torch_partition import torch_steps
from attrib.analysis.attribution.partitions import TimedStep, step_windows
from attrib.analysis.attribution.timeline import LaneSegments, compact, timelines_of
from attrib.api import load
from attrib.model.timeline import Lane
from attrib.traces import read_kineto, read_ort_profile

SAMPLES = ("bert-base-uncased", "distilbert-base-uncased")


def torch_lanes(tmp_path, *events):
    """Lanes of a trace of `(category, name, start, duration)` in microseconds on one thread."""
    rows = [
        {"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": 1, "ts": ts, "dur": dur, "args": {}}
        for cat, name, ts, dur in events
    ]
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"schemaVersion": 1, "baseTimeNanoseconds": 0, "traceEvents": rows}))
    table = read_kineto(path)
    return torch_steps(table, step_windows(table, table.steps(), [TimedStep(0, 10**9, 0)])).partition


def split_ort(tmp_path, *events, wall_ns):
    """Partition of a profile of `(category, name, start, duration, thread)` in microseconds."""
    rows = [
        {
            "cat": cat, "pid": 1, "tid": thread, "dur": dur, "ts": ts, "ph": "X", "name": name,
            "args": {"op_name": "Add", "provider": "CPUExecutionProvider", "node_index": "0"} if cat == "Node" else {},
        }
        for cat, name, ts, dur, thread in events
    ]  # fmt: skip
    path = tmp_path / "profile.json"
    path.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]")
    table = read_ort_profile(path)
    return ort_steps(
        table, step_windows(table, table.runs().rows, [TimedStep(100_000, wall_ns, 0)])
    ).partition


def pieces(partition, lane: Lane) -> list[tuple[str, int, int]]:
    """Name, start and end of each segment in microseconds."""
    names = [*(work.id for work in partition.work), *partition.parts]
    columns = zip(lane.owner.tolist(), lane.start_ns.tolist(), lane.duration_ns.tolist(), strict=True)
    return [(names[owner], start // 1000, (start + length) // 1000) for owner, start, length in columns]


def owned(partition) -> np.ndarray:
    """Sum of the durations of each owner's segments in all lanes."""
    found = np.zeros(len(partition.work) + len(partition.parts), dtype=np.int64)
    for lane in partition.lanes.lanes:
        np.add.at(found, lane.owner, lane.duration_ns)
    return found


def of_that_step(partition) -> np.ndarray:
    """What the partition says of the step that is shown."""
    step = partition.lanes.step
    return np.concatenate([partition.work_ns[:, step], partition.parts_ns[:, step]])


def check_lane(lane: Lane, wall_ns: int) -> None:
    ends = lane.start_ns + lane.duration_ns
    assert (lane.duration_ns > 0).all()
    assert (lane.start_ns[1:] >= ends[:-1]).all()
    assert lane.start_ns[0] >= 0
    assert ends[-1] <= wall_ns


def test_calls_lie_where_they_ran_and_dispatch_lies_between_them(tmp_path):
    found = torch_lanes(
        tmp_path,
        ("user_annotation", "attrib.step#0", 0, 100),
        ("cpu_op", "aten::linear", 12, 40), ("cpu_op", "aten::addmm", 13, 30), ("cpu_op", "aten::add", 70, 30),
    )  # fmt: skip
    (lane,) = found.lanes.lanes
    dispatch = "torch dispatch"
    assert pieces(found, lane) == [
        (dispatch, 0, 12), ("/aten::linear#0", 12, 52), (dispatch, 52, 70), ("/aten::add#0", 70, 100),
    ]  # fmt: skip


def test_overlapping_calls_are_cut_as_the_partition_cuts_them(tmp_path):
    found = torch_lanes(
        tmp_path,
        ("user_annotation", "attrib.step#0", 0, 100),
        ("cpu_op", "aten::mul", 10, 20.005), ("cpu_op", "aten::add", 30, 5), ("cpu_op", "aten::sub", 90, 20),
    )  # fmt: skip
    check_lane(found.lanes.lanes[0], 100_000)
    assert owned(found).tolist() == of_that_step(found).tolist()


def test_nodes_lie_in_their_executor_in_their_run_and_the_api_behind_it(tmp_path):
    found = split_ort(
        tmp_path,
        ("Node", "a_kernel_time", 110, 20, 1), ("Node", "b_kernel_time", 135, 10, 1),
        ("Session", "SequentialExecutor::Execute", 105, 50, 1), ("Session", "model_run", 100, 60, 1),
        wall_ns=90_000,
    )  # fmt: skip
    (lane,) = found.lanes.lanes
    assert pieces(found, lane) == [
        ("ort session", 0, 5), ("ort executor", 5, 10), ("a", 10, 30), ("ort executor", 30, 35), ("b", 35, 45),
        ("ort executor", 45, 55), ("ort session", 55, 60), ("ort api", 60, 90),
    ]  # fmt: skip


def test_a_node_that_runs_a_graph_owns_what_its_nodes_leave(tmp_path):
    found = split_ort(
        tmp_path,
        ("Node", "if_kernel_time", 100, 50, 1), ("Session", "SequentialExecutor::Execute", 110, 30, 1),
        ("Node", "inner_kernel_time", 115, 10, 1), ("Session", "SequentialExecutor::Execute", 100, 60, 1),
        ("Session", "model_run", 100, 60, 1),
        wall_ns=60_000,
    )  # fmt: skip
    assert pieces(found, found.lanes.lanes[0]) == [
        ("if", 0, 15), ("inner", 15, 25), ("if", 25, 50), ("ort executor", 50, 60),
    ]  # fmt: skip
    assert owned(found).tolist() == of_that_step(found).tolist()


def test_every_thread_of_a_parallel_executor_has_a_lane(tmp_path):
    found = split_ort(
        tmp_path,
        ("Node", "a_kernel_time", 100, 40, 1), ("Node", "b_kernel_time", 120, 20, 2),
        ("Node", "c_kernel_time", 145, 5, 2), ("Session", "ParallelExecutor::Execute", 100, 55, 1),
        ("Session", "model_run", 100, 60, 1),
        wall_ns=60_000,
    )  # fmt: skip
    caller, other = found.lanes.lanes
    assert pieces(found, other) == [("b", 20, 40), ("c", 45, 50)]
    assert pieces(found, caller)[0] == ("a", 0, 40)
    assert [lane.name for lane in (caller, other)] == ["host", "thread 2"]


nodes_inside = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40)), min_size=1, max_size=12)


@given(nodes=nodes_inside, before=st.integers(0, 9), behind=st.integers(0, 9), api=st.integers(0, 50))
def test_on_one_thread_the_segments_tile_the_step_and_sum_to_the_partition(
    tmp_path_factory, nodes, before, behind, api
):
    at, events = 100 + before, []
    for number, (gap, length) in enumerate(nodes):
        events.append(("Node", f"n{number}_kernel_time", at + gap, length, 1))
        at += gap + length
    events += [
        ("Session", "SequentialExecutor::Execute", 100 + before, at - 100 - before, 1),
        ("Session", "model_run", 100, at + behind - 100, 1),
    ]
    wall = 1000 * (at + behind - 100 + api)
    if at + behind == 100:
        return
    found = split_ort(tmp_path_factory.mktemp("steps"), *events, wall_ns=wall)
    (lane,) = found.lanes.lanes
    if not wall:
        return
    check_lane(lane, wall)
    assert int(lane.duration_ns.sum()) == wall == found.lanes.wall_ns
    assert owned(found).tolist() == of_that_step(found).tolist()


@pytest.mark.parametrize(("walls", "position"), [([5], 0), ([9, 1, 5], 2), ([4, 6, 5, 5], 2), ([1, 3], 0)])
def test_the_typical_step_is_the_one_nearest_to_the_median(walls, position):
    assert find_typical(np.array(walls)) == position


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_samples_give_every_segment_inside_its_step_with_its_name(root, sample):
    analysis = load(root / "sample_traces" / sample)
    for role, partition in analysis.partitions.items():
        assert owned(partition).tolist() == of_that_step(partition).tolist()
        told = analysis.document.timeline[role]
        (lane,) = told.lanes
        check_lane(partition.lanes.lanes[0], told.wall_ns)
        assert (sum(lane.durations_ns), lane.gaps_ns, lane.counts) == (told.wall_ns, (), ())
        ids = [
            told.parts[-1 - item]
            if item < 0
            else (row.torch_calls if role == "torch" else row.onnx_nodes)[item]
            for row, item in zip((analysis.document.ledger[r] for r in lane.rows), lane.items, strict=True)
        ]
        names = [*(work.id for work in partition.work), *partition.parts]
        assert ids == [names[owner] for owner in partition.lanes.lanes[0].owner]


def test_regions_of_the_timeline_sum_to_what_the_partition_says_of_that_step(root):
    analysis = load(root / "sample_traces" / "distilbert-base-uncased")
    partition, told = analysis.partitions["onnxruntime"], analysis.document.timeline["onnxruntime"]
    region_of = {node: region.id for region in analysis.regions for node in region.nodes}
    expected: dict[str, int] = {}
    for work, ns in zip(partition.work, partition.work_ns[:, partition.lanes.step].tolist(), strict=True):
        expected[region_of[work.id]] = expected.get(region_of[work.id], 0) + ns
    found: dict[str, int] = {}
    lane = told.lanes[0]
    for place, item, ns in zip(lane.rows, lane.items, lane.durations_ns, strict=True):
        if item >= 0:
            region = analysis.document.ledger[place].region
            found[region] = found.get(region, 0) + ns
    assert found == {region: ns for region, ns in expected.items() if ns}


def segments(lengths: list[tuple[int, int]]) -> LaneSegments:
    gaps, durations = np.array(lengths, dtype=np.int64).reshape(-1, 2).T
    count = len(durations)
    return LaneSegments(
        gaps=gaps, durations=durations, rows=np.arange(count), items=np.zeros(count, dtype=np.int64),
        labels=np.full(count, -1), counts=np.ones(count, dtype=np.int64), busy=durations,
    )  # fmt: skip


lanes_of_segments = st.lists(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 10**6)), max_size=60), min_size=1, max_size=4
)


@given(lanes=lanes_of_segments, most=st.integers(1, 40))
def test_merging_keeps_every_sum_the_order_and_the_limit(lanes, most):
    before = [segments(lane) for lane in lanes]
    after = compact(before, most)
    assert sum(len(lane.durations) for lane in after) <= max(most, len(lanes))
    for old, new in zip(before, after, strict=True):
        assert int(new.counts.sum()) == len(old.durations)
        assert int(new.busy.sum()) == int(old.durations.sum())
        assert int((new.gaps + new.durations).sum()) == int((old.gaps + old.durations).sum())
        assert (new.busy <= new.durations).all()
        starts = set((np.cumsum(old.gaps + old.durations) - old.durations).tolist())
        assert set((np.cumsum(new.gaps + new.durations) - new.durations).tolist()) <= starts
        single = new.counts == 1
        assert (old.durations[new.rows[single]] == new.durations[single]).all()
        assert (new.rows[~single] == -1).all()


@given(lanes=lanes_of_segments)
def test_what_fits_is_left_as_it_is(lanes):
    before = [segments(lane) for lane in lanes]
    after = compact(before, sum(map(len, lanes)))
    assert all(one is other for one, other in zip(before, after, strict=True))


def test_only_small_neighbors_are_merged():
    (found,) = compact([segments([(0, 5), (0, 900), *[(1, 2)] * 6, (0, 800), (0, 3)])], 6)
    assert found.counts.tolist() == [1, 1, 6, 1, 1] or found.counts.max() <= 6
    assert {900, 800} <= set(found.durations.tolist())


def test_merged_segments_of_one_row_keep_it():
    lane = segments([(0, 1)] * 8)
    same = LaneSegments(
        **{name: getattr(lane, name) for name in LaneSegments.__slots__} | {"rows": np.full(8, 3)}
    )
    (found,) = compact([same], 2)
    assert set(found.rows.tolist()) == {3}
    assert found.counts.sum() == 8


def test_a_step_of_many_segments_is_bounded(root):
    analysis = load(root / "sample_traces" / "distilbert-base-uncased")
    found = timelines_of(analysis.partitions, analysis.document.ledger, most=100)
    for role, step in found.items():
        (lane,) = step.lanes
        partition = analysis.partitions[role]
        assert len(lane.durations_ns) <= 100
        assert sum(lane.durations_ns) == step.wall_ns
        assert sum(lane.counts) == len(partition.lanes.lanes[0].owner)
        assert sum(lane.busy_ns) == int(partition.lanes.lanes[0].duration_ns.sum())
