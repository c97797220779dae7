"""What is still said of a capture that was interrupted."""

import numpy as np
from msgspec.structs import replace

from attrib.analysis.attribution.ledger.headline import headline
from attrib.analysis.attribution.ledger.interrupted import notes_on, plain_ledger
from attrib.model.capture_request import Launch
from tests.findings.evidence_factory import manifest


def parts(*rounds):
    return replace(manifest(), launches=tuple(Launch(started="", rounds=count) for count in rounds))


def test_a_capture_that_ran_through_has_no_note_however_many_launches_it_has():
    assert notes_on(parts(12), 12, 1) == notes_on(parts(12), 12, 4) == ()
    assert notes_on(None, 12) == ()


def test_a_resumed_capture_says_its_parts_and_what_the_intervals_do_not_know():
    (known,) = notes_on(parts(8, 4), 12, 3)
    assert known == "the capture was interrupted and resumed: its rounds (8 + 4) were measured in 2 parts"
    (unknown,) = notes_on(parts(8, 4), 12, 1)
    assert "do not know that two processes of one engine differ" in unknown
    assert notes_on(parts(0, 4), 4, 1) == ()  # nothing of the first part was kept


def test_plain_steps_alone_are_one_row_with_the_interval_of_the_headline():
    rounds = {number: number // 2 for number in range(6)}
    sides = {
        role: {number: np.array([level + number]) for number in rounds}
        for role, level in (("torch", 1000), ("onnxruntime", 800))
    }
    found = headline(sides, rounds)
    ledger = plain_ledger(found)
    (row,) = ledger.rows
    delta = found.latency.delta_ns
    assert (row.cause, row.delta_ns, row.low_ns, row.high_ns) == (
        "unattributed",
        delta.median,
        delta.low,
        delta.high,
    )
    assert ledger.total([row.id]) == delta
    assert ledger.sampling.launches == 3
