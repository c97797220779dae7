import subprocess
import sys

import pyarrow as pa
import pytest
from pyarrow import parquet

from attrib.errors import AttribError
from attrib.traces.directory.latency_file import read_latency
from tests.traces.directory.test_trace_directory import LATENCY, put_latency

READ = """
import os, sys
import pyarrow.parquet
from pathlib import Path
from attrib.traces.directory.latency_file import read_latency
threads = lambda: len(os.listdir("/proc/self/task"))
before = threads()
assert len(read_latency(Path(sys.argv[1]))) == 3
print(threads() - before)
"""


def test_reading_leaves_no_thread_that_could_abort_the_end_of_the_process(tmp_path):
    put_latency(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", READ, tmp_path / "latency.parquet"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr


@pytest.mark.parametrize("wall", [0, -5, -(1 << 62)])
def test_a_step_that_takes_no_time_is_refused(tmp_path, wall):
    put_latency(tmp_path, LATENCY | {"wall_ns": [50, wall, 70]})
    with pytest.raises(AttribError, match=f"column wall_ns holds {wall}$"):
        read_latency(tmp_path / "latency.parquet")


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    names = [*LATENCY, "wall_ns"]
    parquet.write_table(pa.table([LATENCY[name] for name in names], names=names), tmp_path / "twice.parquet")
    with pytest.raises(AttribError, match="has a column twice: 'wall_ns'"):
        read_latency(tmp_path / "twice.parquet")
