import json
import os
import subprocess
import sys

import pytest

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
