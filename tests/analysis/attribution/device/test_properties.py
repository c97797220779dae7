"""Generated device timelines: eight streams, graph launches, unknown work, jitter, copies, threads, work of other steps."""

import random
from fractions import Fraction

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attrib.analysis.attribution.device.parts import (
    ALLOCATING,
    COPIES,
    GRAPH_REPLAY,
    OTHER_STEP,
    OUTSIDE,
    SYNCHRONIZING,
    UNLAUNCHED,
)
from tests.analysis.attribution.device.timelines import Split, Trace

LENGTH = 400
CALLS = 4

device_work = st.tuples(
    st.integers(-20, 250),  # from the launch to the start; negative where the clocks disagree
    st.integers(0, 150),  # duration
    st.integers(0, 7),  # stream
    st.sampled_from(["kernel", "kernel", "copy", "fill"]),
)
launch = st.tuples(
    st.integers(-300, 3 * LENGTH + 100),
    st.sampled_from([1, 1, 1, 2, 3]),  # thread
    st.booleans(),  # whether the launching call is in the trace
    st.lists(device_work, min_size=1, max_size=4),
)
timeline = st.tuples(
    st.lists(st.tuples(*[st.integers(11, 80)] * CALLS), min_size=1, max_size=3),  # durations of the calls of each step
    st.lists(launch, max_size=14),
    st.lists(st.tuples(st.integers(0, 29), st.integers(5, 39), st.booleans()), max_size=5, unique_by=lambda w: w[0]),
)  # fmt: skip


def trace_of(drawn):
    """The trace, and what is in it: work as `(launched, thread, graph, start, end, kind)`, `launched` None where unknown."""
    steps, launches, waits = drawn
    trace, work = Trace(), []
    trace.runtime("cudaGetDevice", 0, 1)  # threads can only be compared where calls and launches share one
    for number, durations in enumerate(steps):
        trace.step(number, number * LENGTH, LENGTH)
        for i, duration in enumerate(durations):
            trace.call(f"aten::op{i}", number * LENGTH + 15 + 90 * i, duration)
    for at, thread, known, kernels in launches:
        name = "cudaGraphLaunch" if len(kernels) > 1 else "cudaLaunchKernel"
        correlation = trace.runtime(name, at, 3, thread) if known else 0
        for delta, duration, stream, kind in kernels:
            trace.device(at + delta, duration, correlation=correlation, stream=stream, kind=kind)
            launched = at if known else None
            work.append((launched, thread, len(kernels) > 1, at + delta, at + delta + duration, kind))
    for place, duration, syncs in waits:
        trace.runtime("cudaStreamSynchronize" if syncs else "cudaMalloc", place * 40, duration)
    return trace, work


def is_own(item, low, high):
    launched, start = item[0], item[3]
    return low <= (start if launched is None else launched) < high


def owner_of(item, durations, low):
    """The owner of one piece of device work, by the definition."""
    launched, thread, graph, _, _, kind = item
    if launched is None:
        return UNLAUNCHED
    call = call_at(launched, durations, low) if thread == 1 else None
    if call is not None:
        return call
    return GRAPH_REPLAY if graph else OUTSIDE if kind == "kernel" else COPIES


def call_at(instant, durations, low):
    places = ((i, low + 15 + 90 * i, duration) for i, duration in enumerate(durations))
    return next((i for i, start, duration in places if start <= instant < start + duration), None)


def host_at(instant, durations, waits, low):
    call = call_at(instant, durations, low)
    waiting = next(
        (sync for place, length, sync in waits if 40 * place <= instant < 40 * place + length), None
    )
    if waiting is None:
        return (call, "idle") if call is not None else ("torch dispatch", "idle")
    kind = "sync" if waiting else "allocation"
    return (call, kind) if call is not None else (SYNCHRONIZING if waiting else ALLOCATING, kind)


def by_the_instant(work, durations, waits, number):
    """Shares of one step, nanosecond by nanosecond, as exact fractions: `{owner: {kind: ns}}`."""
    low, high = number * LENGTH, (number + 1) * LENGTH
    own = [item for item in work if is_own(item, low, high)]
    others = [item for item in work if not is_own(item, low, high)]
    found = {}

    def give(owner, kind, share):
        kinds = found.setdefault(owner, {})
        kinds[kind] = kinds.get(kind, 0) + share

    clipped = [(max(i[3], low), min(i[4], high), i) for i in own]
    clipped = [c for c in clipped if c[0] < c[1]]
    for instant in range(low, high):
        active = [item for start, end, item in clipped if start <= instant < end]
        for item in active:
            kind = "kernel" if item[5] == "kernel" else "copy"
            give(owner_of(item, durations, low), kind, Fraction(1, len(active)))
        if active:
            continue
        if any(item[3] <= instant < item[4] for item in others):
            give(OTHER_STEP, "idle", 1)
            continue
        following = [(start, i) for start, _, i in clipped if start > instant]
        first = min((start for start, _ in following), default=None)
        ready = [(i[3] if i[0] is None else i[0], i) for start, i in following if start == first]
        launched = min((at for at, _ in ready), default=None)
        nearest = [i for at, i in ready if at == launched and i[0] is not None and at <= instant]
        owners = {owner_of(i, durations, low) for i in nearest}
        if len(owners) == 1 and len(nearest) == len([i for at, i in ready if at == launched]):
            give(owners.pop(), "idle", 1)
        elif owners:
            give("tie", "idle", 1)
        else:
            give(*host_at(instant, durations, waits, low), 1)
    return found


@settings(max_examples=150)
@given(timeline)
@example(([(11, 11, 11, 11)], [(105, 2, True, [(0, 1, 0, "kernel")])], []))
def test_every_instant_has_the_owner_that_the_definition_gives_it(drawn):
    steps, _, waits = drawn
    trace, work = trace_of(drawn)
    found = Split(trace)
    partition = found.partition
    for number, durations in enumerate(steps):
        expected = by_the_instant(work, durations, waits, number)
        tied = int(sum(expected.pop("tie", {}).values()))
        units = {
            i: {kind: int(ns[i, number]) for kind, ns in partition.split.work_ns.items()}
            for i in range(CALLS)
        }
        for i in range(CALLS):
            for kind, ns in units[i].items():
                exact = expected.get(i, {}).get(kind, 0)
                assert exact - 1 < ns < exact + 1 + tied
        for part in partition.parts:
            exact = sum(expected.get(part, {}).values())
            assert exact - 3 < found.part(part, number) < exact + 3 + tied
        assert (
            sum(map(sum, (kinds.values() for kinds in units.values())))
            + int(partition.parts_ns[:, number].sum())
            == LENGTH
        )


@settings(max_examples=100)
@given(timeline)
def test_busy_and_idle_are_the_wall_and_busy_is_the_union_over_streams(drawn):
    steps, _, _ = drawn
    trace, work = trace_of(drawn)
    split = Split(trace).partition.split
    for number in range(len(steps)):
        low, high = number * LENGTH, (number + 1) * LENGTH
        busy = set()
        for item in work:
            if is_own(item, low, high):
                busy.update(range(max(item[3], low), min(item[4], high)))
        assert split.busy_ns[number] == len(busy)
        assert split.busy_ns[number] + split.idle_ns[number] == LENGTH
        assert (split.work_ns["kernel"][:, number] <= split.kernels_ns[:, number]).all()


@settings(max_examples=100)
@given(timeline)
def test_every_piece_of_device_work_is_owned_once_or_was_launched_in_no_step(drawn):
    steps, _, _ = drawn
    trace, work = trace_of(drawn)
    found = Split(trace).assigned
    inside = [any(is_own(i, n * LENGTH, (n + 1) * LENGTH) for n in range(len(steps))) for i in work]
    assert len(found.step) == len(work)
    assert (found.step >= 0).tolist() == inside
    assert (found.owner >= 0).tolist() == inside
    device = Split(trace).partition.device
    kernels = [i for i, own in zip(work, inside, strict=True) if own and i[5] == "kernel"]
    assert device.kernels.sum() == len(kernels)
    assert device.kernels_ns.sum() == sum(i[4] - i[3] for i in kernels)


@settings(max_examples=60)
@given(timeline, st.randoms(use_true_random=False))
def test_the_order_of_the_file_changes_nothing(drawn, rng: random.Random):
    trace, _ = trace_of(drawn)
    before = Split(trace).partition
    rng.shuffle(trace.events)
    after = Split(trace).partition
    assert before.parts == after.parts
    assert np.array_equal(before.work_ns, after.work_ns)
    assert np.array_equal(before.parts_ns, after.parts_ns)
    for kind, ns in before.split.work_ns.items():
        assert np.array_equal(ns, after.split.work_ns[kind])
    assert [(c.owner, c.direction, c.ns.tolist()) for c in before.split.copies] == [
        (c.owner, c.direction, c.ns.tolist()) for c in after.split.copies
    ]
