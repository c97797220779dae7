"""Small timelines of a host and a device, split by hand and by attrib."""

import numpy as np

from tests.analysis.attribution.device.timelines import Split, Trace


def one_step(length=1000, *, mul=(400, 100)):
    """A step of two calls: `aten::linear` from 100 to 200 and `aten::mul`."""
    trace = Trace()
    trace.step(0, 0, length)
    trace.call("aten::linear", 100, 100)
    trace.call("aten::mul", *mul)
    return trace


def test_a_kernel_belongs_to_the_call_that_launched_it_whenever_it_runs():
    trace = one_step()
    trace.launch(120, 450, 200)
    found = Split(trace)
    assert found.unit("aten::linear") == {"kernel": 200, "idle": 20 + 330}
    assert found.unit("aten::mul") == {}
    assert found.part("torch dispatch") == 100 + 350
    assert found.partition.split.names == (("gemm<float>",), ())


def test_an_instant_of_several_streams_is_shared_equally():
    trace = one_step()
    trace.launch(110, 200, 100, stream=1)
    trace.launch(130, 250, 100, stream=2)
    trace.launch(410, 250, 50, stream=3)
    found = Split(trace)
    kernels = found.partition.split.work_ns["kernel"][:, 0].tolist()
    assert kernels == [50 + 33 + 50, 17] or kernels == [50 + 34 + 50, 16]
    assert found.partition.split.kernels_ns[:, 0].tolist() == [200, 50]
    assert found.partition.split.busy_ns.tolist() == [150]
    assert found.partition.device.busy_ns.tolist() == [150]


def test_a_gap_belongs_to_the_host_until_the_launch_and_to_the_launch_from_then_on():
    trace = one_step()
    trace.launch(110, 150, 100)
    trace.launch(450, 480, 100)
    found = Split(trace)
    assert found.unit("aten::linear") == {"kernel": 100, "idle": 10 + 40}
    assert found.unit("aten::mul") == {"kernel": 100, "idle": 50 + 30}
    assert found.part("torch dispatch") == 100 + 150 + 420


def test_between_kernels_that_were_launched_in_time_the_gap_is_the_next_launchs():
    trace = one_step()
    trace.launch(110, 500, 100)
    trace.launch(420, 620, 100)
    found = Split(trace)
    assert found.unit("aten::mul") == {"kernel": 100, "idle": 20}
    assert found.unit("aten::linear") == {"kernel": 100, "idle": 10 + 390}


def test_waiting_and_allocating_are_told_from_launching():
    trace = one_step()
    trace.launch(110, 130, 10)
    trace.runtime("cudaStreamSynchronize", 140, 40)
    trace.runtime("cudaMalloc", 300, 50)
    trace.runtime("cudaFree", 410, 30)
    trace.runtime("cudaDeviceSynchronize", 900, 60)
    trace.runtime("cudaEventRecord", 450, 10)
    found = Split(trace)
    assert found.unit("aten::linear") == {"kernel": 10, "sync": 40, "idle": 10 + 20 + 20}
    assert found.unit("aten::mul") == {"allocation": 30, "idle": 70}
    assert found.part("device memory allocation") == 50
    assert found.part("waiting for the device") == 60


def test_copies_are_told_by_direction_with_the_call_that_waits_for_them():
    trace = one_step()
    trace.launch(
        110, 130, 20, call="cudaMemcpyAsync", kind="copy", name="Memcpy DtoH (Device -> Pageable)", size=64
    )
    trace.runtime("cudaStreamSynchronize", 160, 20)
    trace.launch(410, 420, 10, call="cudaMemsetAsync", kind="fill", size=32)
    trace.launch(600, 620, 30, call="cudaMemcpyAsync", kind="copy")
    found = Split(trace)
    told = {
        (use.direction, use.cause, use.owner, use.launch, use.sync): [int(c[0]) for c in (use.count, use.ns, use.bytes)]
        for use in found.partition.split.copies
    }  # fmt: skip
    assert told == {
        ("DtoH", "call", "/aten::linear#0", "cudaMemcpyAsync", "cudaStreamSynchronize"): [1, 20, 64],
        ("memset", "call", "/aten::mul#0", "cudaMemsetAsync", ""): [1, 10, 32],
        ("HtoD", "elsewhere", "copies outside operators", "cudaMemcpyAsync", ""): [1, 30, 0],
    }
    assert found.unit("aten::linear")["copy"] == 20
    assert found.part("copies outside operators") == 30 + 20
    assert found.partition.device.copies_ns.tolist() == [60]


def test_a_replayed_graph_is_one_launch_of_which_no_operator_is_known():
    trace = one_step()
    graph = trace.runtime("cudaGraphLaunch", 600, 20)
    for start in (650, 700, 710):
        trace.device(start, 30, correlation=graph, stream=start % 8)
    found = Split(trace)
    assert found.part("graph replay") == 50 + 90 - 20 + 20
    assert found.partition.split.kernels.sum() == 0
    assert any("3 kernels and copies ran in replays" in warning for warning in found.partition.warnings)


def test_a_graph_launched_inside_a_call_belongs_to_that_call():
    trace = one_step()
    graph = trace.runtime("cudaGraphLaunch", 110, 20)
    trace.device(150, 30, correlation=graph)
    trace.device(190, 30, correlation=graph)
    found = Split(trace)
    assert found.unit("aten::linear") == {"kernel": 60, "idle": 10 + 40 + 10}
    assert found.partition.split.kernels[:, 0].tolist() == [2, 0]


def test_work_without_a_launching_call_has_a_part_of_its_own():
    trace = one_step()
    trace.device(300, 50)
    trace.device(700, 50, correlation=99)
    found = Split(trace)
    assert found.part("work without a launch") == 100
    assert any(
        "2 kernels and copies have no launching call" in warning for warning in found.partition.warnings
    )


def test_kernels_launched_outside_calls_and_on_other_threads_are_not_given_to_a_call():
    trace = one_step()
    trace.launch(620, 640, 30)
    trace.launch(150, 700, 40, tid=2)
    trace.launch(110, 130, 10)
    found = Split(trace)
    assert found.part("kernels outside operators") == 20 + 30 + 30 + 40
    assert found.unit("aten::linear")["kernel"] == 10


def test_kernels_launched_before_the_step_are_not_its_work_and_late_ones_are_clipped():
    trace = Trace()
    trace.step(0, 0, 1000)
    trace.call("aten::mul", 100, 100)
    trace.step(1, 1000, 1000)
    trace.call("aten::mul", 1100, 100)
    trace.launch(150, 900, 300)
    trace.launch(1150, 1500, 100)
    found = Split(trace)
    assert found.unit("aten::mul", 0) == {"kernel": 100, "idle": 50 + 750}
    assert found.part("work of another step", 1) == 200
    assert found.unit("aten::mul", 1) == {"kernel": 100, "idle": 300}
    assert found.partition.device.kernels_ns.tolist() == [300, 100]
    assert any("behind the end of the step" in warning for warning in found.partition.warnings)


def test_a_kernel_that_seems_to_start_before_its_launch_leaves_no_negative_gap():
    trace = one_step()
    trace.launch(150, 140, 30)
    found = Split(trace)
    assert found.unit("aten::linear") == {"kernel": 30, "idle": 40 + 30}
    assert min(ns.min() for ns in found.partition.split.work_ns.values()) == 0


def test_one_correlation_is_not_shared_between_steps():
    trace = one_step()
    trace.launch(110, 130, 10)
    found = Split(trace)
    assert found.assigned.step.tolist() == [0]
    assert found.assigned.owner.tolist() == [0]


def test_lanes_show_the_host_and_every_stream_and_cover_the_step():
    trace = one_step()
    trace.launch(110, 150, 100, stream=3)
    trace.launch(120, 200, 100, stream=4)
    trace.launch(410, 230, 40, stream=3)
    lanes = Split(trace).partition.lanes
    assert [(lane.kind, lane.name) for lane in lanes.lanes] == [
        ("host", "host"), ("device", "stream 3"), ("device", "stream 4"),
    ]  # fmt: skip
    assert int(lanes.lanes[0].duration_ns.sum()) == lanes.wall_ns == 1000
    for lane in lanes.lanes:
        ends = lane.start_ns + lane.duration_ns
        assert (lane.start_ns[1:] >= ends[:-1]).all()
    assert lanes.lanes[1].owner.tolist() == [0, 1]
    assert lanes.lanes[1].duration_ns.tolist() == [100, 20]


def test_more_kernels_at_a_time_than_fit_a_common_denominator_are_still_exact():
    trace = one_step(10_000, mul=(400, 9000))
    for i in range(90):
        trace.launch(410 + i, 500 + i, 7000 + 13 * i, stream=i)
    found = Split(trace)
    assert found.unit("aten::mul")["kernel"] == found.partition.split.busy_ns[0] == 89 + 7000 + 13 * 89
    assert found.partition.split.kernels_ns[1, 0] == sum(7000 + 13 * i for i in range(90))
    assert np.all(found.partition.work_ns >= 0)


def test_of_kernels_that_start_together_the_one_launched_first_ends_the_gap():
    found = []
    for order in (1, -1):
        trace = one_step()
        for launched, stream in ((110, 1), (410, 2))[::order]:
            trace.launch(launched, 450, 50, stream=stream)
        found.append(Split(trace))
    for split in found:
        assert split.unit("aten::linear") == {"kernel": 25, "idle": 10 + 340}
        assert split.unit("aten::mul") == {"kernel": 25}


def test_much_time_of_kernels_outside_operators_is_said():
    trace = one_step()
    trace.launch(620, 640, 30)
    assert any("100 % of the device's time" in warning for warning in Split(trace).partition.warnings)
