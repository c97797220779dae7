"""Names that come from strangers become ids that are distinct."""

from hypothesis import given
from hypothesis import strategies as st

from attrib.model.work import distinct


def test_repeated_names_are_numbered_and_others_kept():
    assert distinct(["a", "b", "a"]) == ["a#1", "b", "a#2"]


def test_a_name_that_looks_like_a_number_is_passed_over():
    assert distinct(["a", "a", "a#1"]) == ["a#2", "a#3", "a#1"]


@given(st.lists(st.text(alphabet="a#12", max_size=4), max_size=12))
def test_ids_are_distinct_whatever_the_names(names):
    found = distinct(names)
    assert len(set(found)) == len(names)
    assert all(new == old or new.startswith(f"{old}#") for old, new in zip(names, found, strict=True))
