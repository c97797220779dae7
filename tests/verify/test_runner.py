"""What a run keeps, whatever happens to a single experiment."""

import functools
import os
import signal
import sys
import threading

import pytest
from msgspec.structs import replace

from attrib.capture.config.progress import NoProgress
from attrib.capture.storage.interrupts import Interrupts
from attrib.capture.storage.writer import lock_directory
from attrib.capture.workers.process import WorkerError, WorkerTimeout
from attrib.errors import AttribError
from attrib.model.experiment import ExperimentResult
from attrib.traces.directory.manifest_file import read_manifest
from attrib.traces.directory.trace_directory import TraceDirectory
from attrib.verify.measuring import Measuring, Setup
from attrib.verify.plan import Planned
from attrib.verify.results import Results
from attrib.verify.runner import ExperimentRunner, VerifyInterrupted
from tests.verify import fakes


class Heard(NoProgress):
    def __init__(self):
        self.phases = []

    def phase(self, name):
        self.phases.append(name)


def results_of(root):
    manifest = fakes.read(root)
    return Results(root, manifest, TraceDirectory(root=root, manifest=manifest).experiments())


def run(root, bench, items, *, again=False, captured_ns=fakes.STEP, progress=None):
    setup = Setup(options=fakes.ORIGINAL, captured_ns={"onnxruntime": captured_ns})
    with Interrupts() as interrupts:
        started = functools.cache(bench)
        measuring = Measuring(setup, started)
        runner = ExperimentRunner(
            results_of(root), progress or NoProgress(), interrupts, prepare=started, again=again
        )
        return runner.run([measuring.job(item) for item in items])


def faster(share):
    """Every opset costs the whole step, opset 23 saves a share."""
    return lambda options: fakes.STEP * (1 - share if options.opset == 23 else 1)


@pytest.fixture
def root(tmp_path):
    fakes.captured(tmp_path / "trace")
    return tmp_path / "trace"


def test_result_holds_predicted_and_measured_with_flags(root):
    item = fakes.planned(
        "opset-23", findings=("a",), prediction=fakes.predicted(80_000, 100_000, 120_000), opset=23
    )
    (result,) = run(root, fakes.FakeBench(faster(0.1)), [item])
    assert (result.state, result.flags, result.findings, result.agrees) == (
        "measured",
        "--opset 23",
        ("a",),
        True,
    )
    assert result.saving_ns.low <= 100_000 <= result.saving_ns.high
    assert (result.significant, result.outputs_equal, result.note) == (True, True, "")
    assert len(result.plain_ns["baseline"]) == len(result.plain_ns["variant"]) == 8
    assert results_of(root).find("opset-23") == result


def test_manifest_lists_the_result_and_what_was_there_before(root):
    before = {entry.path: entry for entry in fakes.read(root).files}
    run(root, fakes.FakeBench(faster(0.1)), [fakes.planned("opset-23", opset=23)])
    after = {entry.path: entry for entry in fakes.read(root).files}
    assert after.pop("verify/opset-23.json").state == "complete"
    assert after == before


@pytest.mark.parametrize(
    ("error", "state", "says"),
    [
        (WorkerError("the worker was killed", hint="less"), "failed", "the worker was killed (less)"),
        (WorkerTimeout("no answer within 600 s"), "timed_out", "no answer within 600 s"),
        (
            WorkerError("--optimize x failed: ModuleNotFoundError: No module named 'x'"),
            "unavailable",
            "No module",
        ),
        (AttribError("this onnxruntime has no CUDAExecutionProvider"), "unavailable", "has no CUDA"),
        (ValueError("a bug"), "failed", "this is a bug in attrib: ValueError: a bug"),
    ],
)
def test_failed_experiment_is_a_row_and_the_rest_goes_on(root, error, state, says):
    bench = fakes.FakeBench(faster(0.1), raises=lambda options: error if options.opset == 17 else None)
    bad, good = run(root, bench, [fakes.planned("opset-17", opset=17), fakes.planned("opset-23", opset=23)])
    assert (bad.state, good.state) == (state, "measured")
    assert says in bad.reason
    assert bad.saving_ns is None
    assert results_of(root).find("opset-17") == bad


def test_options_that_make_no_sense_are_a_row(root):
    item = fakes.planned("pair", autocast=True)
    (result,) = run(root, fakes.FakeBench(faster(0)), [item])
    assert result.state == "failed"
    assert "--autocast needs a lower precision" in result.reason


def test_bench_that_cannot_start_ends_the_run_without_rows(root):
    def broken():
        raise AttribError("no such model")

    with pytest.raises(AttribError, match="no such model"):
        run(root, broken, [fakes.planned("opset-23", opset=23)])
    assert results_of(root).all == ()


def test_other_outputs_never_count_as_equal(root):
    bench = fakes.FakeBench(faster(0.5), differs=lambda options: options.opset == 23)
    (result,) = run(root, bench, [fakes.planned("opset-23", opset=23)])
    assert (result.state, result.outputs_equal) == ("measured", False)


def test_second_run_measures_only_what_has_no_result(root):
    items = [fakes.planned("opset-23", opset=23), fakes.planned("opset-17", opset=17)]
    bench = fakes.FakeBench(
        faster(0.1), raises=lambda options: WorkerError("no") if options.opset == 17 else None
    )
    run(root, bench, items)
    second = fakes.FakeBench(faster(0.1))
    run(root, second, items)
    assert [variant.opset for _, variant in second.compared] == [17]
    third = fakes.FakeBench(faster(0.1))
    run(root, third, items)
    assert (third.compared, third.started) == ([], 0)
    run(root, third, items, again=True)
    assert len(third.compared) == 2


def test_result_of_other_flags_is_measured_anew(root):
    run(root, fakes.FakeBench(faster(0.1)), [fakes.planned("opset-high", opset=23)])
    bench = fakes.FakeBench(faster(0.1))
    (result,) = run(root, bench, [fakes.planned("opset-high", opset=22)])
    assert (len(bench.compared), result.flags) == (1, "--opset 22")


def test_finding_that_asks_later_is_added_without_measuring(root):
    run(root, fakes.FakeBench(faster(0.1)), [fakes.planned("opset-23", findings=("b",), opset=23)])
    bench = fakes.FakeBench(faster(0.1))
    (result,) = run(root, bench, [fakes.planned("opset-23", findings=("a",), opset=23)])
    assert (bench.compared, result.findings) == ([], ("a", "b"))
    assert results_of(root).find("opset-23").findings == ("a", "b")


def test_inapplicable_family_is_a_row_that_goes_when_a_variant_is_measured(root):
    family = fakes.experiment("opset")
    nothing = Planned(
        experiment=family, variant=None, state="not_applicable", reason="the graph is the user's"
    )
    bench = fakes.FakeBench(faster(0.1))
    (result,) = run(root, bench, [nothing])
    assert (result.id, result.state, result.reason) == ("opset", "not_applicable", "the graph is the user's")
    assert bench.started == 0
    run(root, bench, [fakes.planned("opset-23", family="opset", opset=23)])
    assert [found.id for found in results_of(root).all] == ["opset-23"]
    assert not (root / "verify/opset.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interruption_keeps_what_is_done_and_marks_the_current_one(root, number):
    def stop(options):
        if options.opset == 17:
            os.kill(os.getpid(), number)

    items = [
        fakes.planned("opset-23", opset=23),
        fakes.planned("opset-17", opset=17),
        fakes.planned("opset-18", opset=18),
    ]
    with pytest.raises(VerifyInterrupted) as caught:
        run(root, fakes.FakeBench(faster(0.1), raises=stop), items)
    assert "1 experiment)" in caught.value.message
    assert {found.id: found.state for found in results_of(root).all} == {
        "opset-23": "measured",
        "opset-17": "interrupted",
    }
    resumed = fakes.FakeBench(faster(0.1))
    run(root, resumed, items)
    assert [variant.opset for _, variant in resumed.compared] == [17, 18]


def test_interruption_of_a_repetition_keeps_the_earlier_result(root):
    items = [fakes.planned("opset-23", opset=23)]
    (first,) = run(root, fakes.FakeBench(faster(0.1)), items)
    with pytest.raises(VerifyInterrupted):
        run(root, fakes.FakeBench(faster(0.1), raises=lambda _: KeyboardInterrupt()), items, again=True)
    assert results_of(root).find("opset-23") == first


def test_progress_names_the_experiment_and_how_many_there_are(root):
    heard = Heard()
    items = [fakes.planned("opset-23", opset=23), fakes.planned("opset-17", opset=17)]
    run(root, fakes.FakeBench(faster(0.1)), items, progress=heard)
    assert heard.phases[0] == "1 of 2: Title of opset-23"
    assert heard.phases[1].startswith("2 of 2: Title of opset-17, about 0 s left")


def test_reason_holds_no_path_of_this_machine(root):
    error = WorkerError("cannot read /home/somebody/secret/model.onnx\nsecond line")
    (result,) = run(
        root, fakes.FakeBench(faster(0), raises=lambda _: error), [fakes.planned("opset-23", opset=23)]
    )
    assert "somebody" not in result.reason
    assert "\n" not in result.reason


# Predictions that miss


def missed(root, prediction, *, share, captured_ns=fakes.STEP, ops=lambda _: {}):
    item = fakes.planned("opset-23", prediction=prediction, opset=23)
    (result,) = run(root, fakes.FakeBench(faster(share), ops=ops), [item], captured_ns=captured_ns)
    return result


def test_at_most_agrees_with_any_smaller_saving(root):
    assert missed(root, fakes.predicted(0, 80_000, 120_000, "at_most"), share=0.001).agrees is True


def test_no_prediction_is_neither_agreement_nor_miss(root):
    (result,) = run(root, fakes.FakeBench(faster(0.1)), [fakes.planned("opset-23", opset=23)])
    assert (result.agrees, result.note) == (None, "")


@pytest.mark.parametrize(
    ("prediction", "facts", "says"),
    [
        (
            fakes.predicted(80_000, 100_000, 120_000), {"share": 0.0, "captured_ns": fakes.STEP // 2},
            "the unchanged model took 1.00 ms here and 500 µs in the capture (+100",
        ),
        (
            fakes.predicted(80_000, 100_000, 120_000), {"share": 0.0, "ops": lambda _: {"Gemm": 3}},
            "ONNX Runtime ran the same 3 nodes as without the change",
        ),
        (
            fakes.predicted(80_000, 100_000, 120_000),
            {"share": -0.2, "ops": lambda o: {"Attention": 2} if o.opset == 23 else {"MatMul": 4, "Softmax": 2}},
            "removed: 4 MatMul, 2 Softmax; added: 2 Attention, which cost more than was saved",
        ),
        (fakes.predicted(80_000, 100_000, 120_000), {"share": -0.2}, "instead"),
        (fakes.predicted(0, 50_000, 60_000, "at_most"), {"share": 0.3}, "beyond the rows of the prediction"),
        (fakes.predicted(200_000, 250_000, 300_000), {"share": 0.1}, "do not say why"),
    ],
)  # fmt: skip
def test_miss_says_what_was_found(root, prediction, facts, says):
    result = missed(root, prediction, **facts)
    assert result.agrees is False
    assert says in result.note


# A directory that other people wrote


def test_id_with_path_characters_stays_in_the_directory(root):
    name = "../../../etc/x\x00\n" + "y" * 300
    (result,) = run(root, fakes.FakeBench(faster(0.1)), [fakes.planned(name, opset=23)])
    assert [path.parent.name for path in root.parent.rglob("*.json") if path.name != "manifest.json"] == [
        "verify"
    ]
    assert results_of(root).find(name) == result


def test_ids_that_differ_in_odd_characters_have_files_of_their_own(root):
    items = [fakes.planned(name, opset=23) for name in ("a/b", "a b", "a-b", "..")]
    run(root, fakes.FakeBench(faster(0.1)), items)
    assert len(list((root / "verify").iterdir())) == 4
    assert len(results_of(root).all) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege there")
def test_folder_that_leads_elsewhere_is_not_written_to(root, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (root / "verify").symlink_to(elsewhere)
    with pytest.raises(AttribError, match="outside its directory"):
        run(root, fakes.FakeBench(faster(0.1)), [fakes.planned("opset-23", opset=23)])
    assert list(elsewhere.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege there")
def test_link_in_place_of_a_temporary_file_is_not_followed(root, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (root / "verify").mkdir()
    (root / "manifest.json.partial").symlink_to(victim)
    (root / "verify/opset-23.json.partial").symlink_to(victim)
    run(root, fakes.FakeBench(faster(0.1)), [fakes.planned("opset-23", opset=23)])
    assert victim.read_text() == "precious"
    assert results_of(root).find("opset-23") is not None


def test_results_of_an_older_capture_are_not_mixed_in(root):
    results = results_of(root)
    manifest = fakes.read(root)
    (root / "manifest.json").unlink()
    fakes.captured(root.parent / "new", replace(manifest, created="2026-02-02T00:00:00Z", files=()))
    (root.parent / "new/manifest.json").replace(root / "manifest.json")
    with pytest.raises(AttribError, match="captured anew"):
        results.write(ExperimentResult(id="x", title="x", side="onnxruntime", state="failed", reason="y"))


def test_a_result_waits_for_another_writer_and_is_not_lost(root):
    results = results_of(root)
    row = ExperimentResult(id="x", title="x", side="onnxruntime", state="failed", reason="y")
    lock = lock_directory(root)
    writing = threading.Thread(target=results.write, args=(row,))
    writing.start()
    writing.join(0.2)
    waited = writing.is_alive()
    lock.release()
    writing.join(60)
    assert waited
    assert not writing.is_alive()
    assert "verify/x.json" in {entry.path for entry in read_manifest(root / "manifest.json").files}


def test_a_directory_that_stays_locked_is_one_error(root, monkeypatch):
    monkeypatch.setattr("attrib.verify.results._PATIENCE_S", 0.1)
    row = ExperimentResult(id="x", title="x", side="onnxruntime", state="failed", reason="y")
    lock = lock_directory(root)
    with pytest.raises(AttribError, match="another attrib is writing into"):
        results_of(root).write(row)
    lock.release()
