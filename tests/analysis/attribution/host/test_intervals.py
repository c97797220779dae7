"""Owners on a timeline."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from attrib.analysis.attribution.host.intervals import innermost, nesting_order, owned_ns
from attrib.traces.recording.intervals import is_outermost, union_ns

spans = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 60), st.integers(0, 2)), max_size=25)


def arrays(items):
    start = np.array([s for s, _, _ in items], dtype=np.int64)
    duration = np.array([d for _, d, _ in items], dtype=np.int64)
    return start, start + duration, np.array([t for _, _, t in items], dtype=np.int64)


@given(spans)
def test_owned_time_is_the_union_to_the_nanosecond(items):
    start, end, track = arrays(items)
    owned = owned_ns(start, end, track)
    assert owned.sum() == union_ns(start, end - start)
    assert (owned >= 0).all()
    assert (owned <= end - start).all()


def test_an_instant_with_two_threads_is_shared_and_a_nested_node_takes_its_own_time():
    shared = owned_ns(*arrays([(0, 100, 1), (50, 100, 2)]))
    assert shared.tolist() == [75, 75]
    nested = owned_ns(*arrays([(0, 100, 1), (20, 30, 1)]))
    assert nested.tolist() == [70, 30]


@st.composite
def nested(draw, low=0, high=400, depth=0):
    """Properly nested intervals on one thread."""
    found, at = [], low
    while at < high and draw(st.booleans()) and len(found) < 12:
        start = draw(st.integers(at, high - 1))
        end = draw(st.integers(start + 1, high))
        found.append((start, end))
        if depth < 3:
            found += draw(nested(start, end, depth + 1))
        at = end
    return found


@given(nested())
def test_outermost_and_innermost_agree_with_brute_force(items):
    pairs = sorted(set(items), key=lambda p: (p[0], -p[1]))
    start = np.array([a for a, _ in pairs], dtype=np.int64)
    end = np.array([b for _, b in pairs], dtype=np.int64)
    order = nesting_order(start, end)
    assert order.tolist() == list(range(len(pairs)))
    # JITTER_NS lets a neighbor that overlaps by a rounding error count as outermost; nested generation has none.
    inside = [any(a <= s and e <= b and (a, b) != (s, e) for a, b in pairs) for s, e in pairs]
    assert is_outermost(start, end).tolist() == [not i for i in inside]
    instants = np.arange(0, 400, 7, dtype=np.int64)
    for instant, holder in zip(instants.tolist(), innermost(start, end, instants).tolist(), strict=True):
        holding = [i for i, (a, b) in enumerate(pairs) if a <= instant < b]
        assert holder == (min(holding, key=lambda i: pairs[i][1] - pairs[i][0]) if holding else -1)
