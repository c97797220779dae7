"""What matching by values costs: `python tests/benchmarks/values.py [--case NAME]...`.

Captures a model by the command with and without `--no-values`, few rounds each, and prints: seconds of the comparison
(of `values.json`) and of either command, the most memory that the command and its workers held before the comparison and
during it, how many values were compared, and the share of either engine's time that they verify.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from captures import ROOT

from attrib.api import load

PHASE = "Comparing what both compute"
"""The line with which the comparison begins."""

HERE = Path(__file__).parent
CASES: dict[str, tuple[str, ...]] = {
    "BERT-base": ("bert-base-uncased",),
    "10,000 nodes": (f"{HERE / 'tiny_models.py'}:many_nodes_10000",),
    "2 GB of activations": (f"{HERE / 'tiny_models.py'}:two_gigabytes",),
}
QUICKLY = (
    "--launches",
    "1",
    "--max-time",
    "0",
    "--rounds",
    "2",
    "--iterations",
    "1",
    "--warmup",
    "1",
    "--no-report",
)
POLL_S = 0.02


def memory_of(pid: int) -> int:
    """Bytes that a process and its descendants hold in memory."""
    found = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        found += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += sum(memory_of(int(child)) for child in (task / "children").read_text().split())
    return found


def run(model: str, folder: Path, *more: str) -> Iterator[tuple[str, float]]:
    """Capture, and tell the seconds that it took and the most memory before the comparison and during it."""
    command = [
        sys.executable,
        "-m",
        "attrib",
        "profile",
        "--model",
        model,
        "-o",
        str(folder),
        *QUICKLY,
        *more,
    ]
    most = {"before": 0, "during": 0}
    begin = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        began = threading.Event()
        said: list[str] = []

        def listen() -> None:
            assert process.stderr is not None
            for line in process.stderr:
                said.append(line)
                if PHASE in line:
                    began.set()

        listener = threading.Thread(target=listen)
        listener.start()
        while process.poll() is None:
            held = memory_of(process.pid)
            when = "during" if began.is_set() else "before"
            most[when] = max(most[when], held)
            time.sleep(POLL_S)
        listener.join()
    if process.returncode:
        raise SystemExit(f"exit code {process.returncode}: {''.join(said[-3:])}")
    yield "seconds", time.perf_counter() - begin
    yield from most.items()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", action="append", choices=list(CASES), help="repeatable")
    given = parser.parse_args()
    columns = ("values", "comparison", "command", "with --no-values", "memory before", "during", "verified")
    sys.stdout.write(f"| | {' | '.join(columns)} |\n{'|---' * (len(columns) + 1)}|\n")
    for name in given.case or CASES:
        with tempfile.TemporaryDirectory() as folder:
            (model,) = CASES[name]
            told = dict(run(model, Path(folder, "with")))
            without = dict(run(model, Path(folder, "without"), "--no-values"))
            found = load(Path(folder, "with"))
            values, coverage = found.directory.values("onnxruntime"), found.document.coverage
            if values is None:
                raise SystemExit(f"{name}: nothing was compared: {'; '.join(found.directory.missing)}")
            shares = (coverage.ort_node_time_verified or 0.0, coverage.torch_call_time_verified or 0.0)
            cells = [
                f"{sum(map(len, values.graphs.values())):,}",
                f"{values.seconds:.1f} s",
                f"{told['seconds']:.1f} s",
                f"{without['seconds']:.1f} s",
                f"{told['before'] / 1e9:.1f} GB",
                f"{told['during'] / 1e9:.1f} GB",
                ", ".join(f"{share:.1%}" for share in shares)
                + (f" ({'; '.join(values.unread.values())})" if values.unread else ""),
            ]
            sys.stdout.write(f"| {name} | {' | '.join(cells)} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
