import dataclasses
import json

import numpy as np
import pytest

from attrib.analysis import pipeline
from attrib.analysis.pipeline import STAGES, AnalysisState, analyze
from attrib.errors import AttribError, InternalError
from attrib.traces.directory.trace_directory import TraceDirectory, open_directory

FILLED_IN = {
    "read": {"latency", "plain", "headline"},
    "partition": {"partitions", "unusable"},
    "match": {"strangers", "graphs", "regions", "values", "chain", "keeping"},
    "ledger": {"ledger", "judgement", "trails"},
    "findings": {"evidence", "experiments", "findings"},
    "document": {"document"},
}


@pytest.fixture(scope="module")
def sample(root):
    return open_directory(root / "sample_traces" / "distilbert-base-uncased")


def known(state: AnalysisState) -> set[str]:
    return {name for name in AnalysisState.__slots__ if hasattr(state, name)} - {"directory"}


def test_each_stage_fills_in_its_own_fields_and_no_others(sample):
    assert [stage.__name__ for stage in STAGES] == list(FILLED_IN)
    state = AnalysisState(sample)
    for stage in STAGES:
        before = known(state)
        stage(state)
        assert known(state) - before == FILLED_IN[stage.__name__]
    assert sum(row.delta_ns for row in state.ledger.rows) == state.headline.latency.delta_ns.median
    assert state.document.ledger == state.ledger.rows


def test_a_trace_without_steps_says_what_it_lacks(tmp_path):
    kernel = {"ph": "X", "cat": "kernel", "name": "f", "pid": 0, "tid": 7, "ts": 5, "dur": 1, "args": {}}
    (tmp_path / "gpu.json").write_text(json.dumps({"schemaVersion": 1, "traceEvents": [kernel]}))
    run = {
        "cat": "Session",
        "pid": 1,
        "tid": 1,
        "dur": 9,
        "ts": 1,
        "ph": "X",
        "name": "model_run",
        "args": {},
    }
    node = run | {"cat": "Node", "dur": 5, "name": "a_kernel_time", "args": {"op_name": "Add"}}
    (tmp_path / "ort.json").write_text(json.dumps([node, run]))
    document = analyze(open_directory(tmp_path)).document
    assert (
        "gpu.json: holds no step: record the host's operators too, with ProfilerActivity.CPU"
        in document.warnings
    )
    assert "torch" not in document.profiled


def failing(error: Exception):
    def fail(_: AnalysisState) -> None:
        raise error

    return fail


def test_a_bug_names_its_stage_and_the_stages_that_ran(sample, monkeypatch):
    monkeypatch.setattr(pipeline, "STAGES", (pipeline.read, failing(InternalError("the sum is wrong"))))
    with pytest.raises(
        InternalError, match=r"the sum is wrong \(in stage `fail` of the analysis, after read\)"
    ):
        analyze(sample)


def test_an_unexpected_error_keeps_its_type_and_notes_its_stage(sample, monkeypatch):
    monkeypatch.setattr(pipeline, "STAGES", (failing(ZeroDivisionError()),))
    with pytest.raises(ZeroDivisionError) as caught:
        analyze(sample)
    assert caught.value.__notes__ == ["in stage `fail` of the analysis, after none"]


def test_an_error_of_the_user_is_passed_on_as_it_is(sample, monkeypatch):
    error = AttribError("the file is damaged")
    monkeypatch.setattr(pipeline, "STAGES", (failing(error),))
    with pytest.raises(AttribError) as caught:
        analyze(sample)
    assert caught.value is error
    assert not hasattr(error, "__notes__")


ROUNDS_OF_A_LAUNCH = 2
LAUNCHES, ROUNDS = 4, 8
"""Of the sample."""


def watched(table, disturbed=lambda _: False):
    """The steps as launches of two rounds, on a machine that shows which rounds were disturbed."""
    waited = np.array([disturbed(block) for block in table.block.tolist()])
    more = {
        "launch": table.block // ROUNDS_OF_A_LAUNCH,
        "elapsed_ns": np.full(len(table), 10**9),
        "waiting_ns": np.where(waited, 10**9, 0),
        "copy_ns": np.full(len(table), 10**7),
    }
    return dataclasses.replace(table, more=more)


def analyzed(sample, monkeypatch, disturbed=lambda _: False):
    table = watched(sample.latency(), disturbed)
    monkeypatch.setattr(TraceDirectory, "latency", lambda _: table)
    return analyze(sample)


def test_a_capture_of_launches_rests_on_them_in_every_figure(sample, monkeypatch):
    state = analyzed(sample, monkeypatch)
    latency, document = state.document.latency, state.document
    assert (latency.launches, state.ledger.sampling.launches, state.evidence.launches) == (LAUNCHES,) * 3
    steps = [
        np.concatenate([its for n, its in state.plain["torch"].items() if n // ROUNDS_OF_A_LAUNCH == launch])
        for launch in range(LAUNCHES)
    ]
    assert latency.torch_ns.median == round(np.mean([np.median(its) for its in steps]))
    assert sum(row.delta_ns for row in document.ledger) == latency.delta_ns.median
    assert all(row.low_ns <= row.delta_ns <= row.high_ns for row in (*document.ledger, *document.causes))
    assert [launch.copy_ns for launch in document.state.launches] == [10**7] * LAUNCHES
    assert {block.launch for block in document.plain_blocks} == set(range(LAUNCHES))
    assert "error" not in {finding.state for finding in document.findings}
    quiet = next(check for check in document.comparability if check.check == "Quiet machine")
    assert (quiet.state, document.judgement.busy) == ("passed", False)


def test_disturbed_rounds_stay_in_the_document_and_do_not_count(sample, monkeypatch):
    some = analyzed(sample, monkeypatch, lambda block: block in (1, 5)).document
    assert some.judgement.rounds == ROUNDS - 2
    assert {block.number for block in some.plain_blocks if not block.counted} == {1, 5}
    assert len(some.plain_ns["torch"]) == ROUNDS - 2
    assert not some.judgement.busy
    assert "disturbed (its threads waited for a processor)" in some.judgement.reasons[0]


def test_a_busy_machine_is_said_and_all_its_rounds_count(sample, monkeypatch):
    busy = analyzed(sample, monkeypatch, lambda block: block != 5).document
    assert (busy.judgement.busy, busy.judgement.inconclusive, busy.judgement.rounds) == (True, False, 1)
    assert len(busy.plain_ns["torch"]) == ROUNDS
    failed = {check.check for check in busy.comparability if check.state == "failed"}
    assert "Quiet machine" in failed
    assert analyzed(sample, monkeypatch, lambda _: True).document.judgement.inconclusive
