"""The bench with real engines: it finds no difference where there is none, and survives what a variant does."""

import os
import tempfile
import time
from pathlib import Path

import msgspec
import pytest

from attrib.analysis.attribution.ledger.headline import paired_difference
from attrib.capture import CaptureOptions, NoProgress
from attrib.capture.bench.bench import VARIANT, Bench
from attrib.capture.bench.launches import Effort
from attrib.capture.bench.sides import Opener
from attrib.capture.storage.interrupts import Interrupts
from attrib.capture.workers.process import Worker, WorkerError, WorkerTimeout, worker_environment
from attrib.capture.workload.sources import resolve_source

pytestmark = pytest.mark.engines

SLEEPING, DYING = 11, 13
SHORT = Effort(launches=1, rounds=2, iterations=3)

MODEL = f"""
import os, signal, time
import torch


class Net(torch.nn.Module):
    # What it does depends on its threads: one model, of which some configurations hang or die.
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(*(torch.nn.Linear(256, 256) for _ in range(4)))
        self.steps = 0

    def forward(self, x):
        if not torch.compiler.is_exporting():
            self.steps += 1
            if self.steps > 3 and torch.get_num_threads() == {SLEEPING}:
                time.sleep(600)
            if self.steps > 3 and torch.get_num_threads() == {DYING}:
                os.kill(os.getpid(), signal.SIGKILL)
        return torch.nn.functional.gelu(self.layers(x))


def net():
    return Net(), {{"x": torch.randn(2, 8, 256)}}
"""


def processes_of(folder):
    """Processes that still run with this temporary folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            try:
                if str(folder).encode() in (entry / "environ").read_bytes():
                    found.append(entry.name)
            except OSError:
                continue
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The bench's own temporary folder, which is empty and without processes when the module ends."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "private").mkdir()
    (folder / "nets.py").write_text(MODEL)
    patch = pytest.MonkeyPatch()
    patch.setattr(tempfile, "tempdir", str(folder / "private"))
    yield folder
    patch.undo()


@pytest.fixture(scope="module")
def original(place):
    return CaptureOptions(model=f"{place}/nets.py:net", threads=1)


@pytest.fixture(scope="module")
def bench(place, original):
    with Bench(
        original, resolve_source(original), interrupts=Interrupts(), progress=NoProgress(), timeout_s=300
    ) as made:
        yield made
    assert list((place / "private").iterdir()) == []
    assert processes_of(place / "private") == []


def agree(found):
    baseline, _, delta = paired_difference(found.baseline_ns, found.variant_ns, found.launches)
    return delta.low <= 0 <= delta.high or abs(delta.median) < 0.05 * baseline.median


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize("role", ["torch", "onnxruntime"])
def test_engine_against_itself_shows_no_difference(bench, original, role):
    """Two processes on a shared machine can differ: in one of three attempts they must agree."""
    found = [bench.compare(original, original, role, Effort())]
    while not agree(found[-1]) and len(found) < 3:
        found.append(bench.compare(original, original, role, Effort(seed=len(found))))
    assert agree(found[-1])
    assert found[-1].same
    assert all(row.equal and row.max_abs == 0 for row in found[-1].outputs)
    assert len(found[-1].outputs) == 1


def test_change_of_the_session_changes_what_runs_and_not_the_result(bench, original):
    disabled = msgspec.structs.replace(original, opt_level="disabled", io_binding=True)
    found = bench.compare(original, disabled, "onnxruntime", SHORT)
    assert not found.same
    # Where other tests disturb one of the two rounds, it is left out on both sides.
    assert len(found.baseline_ns) == len(found.variant_ns) in (1, 2)
    assert {len(block) for block in found.variant_ns} == {3}
    assert all(row.equal for row in found.outputs)
    assert (found.settings["preallocated_outputs"], found.settings["threads"]) == ("true", "1")
    assert bench.count_ops(original) != bench.count_ops(disabled)


def test_second_launch_runs_other_processes_on_the_same_graphs(bench, original, place):
    two = Effort(launches=2, rounds=4, iterations=3)
    before = set(processes_of(place / "private"))
    found = bench.compare(original, msgspec.structs.replace(original, opt_level="basic"), "onnxruntime", two)
    assert len(found.baseline_ns) == len(found.variant_ns) == len(found.launches)
    assert set(found.launches) <= {0, 1}
    assert all(row.equal for row in found.outputs)
    after = set(processes_of(place / "private"))
    assert len(after) <= len(before) + 1, "one baseline stays open"


def test_other_precision_gets_the_same_inputs_converted(bench, original):
    half = msgspec.structs.replace(original, precision="fp16")
    found = bench.compare(original, half, "onnxruntime", SHORT)
    assert found.settings["precision"] == "fp16"
    (row,) = found.outputs
    assert row.equal
    assert 0 < row.max_rel < row.tolerance == 1e-2


@pytest.mark.alone
@pytest.mark.slow
def test_variant_that_dies_or_hangs_ends_alone(bench, original, place, monkeypatch):
    bench.compare(original, original, "torch", SHORT)
    before = set(processes_of(place / "private"))
    dying = msgspec.structs.replace(original, threads=DYING)
    with pytest.raises(WorkerError, match="killed by SIGKILL"):
        bench.compare(original, dying, "torch", SHORT)
    assert set(processes_of(place / "private")) == before
    finish = Opener.finish

    def impatient(self, opening):
        side = finish(self, opening)
        if side.name == VARIANT:
            side.worker._timeout_s = 2.0
        return side

    monkeypatch.setattr(Opener, "finish", impatient)
    sleeping = msgspec.structs.replace(original, threads=SLEEPING)
    with pytest.raises(WorkerTimeout, match="no answer within 2 s"):
        bench.compare(original, sleeping, "torch", SHORT)
    assert set(processes_of(place / "private")) == before
    monkeypatch.undo()
    assert len(bench.compare(original, original, "torch", SHORT).baseline_ns) in (1, 2)
    assert set(processes_of(place / "private")) == before


def test_worker_that_does_not_answer_in_time_is_killed(tmp_path):
    """To import the engine takes longer than this."""
    worker = Worker("onnxruntime", worker_environment(tmp_path, offline=True), timeout_s=0.02)
    begin = time.monotonic()
    with pytest.raises(WorkerTimeout, match=r"gave no answer within 0\.02 s"):
        worker.ready()
    assert time.monotonic() - begin < 10
    assert worker._process.poll() is not None
    worker.stop()
