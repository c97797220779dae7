"""The comment on a pull request: verdict first, bounded, and inert whatever it is made of."""

import re

import msgspec
import pytest

from attrib.model.document import EvidenceRow, Gap
from attrib.report.markdown.summary import to_markdown
from attrib.report.markdown.text import code, escape
from attrib.report.view.operators import LINES
from tests.report.factory import (
    HOSTILE,
    document,
    hostile,
    huge,
    mismatched,
    not_significant,
    one_sided,
    tried_document,
)

SUM = "| **Sum** | 120.245 | 64.391 | **−55.854** | |"


def test_verdict_is_the_first_line():
    lines = to_markdown(document()).splitlines()
    assert lines[0] == "**ONNX Runtime is 1.87× faster than PyTorch**"
    assert lines[2] == "64.4 ms against 120.2 ms a step; difference −55.9 ± 1.8 ms, 95 % interval"
    assert lines[4].startswith("Why: kernel speed −48.8 ms, ")


def test_one_table_of_causes_ends_with_the_sum():
    text = to_markdown(document())
    assert "| ▼ Kernel speed | 104.563 | 55.775 | −48.788 | −49.203 to −48.373 |" in text
    assert SUM in text
    table = text[text.index("| Cause") : text.index(SUM)].splitlines()
    assert len(table) == 2 + len(document().causes)
    assert {line.count("|") for line in table} == {6}


@pytest.mark.parametrize("limit", [2_500, 5_000, 10_000, 30_000, 60_000])
@pytest.mark.parametrize("make", [document, huge, tried_document])
def test_limit_in_bytes_holds_and_keeps_verdict_and_sum(make, limit):
    text = to_markdown(make(), limit_bytes=limit)
    assert len(text.encode()) <= limit
    assert text.startswith("**ONNX Runtime is ")
    assert "| **Sum** |" in text
    assert text.count("<details>") == text.count("</details>")


def operator_lines(text):
    """How many rows each line of the operator table sums, by what it is called, and the Δ of all lines and of the sum."""
    table = text[text.index("<summary>Matched operators") :].partition("</details>")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if re.match(r"\| [`o*]", line)]
    *lines, total = [(first.strip(), delta.strip()) for first, *_, delta, _ in rows]
    counted = {
        name: int((re.findall(r"(?:×|other \()([\d,]+)", name) or ["1"])[0].replace(",", ""))
        for name, _ in lines
    }
    return counted, [delta for _, delta in lines], total[1]


@pytest.mark.parametrize("make", [document, huge])
@pytest.mark.parametrize("limit", [5_000, 60_000])
def test_lines_hold_every_row_once(make, limit):
    text = to_markdown(make(), limit_bytes=limit)
    counted, deltas, total = operator_lines(text)
    assert sum(counted.values()) == len(make().ledger)
    figures = [float(text.strip("*").replace("−", "-").replace(",", "")) for text in (*deltas, total)]
    assert sum(figures[:-1]) == pytest.approx(figures[-1], abs=0.0006 * len(figures))


def test_repeated_layers_are_one_line_with_sum_mean_and_range():
    counted, _, _ = operator_lines(to_markdown(document()))
    name = next(name for name in counted if "encoder.layer.*.intermediate.dense/linear" in name)
    assert counted[name] == 12
    assert re.fullmatch(
        r"`encoder\.layer\.\*\.intermediate\.dense/linear` ×12<br>mean −[\d.]+, −[\d.]+ to −[\d.]+", name
    )
    assert not any(re.search(r"layer\.\d", name) for name in counted)
    assert len(counted) <= LINES + 1


def test_unmatched_work_is_folded_with_its_total_and_the_way_to_look_deeper():
    text = to_markdown(document())
    block = text[text.index("Not matched: ") :]
    block = block[: block.index("</details>")]
    assert re.search(
        r"^Not matched: 12 calls of PyTorch \(0\.0\d\d ms\) and \d+ nodes of ONNX Runtime", block
    )
    assert "| `encoder.layer.{0..11}.output` | PyTorch | `aten::dropout ×12` |" in block
    assert "`attrib explain TRACE_DIR NAME`" in block


def findings_40():
    """Forty findings, each as long as those of a real report."""
    failed = [finding for finding in document().findings if finding.state == "failed"]
    many = [
        msgspec.structs.replace(finding, id=f"{finding.id}-{number}")
        for number in range(40 // len(failed) + 1)
        for finding in failed
    ]
    return document(findings=tuple(many[:40]))


def nodes_3000():
    """3,000 rows of which no two are alike."""
    rows = [
        msgspec.structs.replace(row, module=f"part_{_letters(n)}") for n, row in enumerate(huge(3_000).ledger)
    ]
    return document(rows=tuple(rows))


def _letters(number):
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


@pytest.mark.parametrize(
    "make", [document, mismatched, one_sided, not_significant, hostile, huge, nodes_3000, findings_40]
)
def test_every_case_stays_below_the_limit(make):
    assert len(to_markdown(make()).encode()) <= 60_000


def test_forty_findings_leave_nothing_out():
    text = to_markdown(findings_40())
    assert len(re.findall("<summary>[▲▼●] <b>", text)) == 40
    assert "<summary>Matched operators" in text


def test_the_sample_leaves_nothing_out_and_stays_far_below_the_limit(sample_analysis):
    text = to_markdown(sample_analysis.document)
    counted, _, _ = operator_lines(text)
    assert sum(counted.values()) == len(sample_analysis.document.ledger)
    assert "Checks, environment, method" in text
    assert len(text.encode()) <= 40_000


def test_wrong_outputs_stand_before_the_causes():
    text = to_markdown(mismatched())
    assert text.index("❌ **The outputs differ") < text.index("| Cause")
    assert text.index("equal threads: PyTorch used 2") < text.index("| Cause")


def _prose(text: str) -> str:
    """The text without fenced blocks and code spans, which nothing is read into."""
    text = re.sub(r"(?ms)^(`{3,})$.*?^\1$", "", text)
    return re.sub(r"(?s)(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", text)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_opens_nothing(text):
    finding = msgspec.structs.replace(
        document().findings[0], title=text, summary=text, fix=text, evidence=(EvidenceRow(text=text),)
    )
    whole = to_markdown(document(findings=(finding,), command=text, warnings=(text,)))
    assert whole.count("<br>") == to_markdown(document()).count("<br>")
    made = _prose(whole)
    assert set(re.findall(r"<[^!][^>]*>", made)) <= {
        "<details>",
        "</details>",
        "<summary>",
        "</summary>",
        "<b>",
        "</b>",
        "<br>",
    }
    paragraphs = "\n".join(line for line in made.splitlines() if not line.startswith("<details>"))
    assert "](" not in paragraphs
    assert "\\<" not in paragraphs
    assert not re.search(r"@\w|(?<!\\)#\d|://|[\x00-\x09\x0b-\x1f\u202e\ud800-\udfff]", made)


def test_prose_escapes_markup_but_keeps_code():
    assert escape("use `--opset 23` *now*") == "use `--opset 23` \\*now\\*"
    assert escape("<b>@me</b>") == "&lt;b&gt;@<!-- -->me&lt;/b&gt;"


def test_nothing_becomes_a_mention_a_reference_or_a_link():
    assert escape("@me #12 http://x.org www.x.org") == (
        "@<!-- -->me \\#<!-- -->12 http:<!-- -->//x.org www<!-- -->.x.org"
    )


def test_code_spans_survive_backticks_and_bars():
    assert code("a`b") == "`` a`b ``"
    assert code("a|b") == "`a\\|b`"
    assert code("") == ""


def test_same_document_gives_the_same_text():
    assert to_markdown(hostile()) == to_markdown(hostile())


def test_missing_evidence_is_said_with_its_cost_and_its_cure():
    gap = Gap(what="the graph that ran", cost="rewrites are unknown", how="set it")
    assert "the graph that ran: rewrites are unknown. To record it: set it" in to_markdown(
        document(gaps=(gap,))
    )
