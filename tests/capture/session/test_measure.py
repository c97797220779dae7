from collections import Counter

import pytest

from attrib.capture.session import measure
from attrib.capture.session.latencies import Latencies
from attrib.capture.session.measure import (
    PHASES,
    BlockRunner,
    PairedBlocks,
    agree,
    orders,
    plan_protocol,
    warm_up,
)
from attrib.capture.workers.messages import Steps
from attrib.capture.workers.process import WorkerError
from attrib.model.disturbance import BlockEvidence
from attrib.model.manifest import Protocol

MS = 1_000_000


class FakeWorker:
    """Answers every block with steps of the next duration of a list; the last one repeats.

    `waits` are the shares of a block for which its threads wait for a processor, block by block; the last one repeats.
    """

    def __init__(self, log, name, walls=(10 * MS,), fails_at=None, waits=(0.0,)):
        self.log, self.name, self.walls, self.fails_at, self.asked = log, name, list(walls), fails_at, 0
        self.waits = list(waits)

    def ask(self, command, _kind):
        self.asked += 1
        if self.asked == self.fails_at:
            raise WorkerError("it died")
        self.log.append((self.name, command.profiled))
        wall = self.walls.pop(0) if len(self.walls) > 1 else self.walls[0]
        count = command.iterations + command.lead_in
        waits = self.waits.pop(0) if len(self.waits) > 1 else self.waits[0]
        return Steps(
            start_ns=tuple(range(count)),
            wall_ns=(wall,) * count,
            lead_in=command.lead_in,
            idle_cpu_ns=1,
            idle_wall_ns=100,
            trace="block.json" if command.profiled else "",
            evidence=BlockEvidence(
                elapsed_ns=wall * command.iterations,
                processors=2,
                waiting_ns=int(waits * wall * command.iterations),
            ),
        )


def sides(**kwargs):
    log = []
    return log, [BlockRunner(role, FakeWorker(log, role, **kwargs)) for role in ("torch", "onnxruntime")]


def run_rounds(runners, protocol, latencies, **settings):
    pairs = PairedBlocks(protocol, latencies, **settings)
    for number, order in enumerate(orders(runners, protocol)):
        for phase in PHASES:
            pairs.measure(order, phase, number)


@pytest.fixture(autouse=True)
def waited(monkeypatch):
    """How long the measurement waited for a quiet machine, without waiting."""
    asked = []
    monkeypatch.setattr(measure, "wait_until_quiet", asked.append)
    return asked


PROTOCOL = Protocol(rounds=6, iterations=5, profiled_rounds=6, profiled_iterations=2, seed=0)


@pytest.mark.parametrize(
    ("medians", "expected"),
    [
        ([100, 101, 102], True),
        ([100, 101, 106], False),
        ([90, 100, 101, 102], True),
        ([100, 100], False),
        ([100, 110, 105, 104, 112, 99], True),
        ([200, 180, 160, 140, 120, 110], False),
    ],
)
def test_blocks_agree_within_five_percent(medians, expected):
    assert agree(medians) is expected


def test_warm_up_ends_when_the_blocks_agree():
    latencies = Latencies()
    runner = BlockRunner("torch", FakeWorker([], "torch", [50 * MS, 20 * MS, 10 * MS]))
    warm_up(runner, latencies, None)
    assert runner.warmed_up
    assert runner.step_ns == 10 * MS
    assert latencies.count("torch", "warmup") > runner.warmup  # the profiled session is warmed up as well
    assert latencies.count("torch", "plain") == 0


def test_warm_up_that_never_settles_ends_at_its_limit():
    walls = [MS * (10 + 5 * (i % 2)) for i in range(100)]
    runner = BlockRunner("torch", FakeWorker([], "torch", walls))
    warm_up(runner, Latencies(), None)
    assert not runner.warmed_up


@pytest.mark.parametrize("exact", [0, 1, 7, 9])
def test_warm_up_takes_the_exact_number_of_steps_that_was_asked_for(exact):
    runner = BlockRunner("torch", FakeWorker([], "torch"))
    warm_up(runner, Latencies(), exact)
    assert runner.warmup == exact
    assert runner.step_ns == 10 * MS


def test_trace_of_the_warm_up_is_not_part_of_the_capture():
    runner = BlockRunner("torch", FakeWorker([], "torch"))
    warm_up(runner, Latencies(), None)
    assert runner.traces == []


@pytest.mark.parametrize(
    ("step_ms", "iterations"),
    [((180, 75), 5), ((5, 5), 20), ((0.02, 0.01), 500), ((900, 700), 3), ((400, 1), 5), ((1000, 1), 3)],
)
def test_block_is_neither_too_short_nor_too_long(step_ms, iterations):
    protocol = plan_protocol([ms * MS for ms in step_ms], rounds=12, iterations=None, seed=0)
    assert protocol.iterations == iterations


def test_iterations_that_the_user_asked_for_are_kept():
    assert plan_protocol([MS, MS], rounds=12, iterations=7, seed=0).iterations == 7


def test_every_round_holds_one_plain_block_of_either_side():
    log, runners = sides()
    run_rounds(runners, PROTOCOL, Latencies())
    plain = [name for name, profiled in log if not profiled]
    pairs = list(zip(plain[::2], plain[1::2], strict=True))
    assert all(set(pair) == {"torch", "onnxruntime"} for pair in pairs)
    assert len(set(pairs)) == 2  # either side comes first in some rounds
    assert Counter(log)["torch", True] == PROTOCOL.rounds


def test_order_of_the_blocks_follows_the_seed():
    logs = []
    for _ in range(2):
        log, runners = sides()
        run_rounds(runners, PROTOCOL, Latencies())
        logs.append(log)
    assert logs[0] == logs[1]


def test_lead_in_counts_as_warm_up():
    _, runners = sides()
    latencies = Latencies()
    run_rounds(runners, PROTOCOL, latencies)
    assert latencies.count("torch", "plain") == 6 * 5
    assert latencies.count("torch", "profiled") == 6 * 2
    assert latencies.count("torch", "warmup") == 6 + 6


def test_side_that_dies_is_given_up_and_the_other_goes_on():
    log = []
    runners = [
        BlockRunner("torch", FakeWorker(log, "torch")),
        BlockRunner("onnxruntime", FakeWorker(log, "onnxruntime", fails_at=3)),
    ]
    latencies = Latencies()
    run_rounds(runners, PROTOCOL, latencies)
    assert "it died" in str(runners[1].error)
    assert latencies.count("torch", "plain") == 6 * 5


def test_idle_share_leaves_out_the_first_round():
    _, runners = sides()
    assert runners[0].idle_cpu_share == 0.0
    run_rounds(runners, PROTOCOL, Latencies())
    assert runners[0].idle_cpu_share == pytest.approx(0.01)
    assert runners[0].idle_wall_ns == 100 * (5 + 5)


def test_latency_file_holds_the_published_columns(tmp_path):
    import pyarrow.parquet as pq

    from attrib.model.latency import LATENCY_COLUMNS, OPTIONAL_COLUMNS

    _, runners = sides()
    latencies = Latencies()
    run_rounds(runners, PROTOCOL, latencies)
    with (tmp_path / "latency.parquet").open("wb") as stream:
        latencies.write(stream)
    table = pq.read_table(tmp_path / "latency.parquet")
    assert tuple(table.column_names) == (*LATENCY_COLUMNS, *OPTIONAL_COLUMNS)
    assert table.num_rows == 2 * (6 * 6 + 6 * 3)
    warmup = [row for row in table.to_pylist() if row["phase"] == "warmup" and row["engine"] == "torch"]
    assert sorted(row["block"] for row in warmup) == list(range(12))


def disturbed_sides(*waits):
    log = []
    workers = [FakeWorker(log, "torch"), FakeWorker(log, "onnxruntime", waits=waits)]
    return log, [BlockRunner(worker.name, worker) for worker in workers]


def test_disturbed_block_is_measured_again_with_its_partner_and_stays_in_the_file(waited):
    log, runners = disturbed_sides(0.5, 0.0)
    latencies = Latencies()
    run_rounds(runners, PROTOCOL, latencies)
    assert Counter(log)["torch", False] == Counter(log)["onnxruntime", False] == PROTOCOL.rounds + 1
    assert Counter(log)["torch", True] == PROTOCOL.rounds
    assert len(waited) == 1
    table = latencies.table()
    blocks = [block for block in table.every_block("plain") if block.number == 0]
    assert sorted((b.role, b.attempt, b.counted) for b in blocks) == [
        ("onnxruntime", 0, False),
        ("onnxruntime", 1, True),
        ("torch", 0, False),
        ("torch", 1, True),
    ]
    assert [b.disturbed for b in blocks if b.role == "torch"] == [(), ()]
    assert not table.is_busy("plain")


def test_duration_alone_never_makes_a_block_disturbed():
    log, runners = sides(walls=[10 * MS, 400 * MS, 10 * MS])
    run_rounds(runners, PROTOCOL, Latencies())
    assert len(log) == 2 * 2 * PROTOCOL.rounds


def test_machine_that_never_gets_quiet_is_not_waited_for_forever(waited):
    log, runners = disturbed_sides(0.5)
    latencies = Latencies()
    run_rounds(runners, PROTOCOL, latencies)
    assert len(waited) == 4  # two retries of two blocks, and then none
    assert len(log) == 2 * (2 * PROTOCOL.rounds + 4)
    table = latencies.table()
    assert table.is_busy("plain")
    # All rounds count, because there is nothing better: the verdict says so.
    assert set(table.blocks("torch", "plain")) == set(range(PROTOCOL.rounds))


def test_nothing_is_measured_again_after_the_deadline(waited):
    log, runners = disturbed_sides(0.5, 0.0)
    run_rounds(runners, PROTOCOL, Latencies(), deadline=0.0)
    assert len(log) == 2 * 2 * PROTOCOL.rounds
    assert waited == []


@pytest.mark.parametrize(
    ("rounds", "launches", "planned"),
    [
        (12, None, (6, 3, 2)),
        (12, 1, (1, 1, 12)),
        (12, 5, (4, 4, 3)),
        (6, None, (3, 3, 2)),
        (2, None, (1, 1, 2)),
        (1, None, (1, 1, 2)),
        (30, None, (6, 3, 5)),
        (4, 4, (4, 4, 1)),
    ],
)
def test_rounds_divide_among_launches(rounds, launches, planned):
    protocol = plan_protocol([MS, MS], rounds=rounds, iterations=None, seed=0, launches=launches)
    assert (protocol.launches, protocol.fewest_launches, protocol.rounds_per_launch) == planned
    assert len(orders(sides()[1], protocol)) == rounds


def test_either_order_is_equally_often_in_every_launch():
    _, runners = sides()
    protocol = plan_protocol([MS, MS], rounds=12, iterations=None, seed=3, launches=None)
    first = [order[0].role for order in orders(runners, protocol)]
    assert all(set(first[i : i + 2]) == {"torch", "onnxruntime"} for i in range(0, 12, 2))
