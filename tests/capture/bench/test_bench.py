"""The bench with workers that answer without an engine: who is started, asked, kept and stopped."""

import json
import shutil
import sys
from collections import Counter
from dataclasses import replace
from functools import partial

import msgspec
import numpy as np
import pytest

from attrib.capture import CaptureOptions, NoProgress
from attrib.capture.bench.bench import BaselineError, Bench
from attrib.capture.bench.launches import Effort
from attrib.capture.storage.interrupts import Interrupts
from attrib.capture.system.disturbance import ReferenceTimes
from attrib.capture.workers.messages import Export, Finish, Load, Open, Optimize, Outputs, Run
from attrib.capture.workers.process import WorkerError
from attrib.capture.workers.silence import SPEAKS
from attrib.capture.workload.inputs import inputs_hash
from attrib.capture.workload.sources import resolve_source
from attrib.errors import AttribError, UsageError
from attrib.model.disturbance import BlockEvidence
from tests.capture.bench.fakes import MS, FakeWorker, Stage, write_graph

ORIGINAL = CaptureOptions(model="two-linears", threads=2, warmup=3, iterations=2)
ONCE = Effort(launches=1, rounds=2)
BASE, DISABLED = "all dynamo None", "disabled dynamo None"
change = partial(msgspec.structs.replace, ORIGINAL)


@pytest.fixture
def stage(monkeypatch, tmp_path):
    made = Stage()
    monkeypatch.setattr("attrib.capture.session.worker_pool.Worker", partial(FakeWorker, made))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("attrib.capture.session.measure.wait_until_quiet", lambda _: 0.0)
    monkeypatch.setattr("attrib.capture.system.disturbance.Reference.__init__", lambda _: None)
    monkeypatch.setattr("attrib.capture.system.disturbance.Reference.measure", lambda _: ReferenceTimes(1, 1))
    return made


@pytest.fixture
def bench(stage):
    source = resolve_source(ORIGINAL)
    with Bench(ORIGINAL, source, interrupts=Interrupts(), progress=NoProgress(), timeout_s=7) as made:
        yield made


def test_nothing_is_started_before_it_is_needed(bench, stage, tmp_path):
    assert stage.started == []
    assert list(tmp_path.iterdir()) == []


def test_blocks_alternate_in_either_order_and_are_told_by_round(bench, stage):
    stage.wall_ns = {BASE: 10 * MS, DISABLED: 15 * MS}
    found = bench.compare(ORIGINAL, change(opt_level="disabled"), "onnxruntime", replace(ONCE, rounds=6))
    assert found.baseline_ns == ((10 * MS,) * 2,) * 6
    assert found.variant_ns == ((15 * MS,) * 2,) * 6
    assert (found.launches, found.iterations, found.same) == ((0,) * 6, 2, False)
    blocks = [label for label, command in stage.log if isinstance(command, Run) and command.lead_in]
    pairs = list(zip(blocks[::2], blocks[1::2], strict=True))
    assert sorted(pairs) == sorted([(BASE, DISABLED)] * 3 + [(DISABLED, BASE)] * 3)


def test_order_of_the_blocks_follows_the_seed(bench, stage):
    logs = []
    for seed in (1, 1, 2):
        stage.log.clear()
        bench.compare(
            ORIGINAL, change(opt_level="disabled"), "onnxruntime", replace(ONCE, rounds=10, seed=seed)
        )
        logs.append([label for label, command in stage.log if isinstance(command, Run)])
    assert logs[0] == logs[1] != logs[2]


def test_both_sides_are_warmed_up_as_the_original_was(bench, stage):
    bench.compare(ORIGINAL, change(opt_level="disabled"), "onnxruntime", ONCE)
    warm = [(label, c.iterations) for label, c in stage.log if isinstance(c, Run) and not c.lead_in]
    assert sum(n for label, n in warm if label == BASE) == 3
    assert sum(n for label, n in warm if label == DISABLED) == 3


def test_only_the_plain_session_is_created_and_gets_the_original_inputs(bench, stage):
    bench.compare(ORIGINAL, change(precision="fp16"), "onnxruntime", ONCE)
    opened = stage.of(Open)
    assert {(command.profiled, command.any_floats) for command in opened} == {(False, True)}
    assert len({command.inputs for command in opened}) == 1
    assert bench.inputs_sha256 == inputs_hash(stage.inputs)


def test_baseline_stays_open_and_variants_end(bench, stage):
    for level in ("disabled", "basic"):
        bench.compare(ORIGINAL, change(opt_level=level), "onnxruntime", ONCE)
        assert [worker.label for worker in stage.running] == [BASE]
    bench.compare(ORIGINAL, change(threads=1), "torch", ONCE)
    assert [worker.label for worker in stage.running] == [BASE, "torch eager 2"]
    assert [worker.timeout_s for worker in stage.running] == [7, 7]
    bench.compare(change(opt_level="basic"), ORIGINAL, "onnxruntime", ONCE)
    assert [worker.label for worker in stage.running] == ["torch eager 2", "basic dynamo None"]
    assert len(stage.of(Export)) == 1


def test_each_launch_starts_both_sides_anew_and_reuses_the_graphs(bench, stage):
    found = bench.compare(ORIGINAL, change(opt_level="disabled"), "onnxruntime", Effort())
    assert found.launches == (0, 0, 1, 1, 2, 2)
    assert len(found.baseline_ns) == len(found.variant_ns) == 6
    assert [label for label, command in stage.log if isinstance(command, Open)] == [BASE, DISABLED] * 3
    assert len(stage.of(Export)) == 1
    assert [worker.label for worker in stage.running] == [BASE]
    bench.compare(ORIGINAL, change(opt_level="basic"), "onnxruntime", ONCE)
    assert sum(isinstance(command, Open) for _, command in stage.log) == 7, "the last baseline is still open"


def test_both_sides_of_a_launch_load_at_the_same_time(bench, stage):
    bench.compare(ORIGINAL, change(opt_level="disabled"), "onnxruntime", Effort(launches=2))
    loads = [(what, label) for what, label, kind in stage.traffic if kind is Open]
    pair = [("sent", "onnxruntime")] * 2 + [("received", BASE), ("received", DISABLED)]
    assert loads == pair * 2


def test_baseline_that_fails_in_a_later_launch_is_named(bench, stage):
    stage.fails_after = {BASE: 1}
    with pytest.raises(BaselineError, match="configuration to compare with could not be run: all dynamo"):
        bench.compare(ORIGINAL, change(opt_level="disabled"), "onnxruntime", Effort(launches=3))
    assert stage.running == []


def evidence(waiting_ns=0):
    return BlockEvidence(elapsed_ns=100 * MS, processors=2, waiting_ns=waiting_ns, others_ns=0, stolen_ns=0)


def test_round_that_something_disturbs_is_measured_again_beside_its_partner(bench, stage):
    stage.evidence = {DISABLED: [evidence(), evidence(50 * MS)]}
    found = bench.compare(ORIGINAL, change(opt_level="disabled"), "onnxruntime", replace(ONCE, rounds=4))
    blocks = Counter(label for label, command in stage.log if isinstance(command, Run) and command.lead_in)
    assert blocks == {BASE: 5, DISABLED: 5}
    assert (len(found.baseline_ns), len(found.variant_ns), found.busy) == (4, 4, False)
    assert (
        "1 of 4 rounds were disturbed and measured again (its threads waited for a processor)" in found.notes
    )


def test_machine_that_never_rests_is_called_busy(bench, stage):
    stage.evidence = {BASE: [evidence(50 * MS)] * 99}
    found = bench.compare(ORIGINAL, change(opt_level="disabled"), "onnxruntime", replace(ONCE, rounds=4))
    assert (len(found.baseline_ns), found.busy) == (4, True)
    assert "the machine was busy, and 4 of 4 rounds stayed disturbed" in found.notes[0]


@pytest.mark.parametrize(
    ("faults", "said"),
    [(2000, ["a step of the baseline took 1,000 page faults, one of the variant 0"]), (100, [])],
)
def test_page_faults_of_one_side_are_noted(bench, stage, faults, said):
    counted = {BASE: faults, DISABLED: 0}
    stage.evidence = {
        side: [msgspec.structs.replace(evidence(), faults=count)] * 9 for side, count in counted.items()
    }
    found = bench.compare(ORIGINAL, change(opt_level="disabled"), "onnxruntime", ONCE)
    assert [note for note in found.notes if "page faults" in note] == said


def test_options_that_bear_on_nothing_keep_the_baseline(bench, stage):
    bench.compare(ORIGINAL, ORIGINAL, "onnxruntime", ONCE)
    bench.compare(change(rounds=3, command="other"), ORIGINAL, "onnxruntime", ONCE)
    assert sum(label == BASE for label, command in stage.log if isinstance(command, Open)) == 3


def test_variables_reach_the_side_that_has_them_and_make_it_another_one(bench, stage):
    seen = {}

    def note(worker):
        if worker.engine in ("torch", "onnxruntime"):
            seen.setdefault(worker.engine, []).append(worker.environment.get("MALLOC_TRIM_THRESHOLD_"))

    stage.on_start = note
    found = bench.compare(ORIGINAL, change(env=("MALLOC_TRIM_THRESHOLD_=7",)), "onnxruntime", ONCE)
    assert not found.same
    assert seen["onnxruntime"] == [None, "7"]
    assert all(command.model for _, command in stage.log if isinstance(command, Open))


def test_what_is_the_same_is_said(bench, stage):
    assert bench.compare(ORIGINAL, ORIGINAL, "onnxruntime", ONCE).same
    assert bench.compare(ORIGINAL, change(opset=18), "onnxruntime", ONCE).same is False
    assert bench.compare(ORIGINAL, change(exporter="torchscript"), "torch", ONCE).same


def test_every_export_and_rewrite_is_done_once(bench, stage):
    slim, both = change(optimize=("onnxslim",)), change(optimize=("onnxslim", "onnxscript"))
    other = change(optimize=("onnxscript",))
    for variant in (slim, both, other, both, slim, change(opset=20), both):
        bench.compare(ORIGINAL, variant, "onnxruntime", ONCE)
    assert [command.opset for command in stage.of(Export)] == [None, 20]
    assert [command.rewrites for command in stage.of(Optimize)] == [
        ("onnxslim",), ("onnxscript",), ("onnxscript",),
    ]  # fmt: skip
    labels = {label for label, command in stage.log if isinstance(command, Open)}
    assert "all onnxscript of onnxslim of dynamo None" in labels
    assert stage.started.count("exporter") == 5
    assert [worker.engine for worker in stage.running] == ["onnxruntime"]


def test_notes_of_a_rewrite_reach_the_reader_each_time(bench):
    variant = change(optimize=("onnxslim", "onnxscript"))
    for _ in range(2):
        found = bench.compare(ORIGINAL, variant, "onnxruntime", ONCE)
        assert found.notes == ("about onnxslim", "about onnxscript")


def test_rewrite_that_fails_is_tried_once_and_the_bench_goes_on(bench, stage):
    stage.fails = {"onnxslim": Optimize}
    for names in (("onnxslim",), ("onnxslim", "onnxscript"), ("onnxslim",)):
        with pytest.raises(WorkerError, match="onnxslim failed"):
            bench.compare(ORIGINAL, change(optimize=names), "onnxruntime", ONCE)
    assert stage.of(Optimize) == [stage.of(Optimize)[0]]
    bench.compare(ORIGINAL, change(optimize=("onnxscript",)), "onnxruntime", ONCE)
    assert [worker.label for worker in stage.running] == [BASE]


def test_full_disk_forgets_rewritten_graphs(bench, stage, monkeypatch, tmp_path):
    slim, script = change(optimize=("onnxslim",)), change(optimize=("onnxscript",))
    bench.compare(ORIGINAL, slim, "onnxruntime", ONCE)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("attrib.capture.bench.graphs.shutil.disk_usage", lambda _: usage._replace(free=0))
    bench.compare(ORIGINAL, script, "onnxruntime", ONCE)
    assert len(list(tmp_path.rglob("rewritten-1.onnx"))) == 1
    bench.compare(ORIGINAL, slim, "onnxruntime", ONCE)
    assert [command.rewrites[0] for command in stage.of(Optimize)] == ["onnxslim", "onnxscript", "onnxslim"]
    assert len(stage.of(Export)) == 1


def test_graphs_of_the_user_can_be_compared(bench, stage, tmp_path):
    for name in ("one", "two"):
        write_graph(tmp_path / f"{name}.onnx", name)
    pair = [change(onnx=tmp_path / f"{name}.onnx") for name in ("one", "two")]
    stage.wall_ns = {"all two": 3 * MS}
    found = bench.compare(*pair, "onnxruntime", ONCE)
    assert (found.baseline_ns[0][0], found.variant_ns[0][0]) == (10 * MS, 3 * MS)
    assert "exporter" not in stage.started
    write_graph(tmp_path / "two.onnx", "another two")
    bench.compare(*pair, "onnxruntime", ONCE)
    assert "all another two" in {label for label, _ in stage.log}


def test_variant_that_fails_leaves_the_baseline_for_the_next(bench, stage):
    stage.fails = {DISABLED: Run}
    with pytest.raises(WorkerError, match="disabled dynamo None failed") as caught:
        bench.compare(ORIGINAL, change(opt_level="disabled"), "onnxruntime", ONCE)
    assert not isinstance(caught.value, BaselineError)
    assert [worker.label for worker in stage.running] == [BASE]
    bench.compare(ORIGINAL, change(opt_level="basic"), "onnxruntime", ONCE)
    assert sum(label == BASE for label, command in stage.log if isinstance(command, Open)) == 1


@pytest.mark.parametrize("kind", [Open, Run, Outputs])
def test_baseline_that_fails_is_named_and_opened_again(bench, stage, kind):
    stage.fails = {BASE: kind}
    with pytest.raises(BaselineError, match="configuration to compare with could not be run: all dynamo"):
        bench.compare(ORIGINAL, change(opt_level="disabled"), "onnxruntime", ONCE)
    assert stage.running == []
    stage.fails = {}
    bench.compare(ORIGINAL, change(opt_level="disabled"), "onnxruntime", ONCE)
    assert sum(label == BASE for label, command in stage.log if isinstance(command, Open)) == 2


def test_export_that_fails_is_the_fault_of_whoever_needs_it(bench, stage):
    stage.fails = {"exporter": Export}
    with pytest.raises(BaselineError, match="exporter failed"):
        bench.compare(ORIGINAL, change(opset=20), "onnxruntime", ONCE)
    assert stage.running == []


def test_options_that_contradict_each_other_are_refused_before_anything_starts(bench, stage):
    with pytest.raises(UsageError, match="unknown rewrite"):
        bench.compare(ORIGINAL, change(optimize=("nothing",)), "onnxruntime", ONCE)
    assert stage.started == []


def test_slow_steps_get_fewer_rounds_and_a_note(bench, stage):
    stage.wall_ns = {BASE: 5_000 * MS, DISABLED: 5_000 * MS}
    found = bench.compare(
        ORIGINAL, change(opt_level="disabled"), "onnxruntime", replace(ONCE, rounds=12, tolerance=0)
    )
    assert len(found.variant_ns) == 8
    assert "8 rounds, not 12" in found.notes[0]


def test_model_with_other_weights_each_time_is_noted(bench, stage):
    stage.fingerprints = ["loader", "one", "two"]
    assert bench.compare(ORIGINAL, ORIGINAL, "onnxruntime", ONCE).notes == ()
    found = bench.compare(ORIGINAL, change(opset=20), "onnxruntime", ONCE)
    assert "other weights each time" in found.notes[0]


def test_torch_model_with_other_inputs_is_refused(bench, stage):
    bench.compare(ORIGINAL, change(threads=1), "torch", ONCE)
    stage.inputs = {"x": np.full((2, 3), 1.001, np.float32)}
    bench.compare(ORIGINAL, change(precision="bf16"), "torch", ONCE)
    stage.inputs = {"x": np.full((2, 3), 2.0, np.float32)}
    with pytest.raises(AttribError, match="other inputs than the original"):
        bench.compare(ORIGINAL, change(precision="bf16"), "torch", ONCE)


def test_inputs_of_the_torch_baseline_are_taken_where_there_are_none_yet(bench, stage):
    bench.compare(ORIGINAL, change(threads=1), "torch", ONCE)
    assert len(stage.of(Load)) == 2
    bench.compare(ORIGINAL, ORIGINAL, "onnxruntime", ONCE)
    assert len(stage.of(Load)) == 2


@pytest.mark.parametrize(
    ("ours", "theirs", "rows", "notes"),
    [
        (["a", "b"], ["b", "a"], ["a", "b"], []),
        (["a", "b"], ["a"], ["a"], ["the variant has no output 'b'"]),
        (["a"], ["a", "c"], ["a"], ["the baseline has no output 'c'"]),
        (["a"], ["x"], ["a"], ["what they hold: a -> x"]),
        (["a"], ["x", "y"], [], ["no output 'a'", "no output 'x'", "no output 'y'"]),
    ],
)
def test_outputs_that_both_have_are_compared(bench, stage, ours, theirs, rows, notes):
    stage.outputs = {BASE: {n: np.arange(3.0) for n in ours}, DISABLED: {n: np.arange(3.0) for n in theirs}}
    found = bench.compare(ORIGINAL, change(opt_level="disabled"), "onnxruntime", ONCE)
    assert [row.name for row in found.outputs] == rows
    assert all(row.equal for row in found.outputs)
    assert len(found.notes) == len(notes)
    assert all(expected in note for expected, note in zip(notes, found.notes, strict=True))


def test_tolerance_is_that_of_the_roughest_precision(bench, stage):
    rough = "all int8-dynamic of dynamo None"
    stage.outputs = {
        BASE: {"y": np.array([1.0])},
        rough: {"y": np.array([1.05])},
        DISABLED: {"y": np.array([1.05])},
    }
    (row,) = bench.compare(ORIGINAL, change(optimize=("int8-dynamic",)), "onnxruntime", ONCE).outputs
    assert (row.tolerance, row.equal) == (0.1, True)
    (row,) = bench.compare(ORIGINAL, change(opt_level="disabled"), "onnxruntime", ONCE).outputs
    assert (row.tolerance, row.equal) == (1e-4, False)


def test_end_stops_every_worker_and_removes_the_files(bench, stage, tmp_path):
    bench.compare(ORIGINAL, ORIGINAL, "onnxruntime", ONCE)
    bench.compare(ORIGINAL, ORIGINAL, "torch", ONCE)
    assert len(stage.running) == 2
    assert list(tmp_path.iterdir())
    bench.close()
    assert stage.running == []
    assert list(tmp_path.iterdir()) == []
    bench.compare(ORIGINAL, ORIGINAL, "onnxruntime", ONCE)
    assert len(stage.running) == 1


def test_interruption_stops_everything(stage, tmp_path, monkeypatch):
    def interrupted(self, command):
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeWorker, "run", interrupted)
    source = resolve_source(ORIGINAL)
    with (
        pytest.raises(KeyboardInterrupt),
        Bench(ORIGINAL, source, interrupts=Interrupts(), progress=NoProgress()) as made,
    ):
        made.compare(ORIGINAL, ORIGINAL, "onnxruntime", ONCE)
    assert stage.running == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("hears", [False, True])
def test_engines_may_speak_where_somebody_wants_to_hear_them(stage, hears):
    class Watching(NoProgress):
        hears_engines = hears

    watching = Watching()
    with Bench(ORIGINAL, resolve_source(ORIGINAL), interrupts=Interrupts(), progress=watching) as made:
        made.compare(ORIGINAL, ORIGINAL, "onnxruntime", ONCE)
        assert {worker.hear for worker in stage.running} == {watching.hear if hears else None}
        assert {SPEAKS in worker.environment for worker in stage.running} == {hears}


def test_settings_of_the_variant_are_told(bench):
    found = bench.compare(ORIGINAL, change(threads=1), "onnxruntime", ONCE)
    assert (found.settings["threads"], found.baseline_settings["threads"]) == ("1", "2")
    assert found.settings["execution_mode"] == "sequential"
    assert found.settings["shapes"] == "static"


class TestOtherBuild:
    """Another interpreter for one side only, and profiles beside the plain blocks."""

    OTHER = change(ort_python="other/python")

    def test_only_the_variant_runs_in_the_other_interpreter(self, bench, stage):
        seen = []
        stage.on_start = lambda worker: seen.append((worker.engine, worker.interpreter))
        found = bench.compare(ORIGINAL, self.OTHER, "onnxruntime", ONCE)
        assert [python for engine, python in seen if engine == "onnxruntime"] == [
            sys.executable,
            "other/python",
        ]
        assert {python for engine, python in seen if engine != "onnxruntime"} == {sys.executable}
        assert not found.same
        assert found.profiles is None

    def test_interpreter_of_the_original_is_that_of_the_baseline(self, stage):
        seen = []
        stage.on_start = lambda worker: seen.append((worker.engine, worker.interpreter))
        source = resolve_source(ORIGINAL)
        with Bench(self.OTHER, source, interrupts=Interrupts(), progress=NoProgress()) as bench:
            bench.compare(self.OTHER, change(ort_python="third/python"), "onnxruntime", ONCE)
        assert [python for engine, python in seen if engine == "onnxruntime"] == [
            "other/python",
            "third/python",
        ]

    def test_profiled_blocks_follow_the_plain_ones_of_each_round(self, bench, stage):
        found = bench.compare(ORIGINAL, self.OTHER, "onnxruntime", replace(ONCE, rounds=4), profiled=True)
        blocks = [c.profiled for _, c in stage.log if isinstance(c, Run) and c.lead_in]
        assert blocks == [False, False, True, True] * 4
        table = found.profiles.latencies
        assert {len(table.blocks(role, "profiled")) for role in ("torch", "onnxruntime")} == {4}
        assert found.baseline_ns == found.variant_ns == ((10 * MS,) * 2,) * 4

    def test_profiles_of_all_launches_are_kept_apart_by_side(self, bench, stage):
        effort = Effort(launches=3, rounds=6, tolerance=0)
        found = bench.compare(ORIGINAL, self.OTHER, "onnxruntime", effort, profiled=True)
        assert len(stage.of(Finish)) == 6
        for side, python in zip(found.profiles.sides, (sys.executable, "other/python"), strict=True):
            events = json.loads(side.profile.read_text())
            assert len(events) == 3
            assert all(event["name"].endswith(f"of {python}") for event in events)
            # The times of later launches are counted from the zero of the first.
            assert sorted(event["ts"] for event in events) == [0, 2000, 4000]
            assert side.facts.python == python
            assert side.optimized.name == "optimized.onnx"
        assert [file.name for file in found.profiles.graphs] == ["exported.onnx"]

    def test_later_comparison_starts_its_baseline_anew_and_profiles_nothing(self, bench, stage):
        bench.compare(ORIGINAL, self.OTHER, "onnxruntime", ONCE, profiled=True)
        assert stage.running == []
        stage.log.clear()
        bench.compare(ORIGINAL, change(opt_level="disabled"), "onnxruntime", ONCE)
        assert not any(command.profiled for command in (*stage.of(Open), *stage.of(Run)))

    def test_side_that_cannot_write_its_profile_is_told_apart(self, bench, stage):
        stage.fails = {BASE: Finish}
        with pytest.raises(BaselineError):
            bench.compare(ORIGINAL, self.OTHER, "onnxruntime", ONCE, profiled=True)
