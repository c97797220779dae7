"""Strings of strangers: visible, bounded, and usable in a link."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrib.report.view.operators import unique_anchors
from attrib.report.view.text import anchor, code_spans, count_names, make_visible, shorten

anything = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 中 ×", "plain é 中 ×"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x1b[31m\x00\x9b", "\\x1b[31m\\x00\\x9b"),
        ("abc\u202edef", "abc\\u{202e}def"),
        ("bad\ud800", "bad\\u{d800}"),
        ("\u2028", "\\u{2028}"),
    ],
)
def test_what_cannot_be_seen_is_escaped(text, shown):
    assert make_visible(text) == shown


@given(anything)
def test_visible_text_can_be_encoded_and_stays_as_it_is(text):
    shown = make_visible(text)
    assert make_visible(shown) == shown
    assert shown.encode().decode() == shown


def test_line_ends_stay_where_they_are_meant():
    assert make_visible("a\r\nb\x07", keep_newlines=True) == "a\nb\\x07"


@given(anything, st.integers(8, 200))
def test_shortened_text_keeps_both_ends(text, limit):
    short = shorten(text, limit)
    assert len(short) == min(len(text), limit)
    assert short[:4] == text[:4]
    assert short[-2:] == text[-2:]


@given(anything)
def test_anchor_is_a_bounded_fragment(text):
    assert re.fullmatch(r"[\w/:@.~$()*+,;=%-]{0,100}", anchor(text), re.ASCII)


def test_usual_row_ids_are_their_own_anchors():
    name = "encoder.layer.0.attention.self.query/linear:kernel"
    assert anchor(name) == name


@given(st.lists(anything, max_size=20))
def test_different_ids_have_different_anchors(ids):
    anchors = unique_anchors(ids)
    assert len(set(anchors.values())) == len(set(ids))


def test_long_ids_with_one_beginning_are_told_apart():
    assert anchor("x" * 10_000) != anchor("x" * 10_001)


def test_code_is_what_stands_between_backticks():
    assert code_spans("raise `--warmup` now") == [("raise ", False), ("--warmup", True), (" now", False)]
    assert code_spans("`a`") == [("a", True)]
    assert code_spans("it`s") == [("it`s", False)]
    assert code_spans("`a` and `b") == [("a", True), (" and `b", False)]


@given(anything)
def test_splitting_at_code_loses_nothing_but_backticks(text):
    assert "".join(part for part, _ in code_spans(text)).replace("`", "") == text.replace("`", "")


def test_repeated_names_are_counted_in_order():
    assert count_names(("MatMul", "Softmax", "MatMul")) == ("MatMul ×2", "Softmax")
