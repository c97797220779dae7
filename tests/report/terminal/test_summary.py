"""The summary on the terminal: readable at 80 columns, without color, and with hostile strings."""

import io
import re

import msgspec
import pytest
from rich.console import Console

from attrib.model.document import Gap
from attrib.report.terminal.summary import print_summary
from tests.report.factory import (
    document,
    hostile,
    mismatched,
    not_significant,
    one_sided,
    slower_document,
    tried_document,
)


def printed(made, width: int = 80, **options) -> str:
    stream = io.StringIO()
    print_summary(made, Console(file=stream, width=width, **options))
    return stream.getvalue()


def flat(text: str) -> str:
    return " ".join(text.split())


def test_verdict_is_the_first_thing_and_complete():
    text = flat(printed(document()))
    assert text.startswith(
        "ONNX Runtime is 1.87× faster than PyTorch 64.4 ms against 120.2 ms a step; difference −55.9 ± 1.8 ms, 95 % "
        "interval Why: kernel speed −48.8 ms, fused operators −8.5 ms, framework overhead −2.5 ms. Not explained: +1.70"
    )


def test_causes_are_in_one_unit_with_sign_interval_and_bar():
    lines = printed(document()).splitlines()
    kernel = next(line for line in lines if "Kernel speed  " in line)
    small = next(line for line in lines if "6 smaller causes" in line)
    assert re.search(r"−48\.8 +−49\.2 to −48\.4 +█+│", kernel)
    assert re.search(r"\+2\.2 +\+2\.2 to \+2\.3 +│█", small)
    assert next(line for line in lines if line.startswith("PyTorch")).split()[1] == "120.2"


def test_findings_say_what_to_do_and_what_it_gave():
    text = flat(printed(document()))
    assert "saves at most 1.140 ± 0.060 ms fix: Keep attention whole: `attrib profile --opset 23`" in text
    assert "verified: saved 1.05 ± 0.20 ms, outputs equal" in text
    assert "▼ 36 fusions save time in ONNX Runtime explains −8.54 ms" in text


@pytest.mark.parametrize(
    "make", [document, slower_document, not_significant, one_sided, mismatched, tried_document, hostile]
)
@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal(make, width):
    assert max(map(len, printed(make(), width).splitlines())) <= width


def test_wrong_outputs_come_first_and_unfairness_before_the_causes():
    text = printed(mismatched())
    assert text.startswith("!! The outputs differ")
    assert text.index("equal threads: PyTorch used 2") < text.index("Kernel speed")


def test_one_side_shows_its_operators_and_the_reason():
    text = flat(printed(one_sided("onnxruntime")))
    assert "No comparison: one side is missing" in text
    assert "PyTorch: failed: " in text
    assert "Gemm 48.5 ms 67.6 %" in text


def test_noise_is_said_in_words():
    base = document()
    causes = tuple(msgspec.structs.replace(c, low_ns=-(10**6), high_ns=10**6) for c in base.causes)
    lines = [
        line for line in printed(document(causes=causes)).splitlines() if line.rstrip().endswith("noise")
    ]
    assert [re.split(" {2,}", line)[1] for line in lines] == [
        "Kernel speed",
        "Fused operators",
        "Framework overhead",
        "6 smaller causes",
        "Not explained",
    ]


def test_no_color_keeps_every_word(monkeypatch):
    colored = printed(document(), force_terminal=True, color_system="truecolor")
    monkeypatch.setenv("NO_COLOR", "1")
    plain = printed(document(), force_terminal=True)
    assert re.search(r"\x1b\[[0-9;]*3[36]m", colored)
    assert not re.search(r"\x1b\[[0-9;]*3\dm", plain)
    assert re.sub(r"\x1b\[[0-9;]*m", "", plain) == re.sub(r"\x1b\[[0-9;]*m", "", colored)


def test_hostile_strings_are_neither_markup_nor_control():
    text = printed(hostile(), width=400)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
    assert "[bold red]markup[/]" in text
    assert "\\x1b[31mred" in text
    assert "L" * 500 not in text


def test_old_terminals_get_plain_marks():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    print_summary(document(), Console(file=stream, width=80))
    stream.flush()
    text = stream.buffer.getvalue().decode()
    assert re.search(r"Kernel speed +\S+ +\S+ to \S+ +#+\|", text)
    assert "\n+ 12 attention calls" in text


def test_unmatched_time_and_the_way_to_look_deeper_are_shown():
    text = flat(printed(document()))
    assert re.search(r"not matched: 12 calls of PyTorch \(0\.\d+ ms\) and \d+ nodes of ONNX Runtime", text)
    assert "`attrib explain TRACE_DIR NAME` shows what is behind a node" in text


def test_missing_evidence_is_said_with_its_cost_and_its_cure():
    gap = Gap(what="the graph that ran", cost="rewrites are unknown", how="set it")
    assert "the graph that ran: rewrites are unknown to record it: set it" in flat(
        printed(document(gaps=(gap,)))
    )
