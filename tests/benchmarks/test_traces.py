"""The benchmark of the readers: its arithmetic, its verdicts, what it does with a reader that fails. Nothing is timed."""

import gzip
import json
import math
import sys
from pathlib import Path

import pytest
from command import Pair, parts_of, reached
from command_plan import plan_of, step_seconds
from peers import ATTRIB, GC_OFF, HTA, JSON, READERS, SIMDJSON
from peers_scan import scan
from recordings import Trace, checked, packed, plans, public
from recordings_kineto import steps_for
from recordings_ort import runs_for
from traces import repeats
from traces_figures import Measured, ratio, verdicts
from traces_measure import Limits, Sample, Task, in_turn, is_due, measure, missing, rounds, sample_from
from traces_tables import file_table, growth_table, verdict_table

from attrib.traces.directory.trace_directory import open_directory

MB = 10**6
LIMITS = Limits(seconds=60, memory=0, patience=10)


def trace(size: int = 300 * MB, *, kind: str = "kineto", public: bool = False) -> Trace:
    return Trace(name=f"{kind} {size // MB}", kind=kind, file="x.json", size=size, complete=10, public=public)


def sample(seconds: float, peak: int = 100 * MB) -> Sample:
    return Sample(seconds=seconds, processor=seconds, peak=peak, complete=10)


def measured(of: Trace, **labels: list) -> Measured:
    return Measured(of, {label.replace("_", " "): samples for label, samples in labels.items()})


def found(rows: list, beside: str) -> list[tuple[str, str]]:
    return [(row.work, row.reached) for row in rows if row.beside == beside]


def events(count: int) -> list[dict]:
    return [
        {"ph": "X", "name": f"a }},{{ {i}", "cat": "cpu_op", "pid": 1, "tid": 1, "ts": i, "dur": 1,
         "args": {"Input Dims": [[1, 2], []]}}
        for i in range(count)
    ]  # fmt: skip


@pytest.fixture
def kineto(tmp_path: Path) -> Path:
    """Larger than one block, so that it is cut between events."""
    file = tmp_path / "trace.json"
    file.write_text(json.dumps({"schemaVersion": 1, "traceEvents": events(9000), "traceName": "t[1]"}))
    return file


def test_ratios_are_taken_within_a_round_and_their_median_is_shown():
    one = measured(trace(), attrib=[sample(1), sample(2), sample(1)], other=[sample(4), sample(4), None])
    assert ratio(one, "other", ATTRIB) == (3.0, 2.0, 4.0)


def test_a_reader_that_never_ended_has_no_ratio_and_its_reason_is_shown():
    failed = Sample(error="out of memory")
    one = measured(trace(), attrib=[sample(1)], other=[failed, None])
    assert ratio(one, "other", ATTRIB) is None
    assert "| other | out of memory |" in file_table(one)


@pytest.mark.parametrize(("theirs", "state"), [(2.9, "NO"), (3.0, "must"), (4.9, "must"), (5.0, "aim")])
def test_a_large_trace_is_judged_beside_json_load(theirs: float, state: str):
    one = Measured(trace(), {ATTRIB: [sample(1)], JSON: [sample(theirs)]})
    assert found(verdicts([one]), JSON) == [("Kineto trace >= 300 MB", state)]


def test_the_floor_is_a_ratio_that_may_not_be_exceeded():
    for floor, state in ((0.2, "aim"), (0.1, "must"), (0.09, "NO")):
        one = Measured(trace(), {ATTRIB: [sample(1)], SIMDJSON: [sample(floor)]})
        assert found(verdicts([one]), SIMDJSON) == [("any of these", state)]


def test_public_traces_have_bounds_of_their_own_whatever_their_size():
    one = Measured(
        trace(50 * MB, public=True),
        {ATTRIB: [sample(1)], JSON: [sample(1.6)], GC_OFF: [sample(2.5)], HTA: [sample(4)]},
    )
    rows = verdicts([one])
    assert [row.reached for row in rows] == ["must", "aim", "NO"]


def test_small_recordings_are_judged_by_their_growth_only():
    small = Measured(trace(50 * MB), {ATTRIB: [sample(1)], JSON: [sample(1)]})
    assert verdicts([small]) == []
    large = Measured(trace(500 * MB), {ATTRIB: [sample(11.6)]})
    row = next(row for row in verdicts([large, small]) if row.work == "time per MB")
    assert (row.file, row.beside, row.reached) == ("kineto 500", "kineto 50", "NO")
    assert row.value == pytest.approx(1.16)


@pytest.mark.parametrize(("peak", "state"), [(180, "aim"), (270, "must"), (271, "NO")])
def test_memory_is_judged_beyond_what_every_process_needs(peak: int, state: str):
    one = Measured(trace(300 * MB), {ATTRIB: [sample(1, peak * MB)]})
    assert found(verdicts([one]), "file size") == [("peak memory, file >= 300 MB", state)]


def test_gzip_is_judged_by_time_and_by_memory():
    one = Measured(trace(50 * MB), {ATTRIB: [sample(1)], f"{ATTRIB}, gzip": [sample(1.4, 120 * MB)]})
    assert found(verdicts([one]), "the plain file") == [
        ("gzip input, time", "must"), ("gzip input, peak memory", "NO"),
    ]  # fmt: skip


def test_tables_show_another_number_of_events_and_leave_out_what_was_not_measured():
    odd = Sample(seconds=2, processor=2, peak=1, complete=9)
    one = Measured(trace(), {ATTRIB: [sample(1)], "odd": [odd], "failed": [Sample(error="more than 3 s")]})
    text = file_table(one)
    assert "odd: 9 complete events" in text
    assert "nan" not in text
    failed = Measured(trace(), {ATTRIB: [Sample(error="x")]})
    assert verdicts([failed]) == []
    assert growth_table([failed]).count("\n") == 2
    assert "| >= 3x | >= 5x | NO |" in verdict_table(
        verdicts([Measured(trace(), {ATTRIB: [sample(1)], JSON: [sample(1)]})])
    )


def test_slow_readers_repeat_as_long_as_the_patience_lasts_and_failed_ones_never():
    other, ours = (Task(reader=name, file=Path(), python="") for name in (JSON, ATTRIB))
    assert is_due(other, [], 10)
    assert is_due(other, [sample(5)], 10)
    assert not is_due(other, [sample(6)], 10)
    assert not is_due(other, [Sample(error="out of memory")], 10)
    assert is_due(ours, [sample(600), sample(600)], 10)


def test_attrib_reads_in_the_middle_of_a_round_and_the_others_take_turns():
    plain, packed = (Task(reader=ATTRIB, file=Path(), python="", way=way) for way in ("plain", "gzip"))
    others = [Task(reader=name, file=Path(), python="") for name in "bcd"]
    orders = ["".join(task.reader[0] for task in in_turn([plain, packed, *others], i)) for i in range(3)]
    assert orders == ["baacd", "caadb", "daabc"]
    assert in_turn([plain, packed, *others], 1)[1:3] == [packed, plain]
    assert in_turn([plain], 3) == [plain]


def test_processor_time_is_shown_beside_the_wall_time_that_is_judged():
    slow = Sample(seconds=4, processor=2, peak=1)
    one = Measured(trace(), {ATTRIB: [Sample(seconds=2, processor=0.5, peak=1)], JSON: [slow]})
    row = next(row for row in verdicts([one]) if row.beside == JSON)
    assert (row.value, row.processor, row.reached) == (2.0, 4.0, "NO")
    assert "| 2.00x (2.00 to 2.00) | 4.00x |" in verdict_table([row])


def test_large_files_are_read_less_often():
    assert [repeats(size * MB, 5) for size in (50, 303, 1001)] == [5, 3, 2]
    assert repeats(50 * MB, 1) == 1


def test_an_orderly_end_a_kill_and_an_exception_are_told_apart():
    assert sample_from(b"x\n" + json.dumps({"seconds": 1.5, "peak": 5}).encode(), b"", 0, 9).peak == 9
    assert sample_from(b"", b"", -9, 0).error == "out of memory"
    assert sample_from(b"", b"Traceback\nValueError: no", 1, 0).error == "ValueError: no"


def test_a_read_in_a_process_of_its_own_finds_the_same_events(kineto: Path):
    for reader in (ATTRIB, JSON, GC_OFF):
        task = Task(reader=reader, file=kineto, python=sys.executable)
        one = measure(task, LIMITS)
        assert (one.error, one.complete) == ("", 9000)
        assert one.peak > 5 * MB
        assert not math.isnan(one.seconds)


def test_compressed_files_and_pipes_hold_the_same_events(kineto: Path):
    one = Trace(name="t", kind="kineto", file=kineto.name, size=kineto.stat().st_size, complete=9000)
    for way in ("gzip", "zstd"):
        assert packed(one, kineto.parent, way, print).stat().st_size < one.size
    task = Task(
        reader=ATTRIB, file=packed(one, kineto.parent, "gzip", print), python=sys.executable, way="gzip"
    )
    piped = Task(reader=ATTRIB, file=kineto, python=sys.executable, way="pipe")
    samples = rounds([task, piped], 2, LIMITS, print)
    assert {s.complete for label in samples for s in samples[label]} == {9000}


def test_a_reader_that_takes_too_long_or_too_much_memory_is_reported(kineto: Path):
    task = Task(reader=JSON, file=kineto, python=sys.executable)
    assert measure(task, Limits(seconds=0.001, memory=0, patience=1)).error == "more than 0 s"
    big = kineto.with_name("big.json")
    big.write_text(json.dumps(events(400_000)))
    task = Task(reader=JSON, file=big, python=sys.executable)
    assert measure(task, Limits(seconds=60, memory=150 * MB, patience=1)).error == "out of memory"


def test_what_an_interpreter_lacks_is_found_without_importing_it():
    assert missing(sys.executable, [ATTRIB, JSON]) == []
    assert set(missing(sys.executable, list(READERS))) <= set(READERS) - {ATTRIB, JSON, GC_OFF}


@pytest.mark.parametrize("separators", [(",", ":"), (",\n ", " : ")])
def test_the_scan_counts_every_event_of_either_format(tmp_path: Path, separators: tuple[str, str]):
    file = tmp_path / "t.json"
    for document in (events(9000), {"a": [1], "traceEvents": events(9000), "z": "]"}):
        file.write_text(json.dumps(document, separators=separators))
        assert scan(file, json.loads) == 9000


def test_the_scan_refuses_a_file_without_an_end(kineto: Path):
    kineto.write_bytes(kineto.read_bytes()[:-40])
    with pytest.raises(ValueError, match="does not end"):
        scan(kineto, json.loads)


def test_recordings_are_checked_for_their_end_and_their_events(kineto: Path, tmp_path: Path):
    assert checked(kineto) == 9000
    kineto.write_bytes(kineto.read_bytes()[:-10])
    with pytest.raises(ValueError, match="cut short"):
        checked(kineto)
    empty = tmp_path / "empty.json"
    empty.write_text("[]")
    with pytest.raises(ValueError, match="no complete events"):
        checked(empty)


def test_events_are_counted_across_the_pieces_that_the_file_is_read_in(kineto: Path, monkeypatch):
    for size in (7, 97, 4096):
        monkeypatch.setattr("recordings.CHUNK", size)
        assert checked(kineto) == 9000


def test_public_traces_are_unpacked_once(kineto: Path, tmp_path: Path):
    source = tmp_path / "public"
    source.mkdir()
    (source / "gpu.json.gz").write_bytes(gzip.compress(kineto.read_bytes()))
    first = public(source, tmp_path, print)
    assert [(one.name, one.complete, one.public) for one in first] == [("gpu", 9000, True)]
    (source / "gpu.json.gz").write_bytes(b"")
    assert public(source, tmp_path, print)[0].size == first[0].size


def test_steps_follow_from_what_a_step_was_measured_to_take():
    assert steps_for(1000, (120, 200)) == 91  # 10 bytes a step beside 100 once
    assert runs_for(1_000_000, (30, 130)) == 100_000  # 10 a run beside 10 once
    assert [plan.name for plan in plans([50, 300, 1000])] == [
        "Kineto 50 MB", "Kineto 300 MB", "Kineto 1 GB", "ORT 50 MB", "ORT 300 MB", "ORT million events",
    ]  # fmt: skip


def test_the_plan_of_the_reference_runs_as_many_steps_as_the_capture_did(root: Path):
    folder = root / "sample_traces" / "bert-base-uncased"
    plan = plan_of(folder)
    blocks = plan["warm-up"] + plan["measure"]
    manifest = json.loads((folder / "manifest.json").read_bytes())
    protocol = manifest["protocol"]
    per_round = protocol["iterations"] + protocol["profiled_iterations"]
    table = open_directory(folder).latency()
    for role in ("torch", "onnxruntime"):
        steps = sum(block["steps"] for block in blocks if block["role"] == role)
        lead_ins = sum(block["lead_in"] for block in blocks if block["role"] == role)
        assert lead_ins == 2 * protocol["rounds"]
        # The first step of a block counts as warm-up.
        warm_up = len(table.select(role, "warmup")) - lead_ins
        assert warm_up >= protocol["launches"] * 3 + manifest["sides"][role]["warmup"]
        assert steps == warm_up + protocol["rounds"] * per_round
    assert step_seconds(folder) > 1


def test_the_remainder_of_the_command_is_split_by_phase():
    phases = {"load": 2.0, "export": 3.0, "sessions": 1.0, "measure": 10.0, "calibrate": 2.0}
    parts = {"load and export": 4.0, "sessions": 1.0, "measure": 9.0, "end": 0.5, "steps": 8.0}
    one = Pair(command=20.0, reference=15.0, phases=phases, parts=parts, steps=8.0)
    slower = one._replace(command=23.0, steps=11.0)
    assert slower.even == pytest.approx(one.ratio) == pytest.approx(20 / 15)
    assert slower.ratio > slower.even
    rows = parts_of(one)
    assert rows["load and export"] == (5.0, 4.0)
    assert rows["calibrate"] == (2.0, 0.0)
    assert sum(ours for ours, _ in rows.values()) == pytest.approx(one.command)
    assert sum(theirs for _, theirs in rows.values()) == pytest.approx(one.reference)
    assert one.inside == pytest.approx(20 / 14)
    assert [reached(value) for value in (1.1, 1.15, 1.3, 1.31)] == ["aim", "aim", "must", "NO"]
