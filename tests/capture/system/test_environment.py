"""Cores, quotas and versions, read from fake `/proc` and cgroup trees."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from attrib.capture.system import environment
from attrib.errors import UsageError
from attrib.scrub import scrub

V2_MOUNT = "31 23 0:28 {root} /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNT = (
    "32 31 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
)


def write(root: Path, path: str, text: str) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def v2_tree(root: Path, cgroup: str, mounted: str = "/") -> Path:
    write(root, "proc/self/cgroup", f"0::{cgroup}\n")
    write(root, "proc/self/mountinfo", V2_MOUNT.format(root=mounted))
    return root


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.usefixtures("eight_cores")
class TestUsableCores:
    def test_no_cgroup_leaves_the_affinity(self, tmp_path):
        assert environment.usable_cores(tmp_path) == 8

    def test_v2_quota_can_be_a_fraction(self, tmp_path):
        v2_tree(tmp_path, "/job")
        write(tmp_path, "sys/fs/cgroup/job/cpu.max", "150000 100000\n")
        assert environment.usable_cores(tmp_path) == 1.5

    def test_v2_without_limit(self, tmp_path):
        v2_tree(tmp_path, "/job")
        write(tmp_path, "sys/fs/cgroup/job/cpu.max", "max 100000\n")
        assert environment.cpu_quotas(tmp_path) == ()

    def test_the_quota_of_a_parent_counts(self, tmp_path):
        v2_tree(tmp_path, "/pod/container")
        write(tmp_path, "sys/fs/cgroup/pod/cpu.max", "200000 100000\n")
        write(tmp_path, "sys/fs/cgroup/pod/container/cpu.max", "400000 100000\n")
        assert environment.usable_cores(tmp_path) == 2

    def test_only_the_mounted_part_of_the_path_is_below_the_mount(self, tmp_path):
        v2_tree(tmp_path, "/docker/abc/inner", mounted="/docker/abc")
        write(tmp_path, "sys/fs/cgroup/inner/cpu.max", "300000 100000\n")
        assert environment.usable_cores(tmp_path) == 3

    def test_a_path_outside_the_namespace_reads_the_mount_point(self, tmp_path):
        v2_tree(tmp_path, "/../..")
        write(tmp_path, "sys/fs/cgroup/cpu.max", "100000 100000\n")
        assert environment.usable_cores(tmp_path) == 1

    def test_v1_quota_under_a_joint_mount(self, tmp_path):
        write(tmp_path, "proc/self/cgroup", "5:cpu,cpuacct:/job\n4:memory:/other\n")
        write(tmp_path, "proc/self/mountinfo", V1_MOUNT.format(root="/"))
        write(tmp_path, "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "250000\n")
        write(tmp_path, "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n")
        assert environment.usable_cores(tmp_path) == 2.5

    def test_v1_minus_one_is_no_limit(self, tmp_path):
        write(tmp_path, "proc/self/cgroup", "5:cpu,cpuacct:/\n")
        write(tmp_path, "proc/self/mountinfo", V1_MOUNT.format(root="/"))
        write(tmp_path, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
        write(tmp_path, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
        assert environment.usable_cores(tmp_path) == 8

    def test_a_quota_above_the_affinity_does_not_add_cores(self, tmp_path):
        v2_tree(tmp_path, "/")
        write(tmp_path, "sys/fs/cgroup/cpu.max", "9900000 100000\n")
        assert environment.usable_cores(tmp_path) == 8

    @pytest.mark.parametrize("text", ["", "abc", "0 100000", "100000 0", "1 2 3", "-5 100000"])
    def test_a_malformed_quota_is_no_limit(self, tmp_path, text):
        v2_tree(tmp_path, "/")
        write(tmp_path, "sys/fs/cgroup/cpu.max", text)
        assert environment.usable_cores(tmp_path) == 8

    def test_without_affinity_the_core_count_stands_in(self, tmp_path, monkeypatch):
        monkeypatch.delattr(os, "sched_getaffinity")
        monkeypatch.setattr(os, "cpu_count", lambda: 10)
        assert environment.usable_cores(tmp_path) == 10


@pytest.mark.usefixtures("eight_cores")
class TestThreadCount:
    def test_a_request_wins(self, tmp_path):
        assert environment.thread_count(32, tmp_path) == 32

    @pytest.mark.parametrize("requested", [0, -1])
    def test_fewer_than_one_is_a_usage_error(self, requested):
        with pytest.raises(UsageError, match="at least one"):
            environment.thread_count(requested)

    def test_a_fraction_of_a_core_still_gives_one_thread(self, tmp_path):
        v2_tree(tmp_path, "/")
        write(tmp_path, "sys/fs/cgroup/cpu.max", "50000 100000\n")
        assert environment.thread_count(None, tmp_path) == 1

    def test_part_of_a_core_gets_no_thread_of_its_own(self, tmp_path):
        v2_tree(tmp_path, "/")
        write(tmp_path, "sys/fs/cgroup/cpu.max", "350000 100000\n")
        assert environment.thread_count(None, tmp_path) == 3

    def test_two_hardware_threads_share_one_core(self, tmp_path):
        rows = [f"processor : {i}\nphysical id : 0\ncore id : {i // 2}\n" for i in range(8)]
        write(tmp_path, "proc/cpuinfo", "\n".join(rows))
        assert environment.thread_count(None, tmp_path) == 4

    def test_only_cores_in_the_affinity_count(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
        rows = [f"processor : {i}\nphysical id : 0\ncore id : {i // 2}\n" for i in range(8)]
        write(tmp_path, "proc/cpuinfo", "\n".join(rows))
        assert environment.physical_cores(tmp_path) == 2

    def test_cpuinfo_without_core_ids_says_nothing(self, tmp_path):
        write(tmp_path, "proc/cpuinfo", "processor : 0\nBogoMIPS : 50\n\nprocessor : 1\n")
        assert environment.physical_cores(tmp_path) == math.inf


class TestDescription:
    def test_cpu_name_is_one_line_with_single_spaces(self, tmp_path):
        write(tmp_path, "proc/cpuinfo", "processor : 0\nmodel name\t: Intel(R)  Xeon(R)   CPU\n")
        assert environment.cpu_model(tmp_path) == "Intel(R) Xeon(R) CPU"

    def test_memory_is_the_smallest_limit(self, tmp_path):
        v2_tree(tmp_path, "/job")
        write(tmp_path, "proc/meminfo", "MemTotal:       24684084 kB\nMemFree: 1 kB\n")
        assert environment.memory_bytes(tmp_path) == 24684084 * 1024
        write(tmp_path, "sys/fs/cgroup/job/memory.max", "1073741824\n")
        assert environment.memory_bytes(tmp_path) == 1 << 30

    def test_versions_come_without_importing_the_packages(self):
        code = (
            "import sys\n"
            "from attrib.capture.system.environment import describe_environment\n"
            "packages = describe_environment().packages\n"
            "assert packages['torch'] and packages['onnx'], packages\n"
            "loaded = {'torch', 'onnx', 'onnxruntime', 'transformers'} & set(sys.modules)\n"
            "sys.exit(f'imported {loaded}' if loaded else 0)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def test_gpu_rows_keep_commas_in_the_name(self, monkeypatch):
        monkeypatch.setattr(environment, "_command", lambda *_: "NVIDIA X, Y Edition, 570.86\nT4, 550.1\n")
        assert environment.accelerators() == ("NVIDIA X, Y Edition (driver 570.86)", "T4 (driver 550.1)")

    def test_a_program_that_fails_is_an_empty_answer(self):
        assert environment._command("false") == ""
        assert environment._command("no-such-program-here") == ""

    def test_nothing_in_it_names_this_machine(self):
        import msgspec

        text = msgspec.json.encode(environment.describe_environment()).decode()
        assert scrub(text) == text


def test_package_whose_metadata_says_no_version_is_left_out(tmp_path, monkeypatch):
    (tmp_path / "onnxslim-9.9.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert all(environment.package_versions().values())
    assert "onnxslim" not in environment.package_versions()
