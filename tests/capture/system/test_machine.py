"""What happens to the processor during a capture, read from fake counters of the system."""

import pytest

from attrib.capture.system.environment import cpu_flags, describe_environment
from attrib.capture.system.machine import MachineWatch
from attrib.model.manifest import Environment

MOUNT = "31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"


def write(root, path, text):
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def ticks(root, *, busy, idle, stolen):
    write(root, "proc/stat", f"cpu  {busy} 0 0 {idle} 0 0 0 {stolen} 0 0\ncpu0 1 2 3\n")


def cgroup(root, *, throttled_us):
    write(root, "proc/self/cgroup", "0::/job\n")
    write(root, "proc/self/mountinfo", MOUNT)
    write(root, "sys/fs/cgroup/job/cpu.stat", f"usage_usec 5\nthrottled_usec {throttled_us}\n")


def test_stolen_time_quota_and_heat_are_differences(tmp_path):
    ticks(tmp_path, busy=100, idle=100, stolen=10)
    cgroup(tmp_path, throttled_us=1_000_000)
    throttles = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
    write(tmp_path, throttles, "7\n")
    watch = MachineWatch(tmp_path)
    ticks(tmp_path, busy=250, idle=120, stolen=40)
    cgroup(tmp_path, throttled_us=3_500_000)
    write(tmp_path, throttles, "9\n")
    found = watch.end(Environment())
    assert found.stolen_share == pytest.approx(30 / 200)
    assert found.throttled_seconds == 2.5
    assert found.thermal_throttles == 2


def test_what_a_system_does_not_count_is_unknown_and_not_nothing(tmp_path):
    found = MachineWatch(tmp_path).end(Environment())
    assert (found.stolen_share, found.throttled_seconds, found.thermal_throttles) == (None, None, None)


@pytest.mark.parametrize("text", ["", "cpu\n", "cpu a b c d e f g h\n", "cpu 1 2 3\n"])
def test_counters_in_another_form_are_unknown(tmp_path, text):
    write(tmp_path, "proc/stat", text)
    assert MachineWatch(tmp_path).end(Environment()).stolen_share is None


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("processor : 0\nflags : fpu avx2 avx512f amx_bf16 lm\n", ("avx2", "avx512f", "amx_bf16")),
        ("processor : 0\nFeatures : fp asimd bf16\n", ("asimd", "bf16")),
        ("", ()),
    ],
)
def test_instruction_sets_of_x86_and_arm(tmp_path, text, flags):
    write(tmp_path, "proc/cpuinfo", text)
    assert cpu_flags(tmp_path) == flags


def test_limits_are_part_of_the_environment(tmp_path):
    cgroup(tmp_path, throttled_us=0)
    write(tmp_path, "sys/fs/cgroup/job/cpu.max", "150000 100000\n")
    write(tmp_path, "proc/cpuinfo", "processor : 0\nmodel name : x\n")
    found = describe_environment(tmp_path)
    assert (found.cpu, found.cpu_quota) == ("x", 1.5)
    assert found.affinity >= 1
