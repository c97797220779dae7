import pytest

from attrib.analysis import pipeline
from attrib.analysis.pipeline import STAGES, AnalysisState, analyze
from attrib.errors import AttribError, InternalError
from attrib.traces.directory.trace_directory import open_directory

FILLED_IN = {
    "read": {"latency", "plain", "headline"},
    "partition": {"partitions"},
    "match": {"graphs", "regions", "chain"},
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
