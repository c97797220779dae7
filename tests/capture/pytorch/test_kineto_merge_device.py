"""Device rows, and what ties a kernel to its call, where several blocks become one file."""

import io
import json

import pytest

from attrib.capture.pytorch.kineto_merge import merge_kineto
from attrib.traces import read_kineto
from attrib.traces.recording.intervals import NONE, union_ns

BASE = 1_790_857_026_000_000_000
RECORDED = ("kineto_bert_small_h100.json", "kineto_t4_fp32.json")


def block(path, start, correlations, base=BASE):
    """One launch and one kernel a correlation number, ten microseconds apart."""
    events = [
        {"ph": "M", "name": "process_labels", "ts": 1, "pid": 0, "tid": 0, "args": {"labels": "GPU 0"}},
        {"ph": "M", "name": "process_labels", "ts": 1, "pid": 7, "tid": 0, "args": {"labels": "GPU 0 of Ada"}},
        {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "pid": 7, "tid": 7, "ts": start, "dur": 9,
         "args": {"External id": 3, "Ev Idx": 0}},
    ]  # fmt: skip
    for i, number in enumerate(correlations):
        at = start + 10 * i
        events += [
            {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 7, "tid": 7, "ts": at, "dur": 2,
             "args": {"cbid": 211, "correlation": number, "External id": 3}},
            {"ph": "s", "id": number, "pid": 7, "tid": 7, "ts": at, "cat": "ac2g", "name": "ac2g"},
            {"ph": "X", "cat": "kernel", "name": f"kernel {at}", "pid": 0, "tid": 7, "ts": at + 5, "dur": 3,
             "args": {"correlation": number, "External id": 3, "stream": 7, "device": 0}},
            {"ph": "f", "id": number, "pid": 0, "tid": 7, "ts": at + 5, "cat": "ac2g", "name": "ac2g", "bp": "e"},
        ]  # fmt: skip
    top = {"schemaVersion": 1, "deviceProperties": [{"id": 0, "name": "NVIDIA"}], "baseTimeNanoseconds": base}
    path.write_text(json.dumps(top | {"traceEvents": events}))
    return path


def merged(folder, *files):
    stream = io.BytesIO()
    merge_kineto(files, stream)
    file = folder / "merged.json"
    file.write_bytes(stream.getvalue())
    return read_kineto(file), json.loads(stream.getvalue())["traceEvents"]


def launch_distances(table):
    work = table.device_work()
    launches = table.launch_of(work)
    assert NONE not in launches
    return (table.start_ns[work] - table.start_ns[launches]).tolist()


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param(([5, 6, 7], [5, 6, 7], [5, 6, 7]), id="each begins anew"),
        pytest.param(([5, 6, 7], [8, 9, 10], [11, 12]), id="they go on"),
        pytest.param(([50, 60], [1, 2, 3], [40, 55]), id="they overlap"),
    ],
)
def test_each_kernel_keeps_the_launch_of_its_own_block(tmp_path, numbers):
    files = [block(tmp_path / str(i), 1000 * (i + 1), correlations) for i, correlations in enumerate(numbers)]
    table, _ = merged(tmp_path, *files)
    assert launch_distances(table) == [5000] * sum(map(len, numbers))


def test_arrows_follow_their_numbers(tmp_path):
    _, events = merged(tmp_path, block(tmp_path / "a", 1000, [5, 6]), block(tmp_path / "b", 2000, [5, 6]))
    arrows = {(e["ph"], e["id"], e["ts"]) for e in events if e.get("cat") == "ac2g"}
    tied = {("s" if e["cat"] == "cuda_runtime" else "f", e["args"]["correlation"], e["ts"])
            for e in events if e.get("cat") in ("cuda_runtime", "kernel")}  # fmt: skip
    assert arrows == tied
    assert len(arrows) == 8


def test_numbers_that_go_on_are_copied_unread(tmp_path):
    _, events = merged(tmp_path, block(tmp_path / "a", 1000, [5, 6]), block(tmp_path / "b", 2000, [7, 8]))
    assert [e["args"]["correlation"] for e in events if e.get("cat") == "kernel"] == [5, 6, 7, 8]


def test_numbers_move_with_another_base_time(tmp_path):
    files = block(tmp_path / "a", 1000, [5]), block(tmp_path / "b", 1000, [5], base=BASE + 4_000_500)
    table, _ = merged(tmp_path, *files)
    assert launch_distances(table) == [5000, 5000]
    assert sorted(table.start_ns[table.device_work()] - BASE) == [1_005_000, 5_005_500]


def test_row_of_the_device_keeps_its_label_and_nobody_else_does(tmp_path):
    _, events = merged(tmp_path, block(tmp_path / "a", 1000, [5]), block(tmp_path / "b", 2000, [5]))
    labels = [(e["pid"], e["args"]["labels"]) for e in events if e["name"] == "process_labels"]
    assert labels == [(0, "GPU 0"), (7, "")]


def test_host_numbers_stay_where_there_is_no_device(tmp_path):
    def host_only(path):
        event = {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "pid": 7, "tid": 7, "ts": 5, "dur": 9,
                 "args": {"External id": 3, "Ev Idx": 0}}  # fmt: skip
        top = {"schemaVersion": 1, "baseTimeNanoseconds": BASE, "traceEvents": [event]}
        path.write_text(json.dumps(top))
        return path

    _, events = merged(tmp_path, host_only(tmp_path / "a"), host_only(tmp_path / "b"))
    assert [e["args"]["External id"] for e in events if e.get("cat") == "cpu_op"] == [3, 3]


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_block_twice_is_twice_the_work(shared_traces, tmp_path, name):
    """The worst case: a block whose numbers and times are all those of the block before."""
    one = read_kineto(shared_traces / name)
    table, _ = merged(tmp_path, shared_traces / name, shared_traces / name)
    work, single = table.device_work(), one.device_work()
    assert work.size == 2 * single.size
    assert table.duration_ns[work].sum() == 2 * one.duration_ns[single].sum()
    busy = union_ns(table.start_ns[work], table.duration_ns[work])
    assert busy == union_ns(one.start_ns[single], one.duration_ns[single])
    launches = table.launch_of(work)
    once = one.launch_of(single)
    assert (launches != NONE).sum() == 2 * (once != NONE).sum()
    known = launches[launches != NONE]
    assert len(set(known.tolist())) == 2 * len(set(once[once != NONE].tolist()))
