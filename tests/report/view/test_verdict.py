"""The words and figures of every first screen: no more than the measurement supports, and the same in every format."""

import io
import json
import re

import msgspec
import pytest
from rich.console import Console

from attrib.findings.comparability.checks import CHECKS
from attrib.model.document import Check, Judgement, Ratio
from attrib.report.html.page import to_html
from attrib.report.json_report import from_json, to_json
from attrib.report.markdown.summary import to_markdown
from attrib.report.terminal.summary import print_summary
from attrib.report.view.verdict import judgement_of, verdict_of
from tests.report.factory import document, mismatched, not_significant, one_sided, slower_document
from tests.report.screens import (
    SCREENS,
    busy,
    busy_without_a_difference,
    cause,
    foreign,
    inconclusive,
    microseconds,
    quiet,
    same,
    tiny_nodes,
)

WORDS = {
    "quiet": (
        "ONNX Runtime is 1.37× faster than PyTorch (1.30 to 1.44)",
        "134.9 ms against 185.1 ms a step; difference −50.2 ms (−53.4 to −46.7), 95 % interval",
        (
            "Why: kernel speed −41.9 ms, framework overhead −11.3 ms, fused operators +3.2 ms."
            " Not explained: −0.2 ms (−3.1 to +3.2)."
        ),
    ),
    "busy": (
        "ONNX Runtime looks faster, but this machine was busy: between 1.1× and 1.9×",
        "137 ms against 187 ms a step; difference −50 ms (−144 to −17), 95 % interval",
        "The split is not reliable: −78 to +305 ms of a step are not explained.",
    ),
    "busy-same": (
        (
            "No significant difference between ONNX Runtime and PyTorch, but this machine was busy:"
            " between 1.22× slower and 1.93× faster"
        ),
        "137 ms against 187 ms a step; difference −50 ms (−144 to +40), 95 % interval",
        "The split is not reliable: −78 to +305 ms of a step are not explained.",
    ),
    "inconclusive": (
        "Inconclusive: this machine was busy",
        "380 ms against 420 ms a step while other programs ran: no interval of it can be believed",
        "Neither the difference nor its causes can be told.",
    ),
    "microseconds": (
        "ONNX Runtime is 2.35× faster than PyTorch (2.29 to 2.40)",
        "17.10 µs against 40.10 µs a step; difference −23.00 µs (−23.60 to −22.50), 95 % interval",
        "Why: framework overhead −22.3 µs, kernel speed −2.4 µs. Not explained: +1.3 µs (−0.8 to +3.7).",
    ),
    "tiny-nodes": (
        "ONNX Runtime is 13.9× faster than PyTorch (13.5 to 14.4)",
        "3.10 ms against 43.10 ms a step; difference −40.00 ± 0.60 ms, 95 % interval",
        "The difference is sure, but the split is not reliable: +81.9 to +124.1 ms of a step are not explained.",
    ),
    "same": (
        "No significant difference between PyTorch (B) and PyTorch (A)",
        (
            "25.68 ms against 25.61 ms a step; difference +0.07 ± 0.68 ms, 95 % interval:"
            " PyTorch (B) is between 1.03× slower and 1.02× faster"
        ),
        "Not explained: −0.03 ms (−0.30 to +0.20).",
    ),
    "cancel": (
        "No significant difference between ONNX Runtime and PyTorch",
        "120.5 ms against 120.2 ms a step; difference +0.2 ± 1.8 ms, 95 % interval",
        (
            "Causes that cancel out: copies +56.1 ms, kernel speed −48.8 ms, fused operators −8.5 ms."
            " Not explained: +1.70 ± 0.18 ms."
        ),
    ),
    "foreign": (
        "No comparison: no plain step was timed",
        "",
        "PyTorch: only profiled steps were recorded; ONNX Runtime: only profiled steps were recorded",
    ),
    "one-engine": (
        "No comparison: one side is missing",
        "PyTorch took 120.2 ± 1.4 ms a step (95 % interval)",
        "ONNX Runtime: failed: ONNX Runtime could not create the session: opset 99 is not supported",
    ),
    "old": (
        "ONNX Runtime is 1.87× faster than PyTorch",
        "64.4 ms against 120.2 ms a step; difference −55.9 ± 1.8 ms, 95 % interval",
        (
            "Why: kernel speed −48.8 ms, fused operators −8.5 ms, framework overhead −2.5 ms."
            " Not explained: +1.70 ± 0.18 ms."
        ),
    ),
    "unfair": (
        "ONNX Runtime is 1.87× faster than PyTorch, but the outputs differ and “equal threads” does not hold",
        "64.4 ms against 120.2 ms a step; difference −55.9 ± 1.8 ms, 95 % interval",
        (
            "Why: kernel speed −48.8 ms, fused operators −8.5 ms, framework overhead −2.5 ms."
            " Not explained: +1.70 ± 0.18 ms."
        ),
    ),
}
WORDS["outlier"] = WORDS["quiet"]


def flat(text: str) -> str:
    return " ".join(text.replace("\u00a0", " ").split())


@pytest.mark.parametrize("name", SCREENS)
def test_first_screen_says_exactly_this(name):
    verdict = verdict_of(SCREENS[name]())
    assert (verdict.sentence, verdict.figures, verdict.why) == WORDS[name]


@pytest.mark.parametrize("name", SCREENS)
def test_every_format_says_the_same(name):
    made = SCREENS[name]()
    sentence, figures, why = WORDS[name]
    page = flat(re.sub(r"<[^>]+>", " ", to_html(made, interactive=False).decode()))
    stream = io.StringIO()
    print_summary(made, Console(file=stream, width=100))
    terminal = flat(stream.getvalue())
    markdown = flat(to_markdown(made).replace("\\", ""))
    for text in filter(None, (sentence, figures, why)):
        assert text in page
        assert text in terminal
        assert text in markdown
    assert to_markdown(made).replace("\\", "").startswith(f"**{sentence}**\n")
    assert json.loads(to_json(made))["verdict"]["sentence"] == sentence


def test_verdict_of_the_json_is_for_programs():
    told = json.loads(to_json(busy()))["verdict"]
    reasons = ["8 of 12 plain rounds stayed disturbed: the last attempt at each counts"]
    assert told == {
        "sentence": WORDS["busy"][0],
        "ratio": {"value": 1.37, "low": 1.12, "high": 1.93},
        "interval_ns": {"median": -50_300_000, "low": -143_600_000, "high": -16_700_000},
        "split_reliable": False,
        "busy": True,
        "significant": True,
        "reasons": reasons,
    }
    assert from_json(to_json(busy())) == busy()


def test_verdict_of_the_json_has_no_figures_where_nothing_was_compared():
    told = json.loads(to_json(one_sided()))["verdict"]
    assert told["ratio"] is None
    assert told["interval_ns"] is None
    assert not told["significant"]
    assert told["reasons"][0] == "one side is missing"


def test_reasons_of_the_json_hold_the_failed_conditions():
    told = json.loads(to_json(mismatched()))["verdict"]
    assert told["reasons"] == ["the outputs differ", "“equal threads” does not hold"]


@pytest.mark.parametrize("name", ["busy", "busy-same", "inconclusive", "tiny-nodes"])
def test_no_cause_is_named_where_the_split_is_not_reliable(name):
    verdict = verdict_of(SCREENS[name]())
    assert "Why" not in verdict.why
    assert "kernel" not in verdict.why
    assert not verdict.split_reliable


@pytest.mark.parametrize("make", [busy, inconclusive, same, busy_without_a_difference])
def test_sure_is_said_only_of_a_significant_difference_of_a_quiet_machine(make):
    assert "sure" not in verdict_of(make()).why
    assert "sure" in verdict_of(tiny_nodes()).why


def test_a_difference_that_conditions_speak_against_is_not_called_sure():
    check = Check(check="Same precision", state="failed", detail="", title="The precisions differ")
    verdict = verdict_of(msgspec.structs.replace(tiny_nodes(), comparability=(check,)))
    assert "sure" not in verdict.why
    assert verdict.sentence.endswith("than PyTorch (13.5 to 14.4), but the precisions differ")


def test_a_busy_machine_is_said_once_and_after_the_conditions():
    check = Check(check="Same precision", state="failed", detail="", title="The precisions differ")
    made = msgspec.structs.replace(busy(), comparability=(*busy().comparability, check))
    assert verdict_of(made).sentence == (
        "ONNX Runtime looks faster, but the precisions differ and this machine was busy: between 1.1× and 1.9×"
    )
    wrong = msgspec.structs.replace(inconclusive(), outputs=mismatched().outputs)
    assert verdict_of(wrong).sentence == "Inconclusive: the outputs differ and this machine was busy"


def test_many_failed_conditions_are_counted():
    checks = tuple(
        Check(check=condition.name, state="failed", detail="", title=condition.failed)
        for condition in CHECKS
        if condition.name in {"Same precision", "Same threads", "No drift"}
    )
    assert verdict_of(msgspec.structs.replace(quiet(), comparability=checks)).sentence == (
        "ONNX Runtime is 1.37× faster than PyTorch (1.30 to 1.44), but the precisions differ and 2 more conditions of"
        " a fair comparison do not hold"
    )


@pytest.mark.parametrize(
    ("title", "clause"),
    [
        ("PyTorch ran in training mode or recorded gradients", "but PyTorch ran in training mode"),
        ("The numbers of threads differ", "but the numbers of threads differ"),
        ("An engine was held back", "but an engine was held back"),
        ("Autocast on one side", "but autocast on one side"),
        (" ", "but  "),
        ("TF32 on one side", "but TF32 on one side"),
        ("float32 products are rounded differently", "but float32 products are rounded differently"),
    ],
)
def test_a_failed_condition_goes_into_the_sentence_by_its_title(title, clause):
    check = Check(check="x", state="failed", detail="", title=title)
    assert clause in verdict_of(msgspec.structs.replace(quiet(), comparability=(check,))).sentence


def test_another_device_is_said_first_and_once():
    finding = msgspec.structs.replace(
        document().findings[0], id="provider-not-used", title="CUDA was not used"
    )
    check = Check(
        check="Requested provider used", state="failed", detail="", title="A requested provider is missing"
    )
    made = msgspec.structs.replace(mismatched(), findings=(finding,), comparability=(check,))
    assert verdict_of(made).sentence.endswith(
        "but the requested execution provider was not used and the outputs differ"
    )


def test_slower_turns_the_ratio_round():
    verdict = verdict_of(slower_document())
    assert verdict.tone == "slower"
    assert verdict.sentence == "ONNX Runtime is 1.87× slower than PyTorch"
    latency = msgspec.structs.replace(slower_document().latency, ratio=Ratio(value=0.5, low=0.4, high=0.625))
    turned = verdict_of(msgspec.structs.replace(slower_document(), latency=latency))
    assert turned.sentence == "ONNX Runtime is 2.0× slower than PyTorch (1.6 to 2.5)"


def test_slower_on_a_busy_machine_turns_the_range_round():
    latency = msgspec.structs.replace(
        slower_document().latency, ratio=Ratio(value=0.5, low=0.4, high=0.625), significant=True
    )
    judgement = Judgement(significant=True, busy=True, rounds=2)
    made = msgspec.structs.replace(slower_document(), latency=latency, judgement=judgement)
    assert verdict_of(made).sentence == (
        "ONNX Runtime looks slower, but this machine was busy: between 1.6× and 2.5×"
    )


def test_one_start_of_the_engines_is_said_quietly():
    once = msgspec.structs.replace(quiet(), latency=msgspec.structs.replace(quiet().latency, launches=1))
    assert verdict_of(once).remark == (
        "Each engine was started once: another start may differ by more than these intervals say."
    )
    assert verdict_of(quiet()).remark == ""


def test_what_was_disturbed_is_said_quietly_and_once():
    reasons = (
        "2 of 28 blocks were disturbed and measured again",
        "the split is not reliable: up to 61 % of the step",
    )
    judgement = msgspec.structs.replace(quiet().judgement, reasons=reasons[:1])
    assert verdict_of(msgspec.structs.replace(quiet(), judgement=judgement)).remark == f"{reasons[0]}."
    judgement = msgspec.structs.replace(tiny_nodes().judgement, reasons=reasons)
    assert verdict_of(msgspec.structs.replace(tiny_nodes(), judgement=judgement)).remark == f"{reasons[0]}."
    assert verdict_of(busy()).remark == "", "the failed condition says it"


def test_a_ratio_that_seems_known_does_not_contradict_a_difference_that_is_not():
    latency = msgspec.structs.replace(
        busy_without_a_difference().latency, ratio=Ratio(value=5, low=2, high=15)
    )
    made = msgspec.structs.replace(busy_without_a_difference(), latency=latency)
    assert verdict_of(made).sentence == (
        "No significant difference between ONNX Runtime and PyTorch, but this machine was busy"
    )


def test_a_cause_in_the_noise_is_never_named():
    judgement = msgspec.structs.replace(quiet().judgement, named=("framework",))
    named = verdict_of(msgspec.structs.replace(quiet(), judgement=judgement)).why
    assert named.startswith("Why: framework overhead −11.3 ms. Not explained")
    judgement = msgspec.structs.replace(judgement, named=())
    assert verdict_of(msgspec.structs.replace(quiet(), judgement=judgement)).why.startswith(
        "No single cause stands out of the noise."
    )


def test_remainders_are_not_named_as_causes():
    judgement = msgspec.structs.replace(quiet().judgement, named=("unattributed", "kernel"))
    assert verdict_of(msgspec.structs.replace(quiet(), judgement=judgement)).why.startswith(
        "Why: kernel speed −41.9 ms. Not explained"
    )


def test_a_report_without_judgement_is_judged_by_its_intervals():
    judged = judgement_of(msgspec.structs.replace(quiet(), judgement=Judgement()))
    assert judged.named == quiet().judgement.named
    assert judged.split_reliable
    old = judgement_of(msgspec.structs.replace(busy(), judgement=Judgement()))
    assert not old.split_reliable
    assert old.named == ()
    assert judgement_of(busy()) == busy().judgement


def test_remainders_that_cancel_out_are_told_side_by_side():
    rest = msgspec.structs.replace(
        cause("profiler_overhead", 0.5, -1, 2), torch_ns=-40_000_000, onnxruntime_ns=-39_500_000
    )
    causes = (*(c for c in tiny_nodes().causes if c.cause == "kernel"), rest)
    made = msgspec.structs.replace(tiny_nodes(), causes=causes)
    told = "−40.0 ms of PyTorch's profiled step and −39.5 ms of ONNX Runtime's are not explained."
    assert verdict_of(made).why.endswith(told)
    assert not judgement_of(msgspec.structs.replace(made, judgement=Judgement())).split_reliable


@pytest.mark.parametrize("make", [foreign, not_significant, microseconds, same])
def test_no_ratio_is_claimed_without_a_significant_difference(make):
    verdict = verdict_of(make())
    assert verdict.significant == ("×" in verdict.sentence)
