import subprocess
import sys

from tests.traces.directory.test_trace_directory import put_latency

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
        [sys.executable, "-c", READ, tmp_path / "latency.parquet"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr
