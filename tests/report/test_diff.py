"""A diff in every format: the sentence first, columns that sum, and nothing of a stranger's that acts."""

import html
import json
import re

import jsonschema
import msgspec
import pytest

from attrib.comparison import compare
from attrib.report.files import render_diff
from attrib.report.schema import schema_of
from attrib.report.view.diff import diff_view
from tests.report.factory import HOSTILE, document, hostile, huge, ledger

FORMATS = ("html", "json", "markdown", "terminal")


def faster_by(share):
    """The same rows, each node by so much faster."""
    rows = []
    for row in ledger():
        ort = round(row.onnxruntime_ns * (1 - share)) if row.onnx_nodes else row.onnxruntime_ns
        less = ort - row.onnxruntime_ns
        rows.append(
            msgspec.structs.replace(
                row,
                onnxruntime_ns=ort,
                delta_ns=row.delta_ns + less,
                low_ns=row.low_ns + less,
                high_ns=row.high_ns + less,
            )
        )
    return document(tuple(rows))


@pytest.fixture(scope="module")
def diff():
    return compare(document(), faster_by(0.2), names=("yesterday", "today"))


def number(text):
    return float(text.replace("−", "-").replace(",", "").split()[0])


class TestView:
    def test_the_sentence_says_what_became_of_either_engine(self, diff):
        view = diff_view(diff)
        assert re.fullmatch(
            r"ONNX Runtime became 1\.2\d× faster \(1\.\d+ to 1\.\d+\), and PyTorch did not change significantly",
            view.sentence,
        )  # fmt: skip
        assert view.tone == "faster"
        assert "PyTorch 120.2 → 120.2 ms a step" in view.figures
        assert diff_view(compare(faster_by(0.2), document())).sentence.startswith("ONNX Runtime became 1.2")

    def test_no_change_and_no_comparison(self):
        same = diff_view(compare(document(), document()))
        assert (same.sentence, same.tone) == ("No significant change of ONNX Runtime and PyTorch", "same")
        other = msgspec.structs.replace(
            document(), workload=msgspec.structs.replace(document().workload, seq_len=64)
        )
        never = diff_view(compare(document(), other))
        assert never.sentence.startswith("These captures cannot be compared: the steps did different work")
        assert never.tone == "none"

    @pytest.mark.parametrize("most", [0, 1, 5, 25])
    def test_the_rows_that_are_shown_sum_to_the_last_one(self, diff, most):
        view = diff_view(diff, most_rows=most)
        for rows in (view.causes, view.work):
            assert sum(row.change_ns for row in rows[:-1]) == rows[-1].change_ns == diff.delta_ns.median
        assert len(view.work) <= most + 2

    def test_the_figures_of_a_row_are_in_the_unit_of_the_table(self, diff):
        for row in diff_view(diff).causes:
            assert number(row.after) - number(row.before) == pytest.approx(row.change_ns / 1e6, abs=0.0015)
            assert number(row.change) == pytest.approx(row.change_ns / 1e6, abs=0.6)


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_begins_with_the_sentence_and_gives_the_same_bytes(diff, format_):
    data = render_diff(diff, format_)
    assert data == render_diff(diff, format_)
    sentence = diff_view(diff).sentence
    text = data.decode()
    if format_ == "json":
        assert json.loads(text)["sentence"] == sentence
        return
    seen = re.sub(r"\s+|\\|<!-- -->", " ", text.replace("\u00a0", " "))
    assert sentence.split(" (")[0] in seen
    assert "yesterday" in seen


@pytest.mark.parametrize("format_", FORMATS)
def test_what_a_stranger_wrote_is_inert(format_):
    text = render_diff(compare(hostile(), document(), names=(HOSTILE[0], HOSTILE[1])), format_).decode()
    if format_ == "json":
        json.loads(text)
        return
    assert "\x1b" not in text
    assert "\u202e" not in text
    if format_ in ("html", "markdown"):
        outside = re.sub(r"(`+).*?\1", "", text) if format_ == "markdown" else text
        assert "<script" not in outside.lower()
        assert "<img" not in outside.lower()


def test_a_diff_of_large_models_stays_a_comment(diff):
    text = render_diff(compare(huge(), document()), "markdown")
    assert len(text) <= 60_000
    assert "Sum" in text.decode()


def test_the_page_has_no_script_and_loads_nothing(diff):
    text = render_diff(diff, "html").decode()
    assert "<script" not in text
    assert not re.search(r"(src|href)=\"(?!#)", text)
    assert "default-src 'none'" in html.unescape(text)
    assert len(text) < 200_000


def test_json_follows_its_schema(diff):
    schema = schema_of("diff")
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(render_diff(diff, "json")))
