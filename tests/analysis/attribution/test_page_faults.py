"""Page faults of steps: how many, what they cost, and what of them the profiled steps lack."""

import numpy as np
import pytest

from attrib.analysis.attribution.judgement import judge, launches_differ, machine_state
from attrib.analysis.attribution.ledger.headline import headline
from attrib.analysis.attribution.ledger.rows import Ledger
from attrib.analysis.attribution.ledger.sampling import Rounds
from attrib.analysis.attribution.page_faults import count_faults, fault_times
from attrib.model.disturbance import UNSEEN
from attrib.model.latency import LatencyTable
from attrib.model.manifest import Side
from attrib.model.roofline import Peaks

US = 1000
PRICE = 1500.0
EMPTY = Ledger((), np.empty((0, 1000)), Rounds((0,)))


def table(blocks, **more):
    """Blocks of one side as (phase, launch, [(wall ns, faults)]), one round each; `more` are columns of all steps."""
    rows = [
        ("torch", phase, number, i, number * 1000 + i, wall, launch, faults)
        for number, (phase, launch, steps) in enumerate(blocks)
        for i, (wall, faults) in enumerate(steps)
    ]
    engine, phases, *numbers = (list(column) for column in zip(*rows, strict=True))
    block, iteration, start, wall, launches, faults = (np.array(column, dtype=np.int64) for column in numbers)
    columns = {name: np.full(len(rows), value) for name, value in more.items()}
    return LatencyTable(
        engine=engine, phase=phases, block=block, iteration=iteration, start_ns=start, wall_ns=wall,
        more={"launch": launches, "step_faults": faults} | columns,
    )  # fmt: skip


def sides(price=PRICE, engine="torch"):
    peaks = Peaks(device="cpu", threads=1, fault_ns=price)
    return {"torch": Side(engine=engine, state="complete", folder="torch", peaks=peaks)}


def steady(faults, wall=5000 * US, count=8):
    return [(wall, faults)] * count


TWO = table([
    ("plain", 0, steady(1000)), ("profiled", 0, steady(10)), ("plain", 1, steady(2000)), ("profiled", 1, steady(0)),
])  # fmt: skip


def test_a_step_costs_the_mean_over_launches_with_the_interval_of_launches():
    (found,) = count_faults(TWO, sides()).values()
    assert (found.plain, found.profiled, found.launches) == (1500, 5, (1000, 2000))
    assert found.cost_ns.median == 1500 * PRICE
    assert found.cost_ns.low == 0 < found.cost_ns.median < found.cost_ns.high


def test_what_profiled_steps_lack_is_the_difference_launch_by_launch():
    assert fault_times(TWO, sides()) == {"torch": {0: 990 * PRICE, 1: 2000 * PRICE}}


@pytest.mark.parametrize(
    ("faults", "unlike"),
    [((1000, 2000), True), ((1000, 1000), False), ((0, 399), False), ((0, 401), True), ((401, 0), True)],
)
def test_launches_differ_where_the_faults_of_plain_steps_show_at_the_least_price(faults, unlike):
    found = table([("plain", launch, steady(count)) for launch, count in enumerate(faults)], product_ns=1)
    assert launches_differ(found) == unlike


def test_nothing_is_known_of_launches_whose_faults_nobody_counted():
    assert not launches_differ(table([("plain", 0, steady(UNSEEN)), ("plain", 1, steady(UNSEEN))]))


def test_profiled_steps_with_more_of_them_lack_nothing():
    found = table([("plain", 0, steady(0)), ("profiled", 0, steady(5000))])
    assert fault_times(found, sides()) == {"torch": {0: 0}}


def test_a_cost_is_never_more_than_the_step():
    found = table([("plain", 0, steady(1000, wall=100 * US)), ("profiled", 0, steady(0))])
    assert fault_times(found, sides()) == {"torch": {0: 100 * US}}
    assert count_faults(found, sides())["torch"].cost_ns.median == 100 * US


def test_faults_are_those_of_the_steps_that_the_headline_rests_on():
    # One step in five takes thousands and is long; the median step takes none.
    mixed = [(2000 * US, 0)] * 16 + [(9000 * US, 4000)] * 4
    found = table([("plain", 0, mixed), ("profiled", 0, steady(0))])
    assert count_faults(found, sides())["torch"].plain == 0
    assert fault_times(found, sides()) == {"torch": {0: 0}}


@pytest.mark.parametrize(("threads", "price"), [(1, 1200), (2, PRICE)])
def test_the_lower_of_two_prices_counts_where_as_many_threads_took_them(threads, price):
    other = Peaks(device="cpu", threads=threads, fault_ns=1200)
    both = sides() | {"onnxruntime": Side(engine="onnxruntime", state="complete", folder="ort", peaks=other)}
    assert count_faults(TWO, both)["torch"].price_ns == price


def test_without_a_price_they_are_counted_and_cost_nothing():
    (found,) = count_faults(TWO, {}).values()
    assert (found.plain, found.price_ns, found.cost_ns) == (1500, 0, None)
    assert fault_times(TWO, sides(price=0.0)) == {}


def test_a_capture_that_counted_whole_blocks_gives_their_mean():
    older = table([("plain", 0, steady(UNSEEN)), ("profiled", 0, steady(UNSEEN))], faults=80, major_faults=8)
    (found,) = machine_state(older).faults.values()
    assert (found.plain, found.profiled, found.major) == (10, 10, 1)


def test_a_capture_that_counted_nothing_says_nothing():
    older = table([("plain", 0, steady(UNSEEN)), ("profiled", 0, steady(UNSEEN))])
    assert count_faults(older, sides()) == {}
    assert fault_times(older, sides()) == {"torch": {}}


@pytest.mark.parametrize(("engine", "said"), [("torch", True), ("onnxruntime", False)])
def test_that_profiled_steps_were_in_another_memory_is_said_of_pytorch(engine, said):
    # Of ONNX Runtime the profile itself takes fresh memory, which the calibrated cost of a record holds.
    found = table([("plain", 0, steady(0)), ("profiled", 0, steady(1000))], waiting_ns=0)
    plain = found.blocks("torch", "plain")
    reasons = judge(headline({"torch": plain}), EMPTY, found, sides=sides(engine=engine)).reasons
    text = "profiled steps of PyTorch took 1,000 page faults and plain ones 0: its calls are shown up to 1.50 ms a step"
    assert any(reason.startswith(text) for reason in reasons) == said, reasons


def test_few_more_of_them_are_no_reason():
    found = table([("plain", 0, steady(0)), ("profiled", 0, steady(100))], waiting_ns=0)
    reasons = judge(headline({"torch": found.blocks("torch", "plain")}), EMPTY, found, sides=sides()).reasons
    assert not any("page faults" in reason for reason in reasons)
