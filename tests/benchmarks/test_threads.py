"""What the threads' benchmark counts as right, as an error and as a wrong claim; and that every situation can be run."""

import re
from pathlib import Path

import pytest
from msgspec.structs import replace
from threads import finished, line, listing, totals
from threads_hand import Saving, Side, factory, saving_of
from threads_list import SITUATIONS, ort, torch
from threads_score import Blamed, Outcome, Said, score
from threads_situation import Expected, Hand, Situation

from attrib.findings.registry import RULES

pytestmark = pytest.mark.filterwarnings("ignore")
"""PyTorch deprecates what threads are about: scripts, and the exporter that traces."""

HAND = Saving(before_ns=5_000_000, after_ns=4_000_000, saving_ns=1_000_000, low_ns=900_000, high_ns=1_100_000)
GRAPH = Situation(
    name="graph-1",
    thread="https://example.org/1",
    conclusion="Slices are copied.",
    model="slices_assigned",
    expected=Expected(rules=("layout-churn",), causes=("layout",), direction="slower", names=("ScatterND",)),
    hand=Hand(before=ort("slices_assigned"), after=ort("slices_joined"), means="joined"),
)


def _said(rule: str = "layout-churn", saving: int = 1_050_000, text: str = "96 ScatterND move data") -> Said:
    return Said(rule=rule, text=text, saving_ns=saving, low_ns=saving - 50_000, high_ns=saving + 50_000)


def _blamed(cause: str = "layout", delta: int = 1_200_000, *ops: str) -> Blamed:
    return Blamed(cause=cause, torch_ns=0, onnxruntime_ns=delta, delta_ns=delta, ops=ops or ("ScatterND",))


def _outcome(*findings: Said, causes: tuple[Blamed, ...] = (), hand: Saving | None = HAND) -> Outcome:
    return Outcome(
        situation=GRAPH.name,
        torch_ns=4_000_000,
        onnxruntime_ns=5_000_000,
        delta_ns=1_000_000,
        significant=True,
        findings=findings,
        causes=causes,
        hand=hand,
    )


# Right


def test_the_first_finding_is_right_and_its_saving_is_the_figure() -> None:
    scored = score(GRAPH, _outcome(_said(), _said("slower-kernel")))

    assert scored.right
    assert scored.figure_ns == 1_050_000
    assert scored.error == pytest.approx(0.05)
    assert not scored.wrong


def test_an_expected_finding_behind_another_one_is_not_right() -> None:
    assert not score(GRAPH, _outcome(_said("thread-mismatch"), _said())).right


@pytest.mark.parametrize("rule", ["unstable-measurement", "unmatched-time", "profiler-overhead"])
def test_a_finding_about_the_recording_is_passed_over(rule: str) -> None:
    scored = score(GRAPH, _outcome(_said(rule, 0), _said()))

    assert scored.right
    assert scored.finding == "layout-churn"


def test_a_finding_that_names_something_else_is_not_right() -> None:
    assert not score(GRAPH, _outcome(_said(text="12 Transpose move data"))).right


def test_the_first_cause_is_right_where_no_finding_is_and_gives_the_figure() -> None:
    scored = score(GRAPH, _outcome(causes=(_blamed(),)))

    assert scored.right
    assert scored.figure_ns == 1_200_000


@pytest.mark.parametrize(
    "cause",
    [_blamed("kernel"), _blamed("layout", -1_200_000), _blamed("layout", 1_200_000, "Transpose")],
    ids=["another one", "the other direction", "another op"],
)
def test_a_cause_is_not_right(cause: Blamed) -> None:
    assert not score(GRAPH, _outcome(causes=(cause, _blamed()))).right


def test_a_cause_that_the_first_screen_does_not_name_is_not_the_first() -> None:
    scored = score(GRAPH, _outcome(causes=(replace(_blamed(), named=False),)))

    assert not scored.right
    assert not scored.cause


def test_what_explains_has_the_direction_that_the_thread_found() -> None:
    explains = replace(_said(), saving_ns=0, explains_ns=-700_000)

    assert not score(GRAPH, _outcome(explains)).right


def test_a_saving_by_hand_that_is_not_certain_gives_no_error() -> None:
    scored = score(GRAPH, _outcome(_said(), hand=replace(HAND, low_ns=-1)))

    assert scored.right
    assert scored.error is None


def test_only_the_headline_is_asked_where_the_thread_only_compares_warm_steps() -> None:
    warm = replace(GRAPH, expected=Expected(direction="slower"), figure="headline")

    assert score(warm, _outcome()).figure_ns == 1_000_000
    assert not score(warm, replace(_outcome(), significant=False)).right
    assert not score(warm, replace(_outcome(), delta_ns=-1_000_000)).right


# Wrong claims


NOTHING = replace(GRAPH, expected=Expected(absent=("layout-churn",)))
NOTHING_BY_HAND = Saving(
    before_ns=5_000_000, after_ns=5_000_000, saving_ns=10_000, low_ns=-20_000, high_ns=40_000
)
"""A situation in which the change gains nothing."""


def test_a_saving_where_by_hand_there_is_none_is_a_wrong_claim_and_not_right() -> None:
    scored = score(NOTHING, _outcome(_said(), hand=NOTHING_BY_HAND))

    assert not scored.right
    assert scored.wrong == ("layout-churn saves 1,050 µs, by hand 10",)


def test_no_saving_where_there_is_none_is_right() -> None:
    scored = score(NOTHING, _outcome(_said("slower-kernel"), hand=NOTHING_BY_HAND))

    assert scored.right
    assert not scored.wrong


def test_a_capture_that_failed_is_not_right() -> None:
    assert not score(NOTHING, Outcome(situation="graph-1", error="UsageError: no")).right


def test_a_saving_far_beyond_the_one_by_hand_is_a_wrong_claim() -> None:
    assert score(GRAPH, _outcome(_said(saving=2_000_000))).wrong
    assert not score(GRAPH, _outcome(_said(saving=1_200_000))).wrong, "beyond it, and within the room"


def test_a_wide_interval_that_reaches_the_saving_by_hand_claims_nothing_wrong() -> None:
    assert not score(GRAPH, _outcome(replace(_said(saving=2_000_000), low_ns=1_000_000))).wrong


def test_the_saving_of_a_rule_that_the_change_does_not_test_is_not_judged() -> None:
    assert not score(GRAPH, _outcome(_said("duplicated-work", 4_000_000))).wrong


def test_work_on_one_side_that_both_have_is_a_wrong_claim() -> None:
    extra = _blamed("extra_work", 400_000, "Resize")

    assert score(GRAPH, _outcome(causes=(extra,))).wrong == ("extra_work 8% of the step: Resize",)
    assert not score(replace(GRAPH, one_sided=("extra_work",)), _outcome(causes=(extra,))).wrong
    assert not score(GRAPH, _outcome(causes=(_blamed("extra_work", 90_000, "Resize"),))).wrong


# By hand


def test_the_saving_by_hand_is_the_median_round_within_its_interval() -> None:
    rounds = [(5_000.0 + drift, 4_000.0 + drift) for drift in (0, 100, -100, 3_000)]
    saving = saving_of([rounds, rounds])

    assert saving.saving_ns == 1_000
    assert saving.low_ns <= saving.saving_ns <= saving.high_ns


def test_launches_that_disagree_widen_the_interval() -> None:
    saving = saving_of([[(5_000.0, 4_000.0)] * 8, [(5_000.0, 4_900.0)] * 8])

    assert (saving.low_ns, saving.high_ns) == (100, 1_000)


# The table and its file


def test_what_an_interruption_cut_short_and_what_failed_is_run_again(tmp_path: Path) -> None:
    file = tmp_path / "results"
    file.write_text('{"situation": "a", "delta_ns": 3}\n{"situation": "b", "error": "no"}\n{"situation": "c"')

    assert list(finished(file)) == ["a"]


def test_a_row_links_its_thread_and_the_totals_stand_beside_the_goals() -> None:
    row = GRAPH, _outcome(_said()), score(GRAPH, _outcome(_said()))

    assert line(row).startswith("| [graph-1](https://example.org/1) | layout-churn, cause layout slower |")
    assert "1 of 1 right (100%, goal 90%)" in totals([row])


# The situations


def test_there_are_enough_situations_and_each_has_a_name_and_an_address() -> None:
    assert len(SITUATIONS) >= 25
    assert len({situation.name for situation in SITUATIONS}) == len(SITUATIONS)
    assert all(re.fullmatch(r"https://\S+/\d+", situation.thread) for situation in SITUATIONS)


def test_the_document_lists_them_as_they_are() -> None:
    document = Path(__file__).parents[2] / "docs" / "truth.md"

    assert listing() in document.read_text(encoding="utf-8"), (
        "`threads.py --list` prints the list for docs/truth.md"
    )


@pytest.mark.parametrize("situation", [s for s in SITUATIONS if s.name != "pages-2931"], ids=lambda s: s.name)
def test_every_rule_that_is_expected_exists(situation: Situation) -> None:
    known = {rule.id for rule in RULES}

    assert {*situation.expected.rules, *situation.expected.absent} <= known


def _sides() -> dict[str, Side]:
    return {
        f"{situation.name}-{which}": side
        for situation in SITUATIONS
        if situation.hand
        for which, side in (("before", situation.hand.before), ("after", situation.hand.after))
    }


@pytest.mark.engines
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({s.model for s in SITUATIONS if "-" not in s.model}))
def test_every_factory_builds_a_model_that_takes_its_inputs(name: str) -> None:
    import torch as engine

    module, inputs = factory(name)()

    with engine.inference_mode():
        module.eval()(**inputs) if isinstance(inputs, dict) else module.eval()(*inputs)


@pytest.mark.engines
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({side.file for side in _sides().values() if side.file}))
def test_every_file_is_an_onnx_model(name: str, tmp_path: Path) -> None:
    import onnx
    from threads_files import BUILDERS

    onnx.checker.check_model(onnx.load(BUILDERS[name](tmp_path)))


@pytest.mark.engines
@pytest.mark.slow
@pytest.mark.parametrize("side", _sides().values(), ids=_sides())
def test_both_sides_of_every_change_run(side: Side, tmp_path: Path) -> None:
    from threads_hand import built

    prepare, step = built(side, tmp_path)

    prepare()
    step()


@pytest.mark.engines
@pytest.mark.slow
def test_a_change_is_measured_in_processes_of_their_own() -> None:
    from threads_hand import measure

    saving = measure(torch("many_layers"), ort("many_layers"), launches=1, rounds=2)

    assert saving.before_ns > 0
    assert saving.after_ns > 0


@pytest.mark.engines
@pytest.mark.slow
def test_a_side_that_cannot_be_built_says_why() -> None:
    from threads_hand import measure

    with pytest.raises(RuntimeError, match="no factory is called nothing"):
        measure(ort("nothing"), ort("many_layers"), launches=1, rounds=1)
