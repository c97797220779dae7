"""The device figures of recorded traces, against the raw JSON added up without attrib's parsers."""

import gzip
import json
import re
from collections import defaultdict
from decimal import Decimal

import pytest

from attrib.traces import read_trace
from attrib.traces.inspection.summary import summarize

FILES = [
    "kineto_bert_small_h100.json",
    "kineto_t4_fp32.json",
    "large/kineto_mi300x.json.gz",
    "large/kineto_rocm_graph_capture.json.gz",
]
WORK = ("kernel", "gpu_memcpy", "gpu_memset")
DIRECTIONS = {"DtoH": "to_host", "HtoD": "from_host", "DtoD": "on_device"}
LAUNCH = re.compile(r"(cuda|cu|hip)(Ext)?(Module)?(Graph)?Launch(Kernel(ExC)?)?")


def events_of(path):
    data = path.read_bytes()
    raw = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data, parse_float=Decimal)
    wanted = (*WORK, "cuda_runtime", "cuda_driver", "cuda_sync", "user_annotation")
    return [event for event in raw["traceEvents"] if event["ph"] == "X" and event["cat"] in wanted]


def work_of(events):
    return [event for event in events if event["cat"] in WORK]


def union(events):
    busy = end = Decimal(0)
    for start, length in sorted((Decimal(event["ts"]), Decimal(event["dur"])) for event in events):
        busy += max(start + length - max(start, end), 0)
        end = max(end, start + length)
    return busy


@pytest.fixture(scope="module", params=FILES)
def recorded(request, shared_traces):
    path = shared_traces / request.param
    if not path.is_file():
        pytest.skip(f"the recorded trace {request.param} is not in {shared_traces}")
    return events_of(path), summarize(read_trace(path))


def exact(microseconds):
    return Decimal(str(microseconds))


def test_sums_and_the_union_are_those_of_the_file(recorded):
    events, found = recorded
    work = work_of(events)
    kernels = [event for event in work if event["cat"] == "kernel"]
    assert (found.gpu.events, found.gpu.kernels.events) == (len(work), len(kernels))
    assert exact(found.gpu.sum_us) == sum(event["dur"] for event in work)
    assert exact(found.gpu.kernels.dur_us) == sum(event["dur"] for event in kernels)
    assert exact(found.gpu.busy_us) == union(work)


def test_copies_are_those_of_the_file_by_direction_with_their_bytes(recorded):
    events, found = recorded
    expected = defaultdict(lambda: [0, Decimal(0), 0])
    for event in events:
        if event["cat"] == "gpu_memcpy":
            use = expected[DIRECTIONS[event["name"].split()[1]]]
            use[0] += 1
            use[1] += event["dur"]
            use[2] += int(event["args"]["bytes"])
    assert {
        direction: [use.events, exact(use.dur_us), use.bytes] for direction, use in found.gpu.copies.items()
    } == expected
    fills = [event for event in events if event["cat"] == "gpu_memset"]
    assert (found.gpu.fills.events if found.gpu.fills else 0) == len(fills)


def test_streams_are_those_of_the_file(recorded):
    events, found = recorded
    expected = defaultdict(int)
    for event in work_of(events):
        expected[f"{event['pid']}/{event['tid']}"] += 1
    assert {use.name: use.events for use in found.gpu.streams} == expected


def test_launches_and_work_without_each_other_are_those_of_the_file(recorded):
    events, found = recorded
    calls = [event for event in events if event["cat"] in ("cuda_runtime", "cuda_driver")]
    launching = [event for event in calls if LAUNCH.fullmatch(event["name"])]
    known, born = ({event["args"]["correlation"] for event in some} for some in (calls, work_of(events)))
    assert found.runtime.calls.events == len(calls)
    assert found.runtime.launches == len(launching)  # in none of these files does one lie in another
    assert found.runtime.without_work == sum(event["args"]["correlation"] not in born for event in launching)
    assert found.gpu.without_launch == sum(
        event["args"]["correlation"] not in known for event in work_of(events)
    )


def test_synchronizations_are_those_of_the_file(recorded):
    events, found = recorded
    expected = defaultdict(lambda: [0, Decimal(0)])
    for event in events:
        if event["cat"] in ("cuda_runtime", "cuda_driver", "cuda_sync") and "Synchronize" in event["name"]:
            expected[event["name"]][0] += 1
            expected[event["name"]][1] += event["dur"]
    assert {use.name: [use.events, exact(use.dur_us)] for use in found.runtime.synchronizations} == expected


def test_steps_hold_what_they_launched_whenever_it_ran(recorded):
    events, found = recorded
    launched_at = {
        event["args"]["correlation"]: event["ts"] for event in events if event["cat"] in ("cuda_runtime", "cuda_driver")
    }  # fmt: skip
    steps = sorted(
        (event["ts"], event["ts"] + event["dur"], event["name"])
        for event in events
        if event["cat"] == "user_annotation" and event["name"].startswith("ProfilerStep#")
    )
    assert [step.name for step in found.steps] == [name for _, _, name in steps]
    for (start, end, _), step in zip(steps, found.steps, strict=True):
        own = [
            event for event in work_of(events)
            if start <= launched_at.get(event["args"]["correlation"], start - 1) <= end
        ]  # fmt: skip
        assert (step.gpu_events, exact(step.gpu_sum_us)) == (len(own), sum(event["dur"] for event in own))
        assert exact(step.gpu_busy_us) == union(own)
        assert step.kernels == sum(event["cat"] == "kernel" for event in own)


def test_every_category_of_a_recorded_trace_is_known(recorded):
    _, found = recorded
    assert found.unknown == {}


def test_a_graphs_capture_launches_what_does_not_run(shared_traces):
    path = shared_traces / "large/kineto_rocm_graph_capture.json.gz"
    if not path.is_file():
        pytest.skip(f"the recorded trace {path.name} is not in {path.parent}")
    found = summarize(read_trace(path))
    assert found.runtime.without_work == found.runtime.launches - found.gpu.kernels.events
    assert any("a graph's capture" in warning for warning in found.warnings)


def test_a_recorded_trace_without_a_device_has_null_for_it(shared_traces):
    found = summarize(read_trace(shared_traces / "kineto_cpu_only_cut.json"))
    assert (found.gpu, found.runtime, found.unknown) == (None, None, {})
