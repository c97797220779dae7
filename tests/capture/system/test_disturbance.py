"""What is counted beside a block, read from a made-up system."""

import os

import pytest

from attrib.capture.system import disturbance
from attrib.capture.system.disturbance import BlockMeter, Reference, wait_until_quiet
from attrib.capture.system.environment import allowed_processors, processor_ticks
from attrib.model.disturbance import UNSEEN, BlockEvidence, disturbances

SECOND = 10**9
TICK = SECOND // os.sysconf("SC_CLK_TCK")


class System:
    """A folder that looks like `/`, whose counters tests move on."""

    def __init__(self, root):
        self.root = root
        self.processors = sorted(allowed_processors())
        self.own = self.elsewhere = self.steal = self.idle = 0
        self.waiting, self.pressure = {"1": 0, "2": 0}, 0
        self.write()

    def write(self):
        (self.root / "proc/pressure").mkdir(parents=True, exist_ok=True)
        rows = [f"cpu  {self.own + self.elsewhere} 0 0 0 0 0 0 {self.steal} 0 0"]
        first, elsewhere = self.processors[0], max(self.processors) + 1
        for number in self.processors:
            busy, steal = (self.own, self.steal) if number == first else (0, 0)
            rows.append(f"cpu{number} {busy} 0 0 {self.idle} 0 0 0 {steal} 0 0")
        rows.append(f"cpu{elsewhere} {self.elsewhere} 0 0 0 0 0 0 0 0 0")
        (self.root / "proc/stat").write_text("\n".join([*rows, "intr 5", ""]))
        (self.root / "proc/pressure/cpu").write_text(
            f"some avg10=0.00 total={self.pressure}\nfull avg10=0.00 total=0\n"
        )
        for task, waited in self.waiting.items():
            (self.root / "proc/self/task" / task).mkdir(parents=True, exist_ok=True)
            (self.root / "proc/self/task" / task / "schedstat").write_text(f"77 {waited} 3\n")


@pytest.fixture
def system(tmp_path):
    return System(tmp_path)


def test_waiting_of_all_threads_others_stolen_and_pressure_are_differences(system):
    meter = BlockMeter(system.root)
    system.waiting = {"1": 5_000_000, "2": 7_000_000, "3": 1_000_000}
    system.own, system.steal, system.pressure = 3000, 40, 250
    system.write()
    seen = meter.end()
    assert (seen.waiting_ns, seen.stolen_ns, seen.pressure_ns) == (13_000_000, 40 * TICK, 250_000)
    # Less what this process itself used, and what the counter's ticks cannot tell.
    assert (
        2900 * TICK < seen.others_ns + seen.cpu_ns + 2 * TICK * seen.processors <= 3000 * TICK + seen.cpu_ns
    )
    assert seen.frequency_khz == UNSEEN
    assert seen.processors == len(system.processors)


def test_what_others_do_on_processors_that_are_not_ours_is_theirs(system):
    meter = BlockMeter(system.root)
    system.elsewhere = 100_000
    system.write()
    assert meter.end().others_ns == 0
    assert processor_ticks(system.root)["user"] == 100_000
    assert processor_ticks(system.root, system.processors)["user"] == 0


def test_what_a_system_does_not_tell_is_unseen_and_disturbs_nothing(tmp_path):
    seen = BlockMeter(tmp_path).end()
    assert (seen.waiting_ns, seen.others_ns, seen.stolen_ns, seen.pressure_ns) == (UNSEEN,) * 4
    assert disturbances(seen) == ()
    assert wait_until_quiet(5.0, tmp_path) == 0.0


def test_counters_that_stay_at_zero_are_no_evidence_of_quiet(system):
    for task in system.waiting:
        (system.root / "proc/self/task" / task / "schedstat").write_text("0 0 0\n")
    assert BlockMeter(system.root).end().waiting_ns == UNSEEN


def test_a_quiet_machine_is_waited_for_and_not_longer(system, monkeypatch):
    naps = []

    def nap(seconds):
        naps.append(seconds)
        system.own += 0 if len(naps) > 2 else 500
        system.idle += 500
        system.write()

    monkeypatch.setattr(disturbance.time, "sleep", nap)
    wait_until_quiet(60.0, system.root)
    assert len(naps) == 3


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ({}, ()),
        ({"waiting_ns": SECOND // 25}, ()),
        ({"waiting_ns": SECOND // 15}, ("waiting",)),
        ({"others_ns": SECOND // 6}, ()),
        ({"others_ns": SECOND // 4}, ("others",)),
        ({"stolen_ns": SECOND // 10}, ("stolen",)),
        ({"switches": 900}, ("preempted",)),
        ({"switches": 900, "waiting_ns": 0}, ()),
        ({"faults": 10**6, "pressure_ns": SECOND}, ()),
    ],
)
def test_a_block_is_judged_by_what_was_counted(seen, why):
    assert disturbances(BlockEvidence(elapsed_ns=SECOND, processors=2, **seen)) == why


def test_reference_is_timed_without_an_engine():
    found = Reference().measure()
    assert found.product_ns > 0
    assert found.copy_ns > 0
    assert (found.own_ns > 0) == (found.shared_ns > 0)


@pytest.mark.parametrize(("size", "read"), [("8192K", True), ("999999K", False), ("", False), ("32M", False)])
def test_caches_are_read_where_the_system_says_how_large_they_are(tmp_path, monkeypatch, size, read):
    monkeypatch.setattr(disturbance, "affinity", lambda: 2)
    file = tmp_path / "sys/devices/system/cpu/cpu0/cache/index3/size"
    file.parent.mkdir(parents=True)
    file.write_text(size)
    found = Reference(tmp_path).measure()
    assert (found.own_ns > 0, found.shared_ns > 0) == (read, read)


def test_with_one_processor_nothing_is_shared(monkeypatch):
    monkeypatch.setattr(disturbance, "affinity", lambda: 1)
    assert Reference().measure().own_ns == UNSEEN
