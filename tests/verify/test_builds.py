"""Another build of ONNX Runtime: what is refused before and while it is measured, and what its row says."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from attrib.capture.bench.bench import BaselineError
from attrib.capture.system.providers import RuntimeInfo
from attrib.capture.workers.process import WorkerError
from attrib.errors import AttribError, UsageError
from attrib.verify import builds
from attrib.verify.builds import OtherBuild, build_row, check_build, compare_builds
from attrib.verify.measuring import Setup
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
