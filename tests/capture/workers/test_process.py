import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attrib.capture.workers.messages import Calibrate, Calibrated, Finish, Outputs, Written
from attrib.capture.workers.process import Worker, WorkerError, worker_environment
from attrib.errors import InternalError

pytestmark = pytest.mark.engines


@pytest.fixture
def worker(tmp_path):
    started = Worker("onnxruntime", worker_environment(tmp_path, offline=True))
    yield started
    started.stop()


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def test_worker_says_which_engine_it_has(worker):
    import onnxruntime

    assert worker.ready() == onnxruntime.__version__


def test_failure_in_a_worker_is_an_error_here_and_the_worker_lives(worker):
    worker.ready()
    with pytest.raises(WorkerError, match="the session is not open") as caught:
        worker.ask(Outputs(file="x"), Written)
    assert "Traceback" in caught.value.details
    assert worker.ask(Finish(), Written).files == ()


def test_reply_of_another_kind_is_a_bug(worker):
    worker.ready()
    with pytest.raises(InternalError, match="Written"):
        worker.ask(Finish(), Calibrated)


def test_killed_worker_is_reported_and_not_waited_for(worker):
    worker.ready()
    os.kill(worker._process.pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="killed by SIGKILL") as caught:
        worker.ask(Finish(), Written)
    assert "memory" in caught.value.hint


def test_worker_that_cannot_start_shows_its_last_line(tmp_path):
    started = Worker("no-such-engine", worker_environment(tmp_path, offline=True))
    with pytest.raises(WorkerError, match="KeyError: 'no-such-engine'"):
        started.ready()
    started.stop()


def test_who_listens_hears_what_a_worker_prints(tmp_path):
    heard = []

    def hear(engine, line):
        heard.append((engine, line))
        raise BrokenPipeError  # who listened is gone: the worker is read all the same

    # Python complains of these, a line each.
    environment = worker_environment(tmp_path, offline=True) | {"PYTHONWARNINGS": "first,second"}
    started = Worker("no-such-engine", environment, hear=hear)
    with pytest.raises(WorkerError):
        started.ready()
    started.stop()
    assert [engine for engine, _ in heard] == ["no-such-engine"] * 2
    assert "first" in heard[0][1]
    assert "second" in heard[1][1]


def test_stop_ends_the_process_and_can_be_repeated(worker):
    worker.ready()
    worker.stop()
    worker.stop()
    assert not alive(worker._process.pid)


def test_interrupt_of_the_terminal_does_not_reach_a_worker(worker):
    worker.ready()
    os.kill(worker._process.pid, signal.SIGINT)
    assert os.getpgid(worker._process.pid) != os.getpgid(0)
    assert worker.ask(Finish(), Written).files == ()


def test_last_words_skip_replies_that_are_still_due(worker):
    worker.ready()
    worker.send(Outputs(file="x"))
    assert worker.last_words(Finish(), Written, 10) is not None


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_last_words_of_a_dead_worker_are_none(worker, end):
    worker.ready()
    if end == "stopped":
        worker.stop()
    else:
        os.kill(worker._process.pid, signal.SIGKILL)
    assert worker.last_words(Calibrate(chain="", nodes=1), Calibrated, 0.2) is None


ORPHAN = """
import sys, tempfile, time
from pathlib import Path
from attrib.capture.workers.process import Worker, worker_environment
folder = Path(tempfile.mkdtemp(dir=sys.argv[1]))
worker = Worker("onnxruntime", worker_environment(folder, offline=True))
worker.ready()
print(worker._process.pid, folder, flush=True)
time.sleep(60)
"""


def test_worker_of_a_killed_parent_ends_and_removes_the_temporary_folder(tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", ORPHAN, tmp_path], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid, folder = parent.stdout.readline().split()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while alive(int(pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(int(pid))
    assert not Path(folder).exists()


def test_files_of_the_user_do_not_replace_modules_of_a_worker(tmp_path, monkeypatch):
    (tmp_path / "onnxruntime.py").write_text("raise SystemExit('hijacked')")
    (tmp_path / "profile.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "temporary").mkdir()
    started = Worker("onnxruntime", worker_environment(tmp_path / "temporary", offline=True))
    assert started.ready()
    started.stop()
