"""What was tried: predicted beside measured, misses marked, hostile strings inert, in every rendering."""

import io
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from attrib.findings.registry import RULES
from attrib.model.document import Finding
from attrib.model.estimate import Delta, Estimate, Ratio
from attrib.report.json_report import from_json, to_json
from attrib.report.markdown.summary import to_markdown
from attrib.report.terminal.summary import print_summary
from attrib.report.view.dot_chart import chart_row, common_axis
from attrib.report.view.experiment_row import experiment_row
from attrib.report.view.experiments import PROVE_HINT, divide_ratios
from attrib.report.view.experiments import experiments_of as view_experiments
from tests.report.factory import (
    HOSTILE,
    document,
    experiments_of,
    hostile_experiments,
    mismatched,
    tried_document,
)
from tests.report.html.test_page import Page, static


def printed(made) -> str:
    stream = io.StringIO()
    print_summary(made, Console(file=stream, width=400))
    return " ".join(stream.getvalue().split())


def words(made) -> str:
    return Page(static(made)).words


def by_id(name: str):
    return next(result for result in experiments_of() if result.id == name)


RENDERINGS = {
    "html": words,
    "markdown": lambda made: to_markdown(made).replace("\\", ""),
    "terminal": printed,
}


@pytest.fixture(params=RENDERINGS.values(), ids=RENDERINGS)
def shown(request):
    return request.param


def test_predicted_stands_beside_measured(shown):
    text = shown(tried_document())
    assert "predicted 3.10 ± 0.30 ms, measured 2.90 ± 0.65 ms of 64.4 ms: agrees" in text
    assert "predicted at most 400 µs (0 to 500), measured 80 ± 120 µs of 64.4 ms: agrees" in text


def test_a_miss_is_marked_with_the_reason_found(shown):
    text = shown(tried_document())
    assert re.search(
        r"measured 150 ± 100 µs of 64\.4 ms: missed ?: ONNX Runtime already removes them", text
    ), "beside its finding"
    assert text.count("missed") >= 2, "and in the table"


def test_what_gave_no_figure_says_why(shown):
    text = shown(tried_document())
    for reason in (
        "timed out: no step within 600 s",
        "unavailable: onnxslim is not installed",
        "failed: the optimizer raised KeyError",
    ):
        assert reason in text


def test_the_best_configuration_comes_first_with_what_to_type(shown):
    text = shown(tried_document())
    assert "It saves 3.90 ± 0.50 ms of a step (64.40 ms before, 60.50 ms after, in one run)" in text
    command = "attrib profile --model bert-base-uncased --seq-len 128 --opset 23 --session-option"
    assert (
        text.index("Best configuration found") < text.index(command) < text.rindex("Threads that do not spin")
    )


def test_declared_changes_show_how_far_the_outputs_are(shown):
    text = shown(tried_document())
    place = text.index("In ONNX Runtime, with changed outputs")
    assert text.index("beyond the tolerance of 0.0001: max abs 0.02, cosine 0.9991") > place
    assert text.index("Optimization disabled") < place < text.index("Dynamic int8")


def test_what_pytorch_could_have_is_told_by_ratios_that_were_measured_side_by_side(shown):
    text = shown(tried_document())
    assert (
        "PyTorch compiled: 1.33× as fast as PyTorch as captured (1.32 to 1.35, measured side by side)" in text
    )
    assert "ONNX Runtime was 1.87× as fast as PyTorch in the capture (1.82 to 1.92)" in text
    assert "ONNX Runtime is 1.40× as fast as PyTorch with this change (1.36 to 1.45). This is derived" in text
    assert "90.00 ms per step" not in text, "a time of another run"


def test_fastest_pytorch_is_the_one_with_the_largest_ratio_not_with_the_shortest_time():
    """A run on a slow minute has longer steps, whatever it saves."""
    slow = msgspec.structs.replace(
        by_id("torch-compile"),
        title="On a slow minute",
        baseline_ns=Estimate(median=300_000_000, low=299_000_000, high=301_000_000, n=60),
        variant_ns=Estimate(median=150_000_000, low=149_000_000, high=151_000_000, n=60),
        saving_ns=Delta(median=150_000_000, low=148_000_000, high=152_000_000),
    )
    text = view_experiments(document(experiments=(by_id("torch-compile"), slow))).torch
    assert text.startswith("On a slow minute: 2.00× as fast")
    assert "0.93× as fast as PyTorch with this change" in text


def test_recorded_ratio_is_what_is_restated_and_a_derived_one_that_holds_1_says_so():
    told = msgspec.structs.replace(by_id("torch-compile"), ratio=Ratio(value=1.85, low=1.80, high=1.90))
    text = view_experiments(document(experiments=(told,))).torch
    assert "1.85× as fast as PyTorch as captured (1.80 to 1.90, measured side by side)" in text
    assert "(0.97 to 1.05): no significant difference." in text


ratios = st.builds(
    lambda value, down, up: Ratio(value=value, low=value * down, high=value * up),
    st.floats(0.01, 100),
    st.floats(0.2, 1),
    st.floats(1, 5),
)


@given(ratios, ratios)
def test_derived_ratio_is_less_sure_than_either_and_turns_around(first, second):
    derived = divide_ratios(first, second)
    assert derived.low <= derived.value <= derived.high
    assert derived.value == pytest.approx(first.value / second.value)
    for one in (first, second):
        assert derived.high / derived.low >= one.high / one.low * (1 - 1e-9)
    back = divide_ratios(second, first)
    assert (1 / back.high, 1 / back.low) == pytest.approx((derived.low, derived.high))


def test_nothing_is_restated_where_the_capture_is_inconclusive():
    base = tried_document()
    judgement = msgspec.structs.replace(base.judgement, inconclusive=True)
    assert view_experiments(tried_document(judgement=judgement)).torch == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"outputs_equal": False},
        {"significant": False},
        {"settled": False},
        {"changes_numbers": True},
        {"saving_ns": None},
    ],
)
def test_pytorch_without_the_same_outputs_or_a_sure_saving_does_not_restate_the_headline(changes):
    other = msgspec.structs.replace(by_id("torch-compile"), **changes)
    assert view_experiments(document(experiments=(other,))).torch == ""


def unsettled(name):
    """A result that is too wide to say anything."""
    facts = {
        "settled": False,
        "agrees": None,
        "significant": False,
        "note": "the interval reaches 9 ms to either side",
    }
    wide = Delta(median=1_300_000, low=-7_200_000, high=5_800_000)
    return msgspec.structs.replace(by_id(name), saving_ns=wide, **facts)


def test_what_is_not_settled_counts_neither_as_agreed_nor_as_missed(shown):
    results = tuple(
        unsettled("opset-23") if result.id == "opset-23" else result for result in experiments_of()
    )
    made = tried_document(experiments=results)
    text = shown(made)
    assert "1 of 3 predictions agreed with what was measured, 1 not settled" in text
    assert text.count("not settled") >= 2, "in the table, too"
    row = experiment_row(unsettled("opset-23"), "x")
    assert (row.agreement, row.doubt) == ("not settled", "noise")
    assert row.sentence.endswith(
        "1.3 ms (−7.2 to 5.8) of 64.4 ms: not settled: the interval reaches 9 ms to either side"
    )


def test_what_has_no_prediction_and_is_too_wide_is_not_called_noise(shown):
    row = experiment_row(unsettled("spinning-off"), "x")
    assert (row.agreement, row.doubt) == ("no prediction", "not settled")
    sure = msgspec.structs.replace(unsettled("spinning-off"), significant=True, busy=True)
    assert experiment_row(sure, "x").doubt == "not settled"
    text = shown(tried_document(experiments=(unsettled("spinning-off"),)))
    assert "not settled" in text
    assert "predictions agreed" not in text


def test_the_number_of_predictions_that_held_is_said(shown):
    assert "2 of 3 predictions agreed with what was measured" in shown(tried_document())


def test_nothing_tried_says_how_to_prove_only_where_a_failed_rule_has_an_experiment(shown, monkeypatch):
    rule = RULES[0]
    failed = Finding(id=rule.id, state="failed", title="it failed")
    for experiments, state, expected in ((("a",), "failed", 1), ((), "failed", 0), (("a",), "passed", 0)):
        known = msgspec.structs.replace(rule, experiments=experiments)
        monkeypatch.setattr("attrib.findings.registry.RULES", (known,))
        made = document(findings=(msgspec.structs.replace(failed, state=state),))
        assert shown(made).count("attrib verify TRACE_DIR") == expected
    assert "`attrib verify TRACE_DIR`" in PROVE_HINT


def test_something_tried_no_longer_says_how_to_prove(shown):
    assert "attrib verify TRACE_DIR" not in shown(tried_document())


def test_a_failed_check_shows_its_effect_and_its_fix(shown):
    text = shown(mismatched())
    assert "the side with more threads looks faster than its code is" in text
    assert re.search(r"o fix it: pass `?--threads 2`?", text)


def test_findings_link_to_their_experiments_and_every_link_leads_somewhere():
    page = Page(static(tried_document()))
    links = [link for link in page.attribute("href") if link.startswith("#experiment/")]
    assert "#experiment/opset-23" in links
    assert "#experiment/exporter" in links, "one that timed out is linked, too"
    assert {link[1:] for link in links} <= set(page.attribute("id"))


def test_the_script_can_be_copied_whole():
    data = static(tried_document()).decode()
    block = re.search(r'<pre id="best-snippet"[^>]*>(.*?)</pre>', data, re.DOTALL)
    assert block is not None
    assert "options.intra_op_num_threads = 2\n" in block[1]
    assert 'data-copy="best-snippet"' in data


def test_the_chart_needs_no_script_and_places_dots_by_their_saving():
    page = Page(static(tried_document()))
    assert len([1 for tag, attrs in page.tags if tag == "svg" and attrs.get("class") == "dots"]) == 7
    results = [by_id("opset-23"), by_id("nan-guard"), by_id("opt-level-disabled")]
    axis = common_axis(results)
    assert axis.high < 0.1, "shares of the step, because each was measured in a run of its own"
    best, guard, worse = (chart_row(result, axis) for result in results)
    assert float(guard.measured.x[:-1]) < float(best.measured.x[:-1])
    assert float(best.measured.low[:-1]) < float(best.measured.x[:-1]) < float(best.measured.high[:-1])
    assert guard.predicted.x is None, "a bound is a line without a dot"
    assert guard.predicted.low == guard.zero
    assert worse.measured.off, "a change that costs forty times as much does not press the others together"
    assert not best.measured.off


@pytest.mark.parametrize("saving", [0, -5, 10**15])
def test_an_axis_without_length_still_places_everything(saving):
    result = msgspec.structs.replace(
        by_id("spinning-off"), saving_ns=Delta(median=saving, low=saving, high=saving)
    )
    placed = chart_row(result, common_axis([result]))
    assert placed.measured.x.endswith("%")
    assert experiment_row(result, "").measured


def test_experiments_are_in_report_json_and_come_back():
    made = tried_document()
    assert from_json(to_json(made)).experiments == made.experiments


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_strings_of_an_experiment_are_text(text):
    result = msgspec.structs.replace(
        by_id("inverse-pairs"), id=text, title=text, flags=text, note=text, findings=("layout-churn",)
    )
    failed = msgspec.structs.replace(by_id("exporter"), reason=text, flags=text, title=text)
    best = msgspec.structs.replace(by_id("best"), snippet=text, flags=text, parts=(text,))
    made = tried_document(experiments=(result, failed, best), command=text)
    page = Page(static(made))
    assert len(page.scripts) == 3, "the data, the rows and the page's own script"
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on") or name == "style"]
    assert "\u202e" not in "".join(page.text) + to_markdown(made) + printed(made)
    assert "\x1b" not in to_markdown(made) + printed(made)


def test_many_hostile_experiments_keep_ids_unique_and_the_page_bounded():
    results = tuple(
        msgspec.structs.replace(result, id=f"{result.id}{number}")
        for number in range(10)
        for result in hostile_experiments()
    )
    made = tried_document(experiments=results)
    ids = Page(static(made)).attribute("id")
    assert len(ids) == len(set(ids))
    assert len(to_markdown(made).encode()) <= 60_000


def test_one_measured_once_without_a_comparison_of_outputs_says_so():
    assert (
        experiment_row(msgspec.structs.replace(by_id("opset-23"), outputs_equal=None), "x").outputs
        == "not compared"
    )
