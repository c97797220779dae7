"""How far a measurement carries: what was disturbed, whether the split holds, which causes may be named."""

import numpy as np
import pytest
from msgspec.structs import replace

from attrib.analysis.attribution.judgement import judge, machine_state, plain_blocks
from attrib.analysis.attribution.ledger.headline import headline
from attrib.analysis.attribution.ledger.rows import Ledger, SideTimes
from attrib.analysis.attribution.ledger.sampling import Rounds
from attrib.model.disturbance import BlockEvidence
from attrib.model.document import LedgerRow
from attrib.model.latency import BLOCK_COLUMNS, EVIDENCE_COLUMNS, REFERENCES, LatencyTable
from attrib.model.manifest import Side
from attrib.model.region import Match

MS = 1_000_000
QUIET = BlockEvidence(
    elapsed_ns=100 * MS, processors=2, cpu_ns=90 * MS, waiting_ns=MS, switches=1, others_ns=MS, stolen_ns=0
)
LOUD = replace(QUIET, others_ns=90 * MS)
MATCH = Match(method="none", confidence=1.0)


def table(rounds, *, phase="plain", machine=()):
    """Rounds as lists of attempts: each is the evidence of both sides; `machine` gives the references by round."""
    rows, more = [], {name: [] for name in BLOCK_COLUMNS}
    for number, attempts in enumerate(rounds):
        for attempt, seen in enumerate(attempts):
            for role, wall in (("torch", 100 * MS), ("onnxruntime", 60 * MS)):
                rows.append((role, phase, number, 0, len(rows), wall))
                given = (*(machine[number] if machine else ()), -1, -1, -1, -1)
                launch = {
                    "launch": number // 3,
                    "attempt": attempt,
                    **dict(zip(REFERENCES, given, strict=False)),
                }
                for name, value in (launch | {n: getattr(seen, n) for n in EVIDENCE_COLUMNS}).items():
                    more[name].append(value)
    engine, phases, *numbers = (list(column) for column in zip(*rows, strict=True))
    return LatencyTable(
        engine=engine, phase=phases, block=np.array(numbers[0]), iteration=np.array(numbers[1]),
        start_ns=np.array(numbers[2]), wall_ns=np.array(numbers[3]),
        more={name: np.array(its) for name, its in more.items()},
    )  # fmt: skip


def ledger(*rows, sides=("torch", "onnxruntime")):
    """A ledger of rows (cause, first side, second side, half width)."""
    made = tuple(
        LedgerRow(
            id=cause, region=cause, module="", cause=cause, torch_ns=torch, onnxruntime_ns=ort,
            delta_ns=ort - torch, low_ns=ort - torch - half, high_ns=ort - torch + half, match=MATCH,
        )
        for cause, torch, ort, half in rows
    )  # fmt: skip
    spread = np.linspace(-1, 1, 1000)
    replicates = np.array([row[2] - row[1] + row[3] * spread for row in rows])
    times = SideTimes(np.empty(0), np.empty((0, 0)), np.empty((0, 0)))
    return Ledger(made, replicates, Rounds(tuple(range(100))), dict.fromkeys(sides, times))


SMALL = ledger(
    ("kernel", 60 * MS, 30 * MS, 2 * MS), ("layout", 30 * MS, 20 * MS, 15 * MS), ("cast", MS, 4 * MS, MS),
    ("profiler_overhead", 9 * MS, 6 * MS, 2 * MS),
)  # fmt: skip


ORT_SIDE = Side(engine="onnxruntime", state="complete", folder="ort")


def judged(found=None, split=SMALL, sides=None):
    found = table([[QUIET]] * 6) if found is None else found
    plain = {role: found.blocks(role, "plain") for role in ("torch", "onnxruntime")}
    return judge(headline(plain, found.launches()), split, found, sides=sides)


class TestDisturbance:
    def test_a_quiet_machine_gives_no_reason(self):
        found = judged()
        assert (found.rounds, found.busy, found.inconclusive, found.disturbed) == (6, False, False, {})
        assert found.reasons == ()
        assert found.significant

    def test_what_was_measured_again_is_counted_and_does_not_make_it_busy(self):
        found = judged(table([[LOUD, QUIET], *[[QUIET]] * 5]))
        assert (found.rounds, found.busy) == (6, False)
        assert found.disturbed == {"others": 2}
        assert found.reasons == (
            "2 of 14 blocks were disturbed (other programs used the processors) and measured again",
        )

    def test_rounds_that_stayed_disturbed_are_left_out(self):
        found = judged(table([[LOUD, LOUD], *[[QUIET]] * 5]))
        assert (found.rounds, found.busy) == (5, False)
        assert found.reasons[1] == "1 of 6 plain rounds stayed disturbed, and is left out"

    def test_more_disturbed_than_measured_is_busy(self):
        found = judged(table([[LOUD, LOUD]] * 4 + [[QUIET]] * 2))
        assert (found.rounds, found.busy, found.inconclusive) == (2, True, False)
        assert "4 of 6 plain rounds stayed disturbed, however often" in found.reasons[1]

    def test_without_any_clean_round_it_is_inconclusive(self):
        found = judged(table([[LOUD]] * 4))
        assert (found.rounds, found.busy, found.inconclusive) == (0, True, True)
        assert "measured again" not in found.reasons[0]

    def test_a_busy_profile_is_busy_too(self):
        profiled = table([[LOUD, LOUD]] * 3, phase="profiled")
        assert judge(headline({}), SMALL, profiled).busy
        assert not judge(headline({}), SMALL, profiled).inconclusive

    def test_old_captures_say_nothing_of_the_machine(self):
        old = table([[QUIET]] * 4)
        old = LatencyTable(
            **{name: getattr(old, name) for name in old.__dataclass_fields__ if name != "more"}
        )
        assert machine_state(old) is None
        assert machine_state(None) is None
        found = judged(old)
        assert (found.rounds, found.disturbed, found.reasons) == (4, {}, ())

    def test_every_plain_block_is_shown_in_order_of_time(self):
        blocks = plain_blocks(table([[LOUD, QUIET], [QUIET]]))
        assert [(b.role, b.number, b.attempt, b.counted) for b in blocks][:4] == [
            ("torch", 0, 0, False), ("onnxruntime", 0, 0, False), ("torch", 0, 1, True), ("onnxruntime", 0, 1, True),
        ]  # fmt: skip
        assert blocks[0].disturbed == ("others",)
        assert plain_blocks(None) == ()


class TestSplit:
    def test_causes_whose_interval_holds_nothing_are_named_by_size(self):
        found = judged()
        assert found.split_reliable
        assert found.named == ("kernel", "cast")  # layout holds 0; the remainder explains nothing

    @pytest.mark.parametrize(
        ("remainder", "share"),
        [
            (("profiler_overhead", 0, 20 * MS, 10 * MS), "30 %"),  # an end of the interval
            (("profiler_overhead", 0, -20 * MS, 10 * MS), "30 %"),
            (
                ("profiler_overhead", -40 * MS, -40 * MS, 0),
                "40 %",
            ),  # of both sides: nothing in the difference
            (("unattributed", 0, 30 * MS, 0), "30 %"),
            (("unattributed", 0, 130 * MS, 0), ""),
        ],
    )
    def test_a_large_remainder_makes_the_split_unreliable(self, remainder, share):
        found = judged(split=ledger(("kernel", 60 * MS, 30 * MS, 0), remainder))
        assert (found.split_reliable, found.named) == (False, ())
        size = f"up to {share} of the step" if share else "more than the step itself"
        assert found.reasons == (f"the split is not reliable: what is not explained may be {size}",)

    def test_remainders_that_cancel_out_are_looked_at_alone(self):
        found = judged(split=ledger(("profiler_overhead", 0, 30 * MS, 0), ("unattributed", 0, -30 * MS, 0)))
        assert not found.split_reliable

    def test_one_engine_has_no_causes_of_a_difference(self):
        found = judged(split=ledger(("kernel", 60 * MS, 0, MS), sides=("torch",)))
        assert (found.split_reliable, found.named) == (True, ())

    def test_plain_steps_alone_have_no_split(self):
        found = judged(split=ledger(("unattributed", 100 * MS, 60 * MS, MS), sides=()))
        assert not found.split_reliable
        assert found.reasons == ("there is no split: no profiled step was recorded",)


class TestMachine:
    def test_launches_of_another_state_are_told(self):
        machine = [(10 * MS, 12 * MS)] * 3 + [(10 * MS, 13 * MS)] * 3 + [(11 * MS, 20 * MS)] * 3
        found = judged(table([[QUIET]] * 9, machine=machine))
        assert found.reasons == (
            "the machine changed between launches: copies took 12 ms in launch 1 and 20 ms in launch 3",
        )
        state = machine_state(table([[QUIET]] * 9, machine=machine))
        assert [launch.copy_ns for launch in state.launches] == [12 * MS, 13 * MS, 20 * MS]
        assert (state.watched, state.disturbances) == (18, ())
        assert state.unseen == ("pressure on the processors", "the clock of the processors")

    def test_two_states_of_the_machine_are_told_by_what_two_threads_took_to_read(self):
        machine = [(1, 1, 100, 90)] * 3 + [(1, 1, 100, 60)] * 3
        found = table([[QUIET]] * 6, machine=machine)
        assert [(its.own_ns, its.shared_ns) for its in machine_state(found).launches] == [
            (100, 90),
            (100, 60),
        ]
        assert [its.caches for its in machine_state(found).launches] == ["apart", "shared"]
        (said,) = judged(found).reasons
        assert "share a cache in launch 2 (PyTorch" in said
        assert "and none in launch 1 (PyTorch" in said
        (of_one,) = judged(found, sides=dict.fromkeys(("torch", "onnxruntime"), ORT_SIDE)).reasons
        assert "(ONNX Runtime (A)" in of_one
        assert "ONNX Runtime (B)" in of_one
        assert "PyTorch" not in of_one
        same = table([[QUIET]] * 6, machine=[(1, 1, 100, 60)] * 6)
        assert judged(same).reasons == ()
        assert {its.caches for its in machine_state(same).launches} == {"shared"}
        blind = machine_state(table([[QUIET]] * 3, machine=[(1, 1)] * 3))
        assert (blind.launches[0].own_ns, blind.launches[0].shared_ns) == (None, None)
        assert blind.launches[0].caches == ""

    def test_a_launch_goes_by_most_of_its_rounds(self):
        machine = [(1, 1, 100, 90), (1, 1, 100, 60), (1, 1, 100, 62)]
        assert machine_state(table([[QUIET]] * 3, machine=machine)).launches[0].caches == "shared"

    def test_a_disturbed_attempt_does_not_speak_for_its_launch(self):
        rounds = [[QUIET]] * 5 + [[LOUD]]
        machine = [(10 * MS, 12 * MS)] * 3 + [(10 * MS, 12 * MS)] * 2 + [(90 * MS, 90 * MS)]
        assert machine_state(table(rounds, machine=machine)).launches[1].product_ns == 10 * MS

    def test_what_the_machine_does_not_show_is_named_where_it_would_count(self):
        blind = replace(QUIET, waiting_ns=-1)
        assert judged(table([[blind]] * 4)).reasons == (
            "this machine does not show how long threads wait for a processor: such a disturbance is not noticed",
        )
