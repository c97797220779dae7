"""Phrases for a reader: counts agree with their noun, and lists end before they tire."""

import pytest

from attrib.wording import counted, listed, spans


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 rows"), (1, "1 row"), (3, "3 rows"), (1200, "1,200 rows")]
)
def test_a_noun_agrees_with_its_count(count, text):
    assert counted(count, "row") == text


def test_a_plural_of_its_own_is_used():
    assert [counted(count, "entry", "entries") for count in (1, 2)] == ["1 entry", "2 entries"]


def test_a_list_ends_with_how_many_more_there_are():
    assert listed(["a", "b"]) == "a, b"
    assert listed(["a", "b", "c", "d", "e", "f"]) == "a, b, c, d and 2 more"
    assert listed([]) == ""


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], ""), ([3], "3"), ([1, 2, 4], "1, 2, 4"), ([2, 3, 4, 5, 6], "2 to 6"), ([1, 3, 4, 5], "1, 3 to 5")],
)
def test_numbers_in_a_row_are_a_span(numbers, text):
    assert spans(numbers) == text
