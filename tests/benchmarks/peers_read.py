"""Reads one file once with one reader and prints what that took, as one line of JSON. Started by traces.py.

    python tests/benchmarks/peers_read.py --reader json.load --file trace.json [--memory BYTES]

Imports come before the clock starts; counting the events comes after it stops.
"""

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from peers import READERS


def peak_bytes() -> int:
    """The most memory that this process held at once.

    `ru_maxrss` of a process also covers what it was before exec, so Linux's own figure goes first.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def processor_seconds() -> float:
    """Processor time of this process and of those that it started and that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def measure(name: str, file: Path) -> dict[str, Any]:
    """Read the file once."""
    reader = READERS[name]
    read = reader.prepare()
    before, begin = processor_seconds(), time.perf_counter()
    result = read(file)
    seconds, processor = time.perf_counter() - begin, processor_seconds() - before
    found = {"seconds": seconds, "processor": processor, "peak": peak_bytes()}
    return found | reader.count(result)._asdict()


def main() -> None:
    """Measure and print; running out of memory is a result too."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--reader", choices=READERS, required=True)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--memory", type=int, default=0)
    options = parser.parse_args()
    if options.memory:
        resource.setrlimit(resource.RLIMIT_AS, (options.memory, options.memory))
    try:
        found = measure(options.reader, options.file)
    except MemoryError:
        found = {"error": "out of memory"}
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    os._exit(0)  # freeing millions of objects takes seconds that nobody asked for


if __name__ == "__main__":
    main()
