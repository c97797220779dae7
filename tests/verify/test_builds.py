"""Another build of ONNX Runtime: what is refused before and while it is measured, and what its row says."""

import contextlib
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from msgspec.structs import replace

import attrib
from attrib.capture.bench.bench import BaselineError
from attrib.capture.bench.profiles import ProfiledPair, ProfiledSide
from attrib.capture.system.providers import RuntimeInfo
from attrib.capture.workers.messages import Ready
from attrib.capture.workers.process import WorkerError
from attrib.errors import AttribError, UsageError
from attrib.model.latency import LatencyTable
from attrib.model.manifest import EXPORTED, OPTIMIZED, PROFILE_ZERO, OutputDifference
from attrib.traces import open_directory
from attrib.verify import builds
from attrib.verify.baseline import Baseline
from attrib.verify.builds import OtherBuild, build_row, check_build, compare_builds
from attrib.verify.measuring import Setup
from attrib.verify.results import Results
from attrib.verify.runner import VerifyInterrupted
from attrib.verify.verification import Verification
from tests.verify import fakes

CPU = ("CPUExecutionProvider",)
CAPTURED = RuntimeInfo(version="1.31.0", package="onnxruntime", available=CPU)
OLDER = RuntimeInfo(version="1.22.1", package="onnxruntime", available=CPU)
PYTHON = Path("/elsewhere/bin/python")
OTHER = OtherBuild(python=PYTHON, runtime=OLDER, captured=CAPTURED)


@pytest.fixture
def installed(monkeypatch):
    """What either interpreter has: attrib's own the captured one, the other whatever a test says."""

    def install(other=OLDER, own=CAPTURED):
        monkeypatch.setattr(builds, "check_interpreter", lambda named, *_, **__: Path(named))
        monkeypatch.setattr(
            builds, "probe_runtime", lambda interpreter: other if interpreter == str(PYTHON) else own
        )

    return install


def manifest(version="1.31.0"):
    made = fakes.manifest_of()
    side = replace(made.sides["onnxruntime"], version=version, package="onnxruntime")
    return replace(made, sides=made.sides | {"onnxruntime": side})


def test_other_version_may_be_measured(installed):
    installed()
    assert check_build(manifest(), fakes.ORIGINAL, PYTHON) == OTHER
    row = build_row(OTHER)
    assert row.title == "onnxruntime 1.22.1 in place of onnxruntime 1.31.0"
    assert (row.id, row.flags) == ("against-onnxruntime-1.22.1", "--ort-python PYTHON")


def test_same_build_may_be_measured_and_says_what_it_is(installed):
    installed(CAPTURED)
    row = build_row(check_build(manifest(), fakes.ORIGINAL, PYTHON))
    assert row.title == "onnxruntime 1.31.0 against itself (A/A)"


@pytest.mark.parametrize(
    ("other", "own", "options", "says", "hint"),
    [
        (RuntimeInfo(error="ImportError: x"), CAPTURED, {}, "--against-ort: ONNX Runtime cannot be imported there",
         "import onnxruntime"),
        (OLDER, CAPTURED, {"providers": ("openvino",)}, "onnxruntime 1.22.1 has no OpenVINOExecutionProvider",
         "onnxruntime-openvino"),
        (OLDER, CAPTURED, {"device": "cuda"}, "has no CUDAExecutionProvider, on which the capture ran", "onnxruntime-gpu"),
        (OLDER, RuntimeInfo(version="1.30.0", package="onnxruntime"), {},
         "this environment has onnxruntime 1.30.0, and the capture ran onnxruntime 1.31.0", "onnxruntime==1.31.0"),
        (OLDER, RuntimeInfo(error="gone"), {}, "this environment: ONNX Runtime cannot be imported", ""),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_one_line_with_a_way_out(installed, other, own, options, says, hint):
    installed(other, own)
    with pytest.raises(AttribError, match=says) as caught:
        check_build(manifest(), replace(fakes.ORIGINAL, **options), PYTHON)
    assert caught.value.exit_code == 3
    assert hint in caught.value.hint
    assert "\n" not in str(caught.value)


def test_provider_of_a_library_is_in_no_build(installed):
    installed()
    options = replace(
        fakes.ORIGINAL, providers=("QNNExecutionProvider",), provider_libraries=("QNNExecutionProvider=/x.so",)
    )  # fmt: skip
    assert check_build(manifest(), options, PYTHON) == OTHER


def test_interpreter_that_there_is_not_is_a_mistake_of_the_command(tmp_path):
    with pytest.raises(UsageError, match="--against-ort: there is no"):
        check_build(manifest(), fakes.ORIGINAL, tmp_path / "python")


@dataclass
class Bench:
    """Fails, or runs on these providers."""

    error: Exception | None = None
    providers: tuple[str, str] = CPU * 2
    asked: list[tuple[object, ...]] = field(default_factory=list)

    def compare(self, baseline, variant, role, effort, *, profiled=False):
        self.asked.append((baseline.ort_python, variant.ort_python, role, profiled))
        if self.error:
            raise self.error
        baseline, variant = ({"providers": its} for its in self.providers)
        return SimpleNamespace(baseline_settings=baseline, settings=variant, profiles=None)


SETUP = Setup(options=fakes.ORIGINAL, captured_ns={"onnxruntime": fakes.STEP})


def test_graph_that_the_build_cannot_read_names_it_and_the_option():
    bench = Bench(error=WorkerError("ONNX Runtime cannot load the graph: opset 23 is under development"))
    with pytest.raises(
        AttribError, match=r"--against-ort: onnxruntime 1\.22\.1: ONNX Runtime cannot"
    ) as caught:
        compare_builds(bench, SETUP, OTHER)
    assert "--opset N" in caught.value.hint
    assert bench.asked == [(None, PYTHON, "onnxruntime", True)]


def test_captured_build_that_fails_is_not_blamed_on_the_other_one():
    with pytest.raises(BaselineError) as caught:
        compare_builds(Bench(error=BaselineError("could not be run")), SETUP, OTHER)
    assert "1.22.1" not in str(caught.value)


def test_build_that_lands_on_another_provider_is_not_compared():
    bench = Bench(providers=("CUDAExecutionProvider,CPUExecutionProvider", "CPUExecutionProvider"))
    with pytest.raises(AttribError, match="ran on CPUExecutionProvider, and the captured one on CUDA"):
        compare_builds(bench, SETUP, OTHER)


@dataclass
class Recorded:
    """What a bench gives of two builds that did exactly what the sample's ONNX Runtime did."""

    profiles: ProfiledPair
    baseline_ns: tuple[tuple[int, ...], ...] = ((fakes.STEP,) * 5,) * 8
    variant_ns: tuple[tuple[int, ...], ...] = ((fakes.STEP + 10,) * 5,) * 8
    launches: tuple[int, ...] = fakes.LAUNCHES
    outputs: tuple[OutputDifference, ...] = (fakes.difference(equal=True),)
    notes: tuple[str, ...] = ("one of 8 rounds was disturbed",)
    same: bool = False
    busy: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    baseline_settings: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def recorded(sample):
    directory = open_directory(sample)
    table = directory.latency()
    own = table.select("onnxruntime", "profiled")
    rows = np.concatenate([own, own])
    latencies = LatencyTable(
        engine=["torch"] * len(own) + ["onnxruntime"] * len(own), phase=["profiled"] * len(rows),
        block=table.block[rows], iteration=table.iteration[rows], start_ns=table.start_ns[rows],
        wall_ns=table.wall_ns[rows], more={"launch": table.column("launch")[rows]},
    )  # fmt: skip
    (profile,) = sample.glob("ort/profile.json*")
    side = ProfiledSide(
        facts=Ready(version="1.31.0", package="onnxruntime", python="3.11.7"), profile=profile,
        zero_ns=int(directory.manifest.sides["onnxruntime"].settings[PROFILE_ZERO]), optimized=sample / OPTIMIZED,
    )  # fmt: skip
    other = dataclasses.replace(side, facts=replace(side.facts, version="1.22.1"))
    pair = ProfiledPair(sides=(side, other), latencies=latencies, graphs=(sample / EXPORTED,))
    return Recorded(profiles=pair)


def test_row_holds_what_was_measured_and_what_was_profiled(recorded):
    result = compare_builds(SimpleNamespace(compare=lambda *_, **__: recorded), SETUP, OTHER)
    found = result.builds
    assert (found.before.name, found.after.name) == ("onnxruntime 1.31.0", "onnxruntime 1.22.1")
    assert (found.matched, found.same) == ("graph", False)
    assert found.before.nodes > 100
    assert sum(change.before.ns for change in found.changes) == found.before.node_ns == found.after.node_ns
    assert {change.change_ns.median for change in found.changes} == {0}
    assert not any(change.rewritten or change.certain for change in found.changes)
    assert sum(change.module.startswith("encoder.layer.*") for change in found.changes) > 5
    assert {
        change.count % 12 for change in found.changes if change.module.startswith("encoder.layer.*.output")
    } == {0}
    assert "one of 8 rounds was disturbed" in found.remarks
    assert (result.saving_ns.median, result.outputs_equal) == (-10, True)


def verification_of(root, bench, monkeypatch):
    """A run on a directory without a capture's traces, with a bench that is there already."""
    monkeypatch.setattr("attrib.verify.verification.check_build", lambda *_: OTHER)
    baseline = Baseline(root=root)
    own = fakes.captured(root)
    baseline.__dict__.update(
        manifest=own, options=fakes.ORIGINAL, setup=SETUP, results=Results(root, own, ())
    )
    return Verification(baseline, start_bench=lambda *_: contextlib.nullcontext(bench))


def test_result_is_kept_and_measured_anew(tmp_path, recorded, monkeypatch):
    asked = []
    bench = SimpleNamespace(inputs_sha256="same", compare=lambda *_, **__: asked.append(1) or recorded)
    with verification_of(tmp_path / "trace", bench, monkeypatch) as run:
        first = run.against(PYTHON)
        again = run.against(PYTHON)
    assert first == again
    assert len(asked) == 2
    assert (tmp_path / "trace/verify/against-onnxruntime-1.22.1.json").is_file()
    assert str(PYTHON) not in (tmp_path / "trace/verify/against-onnxruntime-1.22.1.json").read_text()


def test_python_measures_as_the_command_does(tmp_path, recorded, monkeypatch):
    """`attrib.verify.against_ort`: the settings reach the run, the result is given and kept."""
    made = []

    def verification(baseline):
        made.append(baseline)
        bench = SimpleNamespace(inputs_sha256="same", compare=lambda *_, **__: recorded)
        return verification_of(baseline.root, bench, monkeypatch)

    monkeypatch.setattr("attrib.verify.verification.Verification", verification)
    result = attrib.verify.against_ort(str(tmp_path / "trace"), str(PYTHON), rounds=4)
    assert result.builds.after.name == "onnxruntime 1.22.1"
    assert (tmp_path / "trace/verify/against-onnxruntime-1.22.1.json").is_file()
    assert (made[0].root, made[0].settings.rounds) == (tmp_path / "trace", 4)


def test_python_refuses_what_the_command_refuses(tmp_path, sample):
    with pytest.raises(UsageError, match="--against-ort: there is no"):
        attrib.verify.against_ort(sample, tmp_path / "python")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), WorkerError("it died")])
def test_what_was_not_measured_leaves_no_result(tmp_path, monkeypatch, error):
    bench = Bench(error=error)
    bench.inputs_sha256 = "same"
    run = verification_of(tmp_path / "trace", bench, monkeypatch)
    with run, pytest.raises((VerifyInterrupted, AttribError)) as caught:
        run.against(PYTHON)
    assert "interrupted" in str(caught.value) or "it died" in str(caught.value)
    assert not (tmp_path / "trace/verify").exists()
