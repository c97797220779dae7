from collections import Counter

import pytest

from attrib.capture.session.latencies import Latencies
from attrib.capture.session.measure import (
    BlockRunner,
    agree,
    plan_protocol,
    run_rounds,
    warm_up,
)
from attrib.capture.workers.messages import Steps
from attrib.capture.workers.process import WorkerError
from attrib.model.manifest import Protocol

MS = 1_000_000


class FakeWorker:
    """Answers every block with steps of the next duration of a list; the last one repeats."""

    def __init__(self, log, name, walls=(10 * MS,), fails_at=None):
        self.log, self.name, self.walls, self.fails_at, self.asked = log, name, list(walls), fails_at, 0

    def ask(self, command, _kind):
        self.asked += 1
        if self.asked == self.fails_at:
            raise WorkerError("it died")
        self.log.append((self.name, command.profiled))
        wall = self.walls.pop(0) if len(self.walls) > 1 else self.walls[0]
        count = command.iterations + command.lead_in
        return Steps(
            start_ns=tuple(range(count)),
            wall_ns=(wall,) * count,
            lead_in=command.lead_in,
            idle_cpu_ns=1,
            idle_wall_ns=100,
            trace="block.json" if command.profiled else "",
        )


def sides(**kwargs):
    log = []
    return log, [BlockRunner(role, FakeWorker(log, role, **kwargs)) for role in ("torch", "onnxruntime")]


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
    run_rounds(runners, PROTOCOL, Latencies(), lambda *_: None)
    plain = [name for name, profiled in log if not profiled]
    pairs = list(zip(plain[::2], plain[1::2], strict=True))
    assert all(set(pair) == {"torch", "onnxruntime"} for pair in pairs)
    assert len(set(pairs)) == 2  # either side comes first in some rounds
    assert Counter(log)["torch", True] == PROTOCOL.rounds


def test_order_of_the_blocks_follows_the_seed():
    logs = []
    for _ in range(2):
        log, runners = sides()
        run_rounds(runners, PROTOCOL, Latencies(), lambda *_: None)
        logs.append(log)
    assert logs[0] == logs[1]


def test_lead_in_counts_as_warm_up():
    _, runners = sides()
    latencies = Latencies()
    run_rounds(runners, PROTOCOL, latencies, lambda *_: None)
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
    run_rounds(runners, PROTOCOL, latencies, lambda *_: None)
    assert "it died" in str(runners[1].error)
    assert latencies.count("torch", "plain") == 6 * 5


def test_idle_share_leaves_out_the_first_round():
    _, runners = sides()
    assert runners[0].idle_cpu_share == 0.0
    run_rounds(runners, PROTOCOL, Latencies(), lambda *_: None)
    assert runners[0].idle_cpu_share == pytest.approx(0.01)
    assert runners[0].idle_wall_ns == 100 * (5 + 5)


def test_progress_ends_at_one():
    _, runners = sides()
    seen = []
    run_rounds(runners, PROTOCOL, Latencies(), lambda done, left: seen.append((done, left)))
    assert [done for done, _ in seen] == pytest.approx([i / 6 for i in range(1, 7)])
    assert seen[-1][1] == pytest.approx(0.0)


def test_latency_file_holds_the_published_columns(tmp_path):
    import pyarrow.parquet as pq

    from attrib.model.latency import LATENCY_COLUMNS

    _, runners = sides()
    latencies = Latencies()
    run_rounds(runners, PROTOCOL, latencies, lambda *_: None)
    with (tmp_path / "latency.parquet").open("wb") as stream:
        latencies.write(stream)
    table = pq.read_table(tmp_path / "latency.parquet")
    assert tuple(table.column_names) == LATENCY_COLUMNS
    assert table.num_rows == 2 * (6 * 6 + 6 * 3)
    warmup = [row for row in table.to_pylist() if row["phase"] == "warmup" and row["engine"] == "torch"]
    assert sorted(row["block"] for row in warmup) == list(range(12))
