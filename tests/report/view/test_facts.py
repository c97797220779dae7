"""What a reader is told about the measurement."""

from attrib.model.document import LaunchState, MachineState
from attrib.model.manifest import Protocol
from attrib.report.view.facts import method_facts
from tests.report import factory


def test_method_says_how_long_was_measured_why_it_ended_and_what_the_machine_was_like():
    protocol = Protocol(
        rounds=6, iterations=5, profiled_rounds=6, profiled_iterations=2, seed=0, launches=3, rounds_per_launch=2,
        tolerance=0.02, half_width=0.0149, ended="narrow", seconds=41.2,
    )  # fmt: skip
    launches = tuple(
        LaunchState(launch=launch, product_ns=5_400_000, copy_ns=2_000_000 + launch, shared_ns=1_800_000)
        for launch in range(3)
    )
    state = MachineState(launches=launches, watched=24, unseen=("the clock of the processors",))
    facts = dict(method_facts(factory.document(protocol=protocol, state=state)))
    assert facts["Launches"] == (
        "3 in 41 s, until the interval of the difference was narrow enough: half the interval that they show"
        " is 1.49 % of the slower step,"
        " 2 % was asked for"
    )
    assert facts["Fixed product"] == "5.40 ms, 5.40 ms, 5.40 ms (launch by launch)"
    assert facts["Two threads reading the same memory"] == "1.80 ms, 1.80 ms, 1.80 ms (launch by launch)"
    assert "Two threads reading memory of their own" not in facts
    assert facts["Not shown by this machine"] == "the clock of the processors"


def test_method_of_an_older_capture_is_silent_about_launches():
    facts = dict(method_facts(factory.document()))
    assert not {"Launches", "Fixed product", "Not shown by this machine"} & set(facts)


def test_a_hundred_launches_are_not_told_one_by_one():
    launches = tuple(LaunchState(launch=launch, product_ns=5_400_000) for launch in range(100))
    facts = dict(method_facts(factory.document(state=MachineState(launches=launches))))
    assert facts["Fixed product"].count("5.40 ms") == 12
    assert "88 more" in facts["Fixed product"]
