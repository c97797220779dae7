import json
import os
import subprocess
import sys

import pytest

from attrib.cli.inspect import format_bytes

ROOT_ENVIRONMENT = {
    key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")
}


def inspect(*args, **environment):
    return subprocess.run(
        [sys.executable, "-m", "attrib.cli", "inspect", *map(str, args)],
        capture_output=True,
        timeout=60,
        env=ROOT_ENVIRONMENT | environment,
        check=False,
    )


def profile(*nodes):
    """An ORT profile of one run."""
    lines = [
        {
            "cat": "Node", "pid": 1, "tid": 1, "ph": "X", "name": name, "ts": 10 + i, "dur": 1,
            "args": {"op_name": name, "provider": provider, "node_index": str(i)},
        }
        for i, (name, provider) in enumerate(nodes)
    ]  # fmt: skip
    run = {
        "cat": "Session",
        "pid": 1,
        "tid": 1,
        "ph": "X",
        "name": "model_run",
        "ts": 5,
        "dur": 1500,
        "args": {},
    }
    return json.dumps([*lines, run])


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "profile.json"
    path.write_text(profile(("MatMul", "CPUExecutionProvider"), ("MemcpyToHost", "CUDAExecutionProvider")))
    return path


def test_json_holds_the_documented_keys(trace):
    done = inspect(trace, "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    found = json.loads(done.stdout)
    assert found["format"] == "ort-profile"
    assert found["events"] == 3
    assert found["runs_us"] == [1500]
    assert found["providers"]["CPUExecutionProvider"] == {"nodes": 1, "events": 1, "dur_us": 1}
    assert found["memcpy"]["to_host"] == {"events": 1, "dur_us": 1}
    assert found["gpu"] is None
    assert found["steps"] == []
    assert any("one run only" in warning for warning in found["warnings"])


def test_json_holds_every_operator_and_the_table_the_first_ones(tmp_path):
    path = tmp_path / "profile.json"
    path.write_text(profile(*((f"Op{i:02}", "CPUExecutionProvider") for i in range(60))))
    found = json.loads(inspect(path, "--json").stdout)
    assert {op["name"] for op in found["ops"]} == {f"Op{i:02}" for i in range(60)}
    assert inspect(path).stdout.count(b"Op") < 60


def test_json_is_the_same_every_time(trace):
    assert inspect(trace, "--json").stdout == inspect(trace, "--json", PYTHONHASHSEED="7").stdout


def test_the_summary_is_for_readers(trace):
    done = inspect(trace)
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert "ONNX Runtime profile  profile.json" in text
    assert "1 run: 1.50 ms" in text
    assert "MatMul  (CPU)" in text
    assert "copies to the host: 1, 1 µs" in text
    assert "! one run only" in text
    assert "\x1b" not in text


def test_no_color_is_respected(trace):
    assert b"\x1b[33m" in inspect(trace, FORCE_COLOR="1").stdout
    assert b"\x1b[33m" not in inspect(trace, FORCE_COLOR="1", NO_COLOR="1").stdout


def test_names_cannot_control_the_terminal_or_the_layout(tmp_path):
    names = [
        "\x1b[31mred",
        "[bold]bold[/bold]",
        "[/nonsense]",
        ":smile:",
        "a\r\nb",
        "\u202edlrow",
        "x" * 10_000,
        "</script>",
    ]
    path = tmp_path / "p.json"
    path.write_text(profile(*((name, f"{name}ExecutionProvider") for name in names)))
    done = inspect(path)
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert not {"\x1b", "\r", "\u202e"} & set(text)
    assert "[bold]bold[/bold]" in text
    assert "[/nonsense]" in text
    assert ":smile:" in text
    assert max(map(len, text.splitlines())) <= 80
    assert {use["name"] for use in json.loads(inspect(path, "--json").stdout)["ops"]} == set(names)


def test_a_terminal_without_the_characters_still_gets_the_figures(trace):
    done = inspect(trace, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert b"1.50 ms" in done.stdout


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        (b"", "is empty"),
        (b"hello", "not a trace"),
        (b'[{"ph":"X","ts":1},', "closing ]"),
    ],
)
def test_bad_files_give_one_line_a_cure_and_code_3(tmp_path, content, says):
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_bytes(content)
    done = inspect(path)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 3
    assert done.stdout == b""
    assert len(lines) == 2
    assert lines[0].startswith("attrib: error: ")
    assert says in lines[0]
    assert "bad.json" in lines[0]
    assert lines[1].startswith("  try: ")


def test_a_missing_argument_is_a_usage_error():
    assert inspect().returncode == 2


def kineto(*events):
    """A Kineto trace of (category, name, start, length, thread, arguments) in microseconds."""
    return json.dumps(
        {
            "schemaVersion": 1,
            "traceEvents": [
                {
                    "ph": "X",
                    "cat": cat,
                    "name": name,
                    "ts": start,
                    "dur": dur,
                    "pid": 0,
                    "tid": tid,
                    "args": args,
                }
                for cat, name, start, dur, tid, args in events
            ],
        }
    )


DEVICE = (
    ("user_annotation", "ProfilerStep#1", 0, 40, 9, {}),
    ("cuda_runtime", "cudaLaunchKernel", 1, 2, 9, {"correlation": 1}),
    ("cuda_runtime", "cudaGraphLaunch", 4, 2, 9, {"correlation": 2}),
    ("cuda_runtime", "cudaLaunchKernel", 7, 2, 9, {"correlation": 3}),
    ("cuda_runtime", "cudaDeviceSynchronize", 10, 20, 9, {"correlation": 4}),
    ("kernel", "gemm", 5, 10, 7, {"correlation": 1, "stream": 7}),
    ("kernel", "of graph", 10, 10, 8, {"correlation": 2, "stream": 8}),
    ("gpu_memcpy", "Memcpy DtoH (Device -> Pinned)", 22, 2, 8, {"correlation": 2, "bytes": 3_145_728}),
    ("my_category", "mine", 1, 2, 9, {}),
)


def test_a_device_trace_shows_what_the_device_did(tmp_path):
    path = tmp_path / "t.json"
    path.write_text(kineto(*DEVICE))
    done = inspect(path)
    text = " ".join(done.stdout.decode().split())
    assert (done.returncode, done.stderr) == (0, b"")
    for line in (
        "GPU: 3 events, busy 17 µs (sum over streams 22 µs)",
        "kernels: 2, 20 µs",
        "copies to the host: 1, 2 µs, 3.0 MiB",
        "launches: 3 (1 of graphs, which started 2 GPU events), 1 without work in the trace",
        "ProfilerStep#1 40 µs 3 22 µs 17 µs",
        "Stream Events Time 0/8 2 12 µs 0/7 1 10 µs",
        "Synchronization Events Time cudaDeviceSynchronize 1 20 µs",
        "! 1 event of unknown category my_category: in no figure but the number of events",
    ):
        assert line in text, line
    assert max(map(len, done.stdout.decode().splitlines())) <= 80


def test_json_of_a_device_trace_holds_every_figure(tmp_path):
    path = tmp_path / "t.json"
    path.write_text(kineto(*DEVICE))
    found = json.loads(inspect(path, "--json").stdout)
    assert found["memcpy"] == {"to_host": {"events": 1, "dur_us": 2}, "from_host": {"events": 0, "dur_us": 0}}
    gpu, runtime = found["gpu"], found["runtime"]
    assert (gpu["events"], gpu["sum_us"], gpu["busy_us"]) == (3, 22, 17)
    assert gpu["kernels"] == {"events": 2, "dur_us": 20}
    assert gpu["copies"] == {"to_host": {"events": 1, "dur_us": 2, "bytes": 3_145_728}}
    assert (gpu["fills"], gpu["graph_events"], gpu["without_launch"], gpu["without_node"]) == (
        None,
        2,
        0,
        None,
    )
    assert (runtime["launches"], runtime["graph_launches"], runtime["without_work"]) == (3, 1, 1)
    assert found["unknown"] == {"my_category": {"events": 1, "dur_us": 2}}


def test_a_trace_without_kernels_says_so_and_shows_no_zero(tmp_path):
    path = tmp_path / "t.json"
    path.write_text(kineto(*(event for event in DEVICE if event[0] in ("user_annotation", "cuda_runtime"))))
    text = inspect(path).stdout.decode()
    assert "no kernel times" in text
    assert "GPU" not in text
    found = json.loads(inspect(path, "--json").stdout)
    assert found["gpu"] is None
    assert found["steps"][0]["gpu_events"] is found["steps"][0]["gpu_sum_us"] is None


def test_copies_alone_are_shown_without_kernel_times(tmp_path):
    path = tmp_path / "t.json"
    path.write_text(kineto(*(event for event in DEVICE if event[0] != "kernel")))
    text = inspect(path).stdout.decode()
    assert "GPU: 1 event, busy" in text
    assert "no kernel times" in text
    assert json.loads(inspect(path, "--json").stdout)["gpu"]["kernels"] is None


def test_more_steps_than_a_reader_wants_are_counted(tmp_path):
    path = tmp_path / "t.json"
    path.write_text(kineto(*(("user_annotation", f"ProfilerStep#{i}", 10 * i, 9, 9, {}) for i in range(45))))
    text = inspect(path).stdout.decode()
    assert "(15 further steps)" in text
    assert len(json.loads(inspect(path, "--json").stdout)["steps"]) == 45


def test_kernels_of_an_ort_profile_are_shown_beside_the_nodes(tmp_path):
    path = tmp_path / "p.json"
    events = json.loads(profile(("MatMul", "CUDAExecutionProvider")))
    kernel = {"cat": "Kernel", "pid": -1, "tid": -1, "ph": "X", "name": "gemm", "ts": 12, "dur": 30}
    path.write_text(json.dumps([*events, kernel | {"args": {"parent_name": "MatMul", "stream": "7"}}]))
    text = inspect(path).stdout.decode()
    assert "kernels: 1, 30 µs" in text
    assert "of nodes on CUDAExecutionProvider: 1, 30 µs" in text
    found = json.loads(inspect(path, "--json").stdout)
    assert found["providers"] == {"CUDAExecutionProvider": {"nodes": 1, "events": 1, "dur_us": 1}}
    assert found["gpu"]["without_node"] == 0


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (1023, "1,023 B"), (1024, "1.0 KiB"), (3 << 40, "3.0 TiB"), (5 << 50, "5,120.0 TiB")],
)
def test_bytes_are_in_binary_units(count, shown):
    assert format_bytes(count) == shown
