"""`attrib profile` as a process: exit codes, one line for an error, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

pytestmark = pytest.mark.engines
slow = partial(pytest.param, marks=pytest.mark.slow)
PROFILE = [sys.executable, "-m", "attrib", "profile"]
QUICKLY = ("--launches", "1", "--max-time", "0")

FACTORIES = """
import torch

class Branching(torch.nn.Linear):
    def forward(self, x):
        y = super().forward(x)
        return y * 2 if y.sum() > 0 else y - 1

def linear():
    return torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.GELU()), (torch.randn(8, 64),)

def branching():
    return Branching(16, 16), (torch.randn(4, 16),)

def raising():
    raise ValueError("\\x1b[31mno such\\nlayer")
"""


@pytest.fixture
def workplace(tmp_path):
    (tmp_path / "mine.py").write_text(FACTORIES)
    (tmp_path / "private").mkdir()
    return tmp_path


def environment(workplace):
    root = Path(__file__).parents[2]
    return os.environ | {
        "TMPDIR": str(workplace / "private"), "PYTHONPATH": str(root), "NO_COLOR": "1", "HF_HUB_OFFLINE": "1",
    }  # fmt: skip


def attrib(workplace, *arguments):
    return subprocess.run(
        [*PROFILE, *(() if "--resume" in arguments else QUICKLY), *arguments],
        cwd=workplace, env=environment(workplace), capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def errors(result):
    """Lines of stderr that are neither progress nor warnings."""
    lines = result.stderr.splitlines()
    return [line for line in lines if not line.startswith(("[", "attrib: warning:"))]


def processes_of(workplace):
    """Processes that still run with the private temporary folder of this test."""
    needle = f"TMPDIR={workplace / 'private'}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            try:
                if needle in (entry / "environ").read_bytes():
                    found.append(entry.name)
            except OSError:
                continue
    return found


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--model", "bert-bas-uncased"), 3, "unknown model 'bert-bas-uncased'"),
        (("--model", "mine.py:raising"), 3, r"factory mine.py:raising raised ValueError"),
        (("--model", "mine.py:absent"), 3, "mine.py has no function 'absent'"),
        (("--model", "absent.py:make"), 3, "there is no file absent.py"),
        (("--model", "mine.py:linear", "--precision", "int8"), 2, "int8"),
        (("--model", "mine.py:linear", "--padding", "2"), 2, "--padding"),
        (("--model", "mine.py:linear", "--onnx", "absent.onnx"), 3, "there is no file absent.onnx"),
        (("--model", "mine.py:linear", "--onnx", "mine.py"), 3, "mine.py is not an ONNX model"),
        (("--model", "mine.py:linear", "-o", "mine.py"), 2, "mine.py exists and is not a directory"),
        (("--model", "mine.py:linear", "-o", "."), 2, "not empty"),
        (
            ("--sentence-transformer", "org/model"),
            3,
            "org/model is no directory, and the hub cannot be reached",
        ),
        ((), 2, "--model"),
    ],
)
def test_mistake_is_one_line_with_its_exit_code(workplace, arguments, code, says):
    before = sorted(path.name for path in workplace.iterdir())
    result = attrib(workplace, *arguments)
    assert result.returncode == code
    assert result.stdout == ""
    lines = errors(result)
    assert says in "\n".join(lines)
    assert "Traceback" not in result.stderr
    assert "\x1b" not in result.stderr
    assert len([line for line in lines if line.startswith("attrib: error:")]) == 1 or code == 2
    assert sorted(path.name for path in workplace.iterdir()) == before
    assert list((workplace / "private").iterdir()) == []


def test_traceback_is_shown_to_whoever_asks(workplace, monkeypatch):
    monkeypatch.setenv("ATTRIB_DEBUG", "1")
    assert "Traceback" in attrib(workplace, "--model", "mine.py:raising").stderr


def test_stdout_holds_the_directory_only(workplace):
    result = attrib(workplace, "--model", "mine.py:linear", "-o", "out", "--iterations", "3", "--no-report")
    assert (result.returncode, result.stdout) == (0, "out\n")
    assert errors(result) == []
    assert list((workplace / "private").iterdir()) == []
    again = attrib(workplace, "--model", "mine.py:linear", "-o", "out")
    assert again.returncode == 2
    assert "--force" in again.stderr


@pytest.mark.slow
def test_model_that_cannot_be_exported_is_reported_with_what_there_is(workplace):
    result = attrib(
        workplace, "--model", "mine.py:branching", "-o", "out", "--iterations", "3", "--no-report"
    )
    assert result.returncode == 3
    assert result.stdout == "out\n"
    assert "the dynamo exporter cannot export this model: " in errors(result)[0]
    manifest = json.loads((workplace / "out/manifest.json").read_text())
    assert manifest["sides"]["torch"]["state"] == "complete"
    assert (workplace / "out/torch/trace.json.gz").exists()


def interrupt(workplace, phrase, seconds, number=signal.SIGINT, *, iterations=None, until=lambda: True):
    """Start a capture, wait for a phase and a little longer, or until something is so, and send its process group the
    signal."""
    # So long that it goes on even where this process has to wait for a processor.
    iterations = iterations or ("100000" if "Measuring" in phrase else "3")
    process = subprocess.Popen(
        [*PROFILE, *QUICKLY, "--model", "mine.py:linear", "-o", "out", "--iterations", iterations],
        cwd=workplace, env=environment(workplace), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    head = ""
    while phrase not in head:
        line = process.stderr.readline()
        assert line, head
        head += line
    time.sleep(seconds)
    while not until() and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, number)
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, stderr


@pytest.mark.parametrize(
    ("phrase", "seconds", "phase"),
    [
        slow("Loading the model", 0.0, None),
        slow("Loading the model", 0.5, None),
        slow("Exporting to ONNX", 0.0, "export"),
        slow("Creating the sessions", 0.0, "sessions"),
        slow("Warming up", 0.0, "warm-up"),
        ("Measuring", 0.0, "measure"),
        slow("Measuring", 2.0, "measure"),
        slow("Calibrating", 0.0, "calibrate"),
    ],
)
def test_interruption_leaves_a_usable_directory_and_nothing_else(workplace, phrase, seconds, phase):
    code, stdout, stderr = interrupt(workplace, phrase, seconds)
    assert code == 130, stderr
    assert stdout == ""
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    assert list((workplace / "private").iterdir()) == []
    assert processes_of(workplace) == []
    assert not list(workplace.rglob("*.partial"))
    if phase is None:
        assert not (workplace / "out").exists()
        return
    manifest = json.loads((workplace / "out/manifest.json").read_text())
    assert {entry["name"]: entry["state"] for entry in manifest["phases"]}[phase] == "interrupted"
    assert all((workplace / "out" / entry["path"]).exists() for entry in manifest["files"])


@pytest.mark.slow
def test_interrupted_measurement_keeps_profiles_and_latencies(workplace):
    def one_round_is_over():
        """PyTorch writes a file for each profiled block: of the warm-up, of the first round, of the second."""
        return any((workplace / "private").glob("attrib-*/torch/block-2.json"))

    code, _, stderr = interrupt(workplace, "Measuring", 0.0, iterations="2000", until=one_round_is_over)
    assert code == 130, stderr
    found = {str(path.relative_to(workplace / "out")) for path in (workplace / "out").rglob("*.*")}
    assert {
        "latency/001-001.parquet",
        "torch/trace.json.gz",
        "ort/profile.json.gz",
        "onnx/optimized.onnx",
    } <= found


@pytest.mark.slow
def test_termination_is_treated_like_an_interruption(workplace):
    code, _, _ = interrupt(workplace, "Measuring", 0.5, signal.SIGTERM)
    assert code == 130
    assert list((workplace / "private").iterdir()) == []
    assert processes_of(workplace) == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--resume", "absent"), 3, "does not exist"),
        (("--resume", "private"), 3, "holds no capture that could be resumed"),
        (("--resume", "private", "--seed", "3"), 2, "--seed does not go with --resume"),
        (("--model", "mine.py:linear", "--timeout", "-1"), 2, "--timeout must be at least 0"),
    ],
)
def test_mistake_with_resume_is_one_line(workplace, arguments, code, says):
    result = attrib(workplace, *arguments)
    assert result.returncode == code
    (line,) = [line for line in errors(result) if line.startswith("attrib: error:")]
    assert says in line


@pytest.mark.slow
def test_resume_needs_the_model_named_again_and_the_same(workplace):
    """A directory makes attrib run no code, and another factory is another workload."""
    code, _, stderr = interrupt(workplace, "Measuring", 1.0, signal.SIGKILL, iterations="2000")
    assert code == -signal.SIGKILL, stderr
    before = (workplace / "out/manifest.json").read_bytes()
    unnamed = attrib(workplace, "--resume", "out")
    assert unnamed.returncode == 2
    assert "'mine.py:linear' is not built in" in unnamed.stderr
    assert "attrib profile --resume TRACE_DIR --model" in unnamed.stderr
    other = attrib(workplace, "--resume", "out", "--model", "mine.py:branching")
    assert other.returncode == 3
    assert "the model gets other inputs than in the capture" in other.stderr
    assert (workplace / "out/manifest.json").read_bytes() == before
    assert list((workplace / "private").iterdir()) == []


@pytest.mark.parametrize("phrase", ["Exporting to ONNX", slow("Measuring")])
def test_killed_command_leaves_no_process_and_no_temporary_file(workplace, phrase):
    # A worker sees that its parent is gone when its block ends.
    code, _, _ = interrupt(workplace, phrase, 0.2, signal.SIGKILL, iterations="2000")
    assert code == -signal.SIGKILL
    deadline = time.monotonic() + 30
    while processes_of(workplace) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_of(workplace) == []
    assert list((workplace / "private").iterdir()) == []


@pytest.mark.slow
def test_terminal_sees_phases_and_the_result(workplace):
    """At a terminal the progress is drawn, and it is gone from the lines that stay."""
    import pty

    main, secondary = pty.openpty()
    process = subprocess.Popen(
        [*PROFILE, *QUICKLY, "--model", "mine.py:linear", "-o", "out", "--no-report",
         "--iterations", "3"],
        cwd=workplace, env=environment(workplace) | {"TERM": "xterm"}, stdout=subprocess.PIPE, stderr=secondary,
    )  # fmt: skip
    os.close(secondary)
    seen = b""
    while True:
        try:
            data = os.read(main, 4096)
        except OSError:
            break
        if not data:
            break
        seen += data
    os.close(main)
    assert process.stdout is not None
    assert process.stdout.read() == b"out\n"
    process.stdout.close()
    assert process.wait() == 0
    assert b"Exporting to ONNX" in seen
    assert b"Measuring" in seen
