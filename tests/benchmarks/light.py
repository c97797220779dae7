"""How light attrib is beside what people know: whole processes, side by side, as ratios.

    python tests/benchmarks/light.py [--runs 9]
    python tests/benchmarks/light.py --installed FOLDER   # a wheel in FOLDER (`pip install --no-deps --target FOLDER WHEEL`)
    python tests/benchmarks/light.py --before REVISION    # the same commands of that revision, in turns with this one's

Prints a Markdown table; docs/benchmarks.md holds the last one. Absolute times are of the machine at hand, ratios travel.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "sample_traces" / "bert-base-uncased"
ATTRIB = [sys.executable, "-m", "attrib"]
sys.path.insert(0, str(ROOT))

from tests.project.structure import checkout  # noqa: E402


class Spent(NamedTuple):
    """What one process took: wall time and processor time in seconds, and its peak memory in MiB."""

    wall: float
    processor: float
    peak: float


def measure(command: list[str], root: Path) -> Spent:
    """What one process takes that imports attrib from `root`."""
    environment = {
        **os.environ,
        "NO_COLOR": "1",
        "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "attrib-light"),
        "PYTHONPATH": str(root),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as after `pip install`, which compiles every module
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment, cwd=tempfile.gettempdir())
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Spent(took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def compare(
    name: str, ours: list[str], theirs: list[str], beside: str, must: float, aim: float, runs: int, root: Path
) -> str:
    """One row: medians of interleaved runs, and the medians of the pairwise ratios of wall and of processor time."""
    measure(ours, root), measure(theirs, root)
    pairs = [(measure(ours, root), measure(theirs, root)) for _ in range(runs)]
    wall, processor = (statistics.median(a[i] / b[i] for a, b in pairs) for i in (0, 1))
    mine, other = (statistics.median(side.wall for side in column) for column in zip(*pairs, strict=True))
    worse = max(wall, processor)
    reached = "aim" if worse <= aim else "must" if worse <= must else "NO"
    times = f"{mine:.2f} s | {beside} | {other:.2f} s | {wall:.2f} | {processor:.2f}"
    return f"| {name} | {times} | {must} / {aim} | {reached} |"


def compare_revisions(revision: str, runs: int) -> Iterator[str]:
    """One row a command: this checkout in turns with a revision; medians of the ratios, pair by pair."""
    yield "| work | before | now | wall, now / before | peak memory, now / before |\n|---|---|---|---|---|"
    with tempfile.TemporaryDirectory() as folder:
        before = checkout(revision, Path(folder) / "before")
        report = [*ATTRIB, "report", str(SAMPLE), "-o", str(Path(folder) / "r.html"), "--force"]
        for name, command in {
            "`attrib report` (BERT-base sample)": report,
            "`attrib report --static`": [*report, "--static"],
            "`attrib --help`": [*ATTRIB, "--help"],
        }.items():
            measure(command, before), measure(command, ROOT)
            pairs = [(measure(command, before), measure(command, ROOT)) for _ in range(runs)]
            old, new = (statistics.median(side[0] for side in column) for column in zip(*pairs, strict=True))
            wall, peak = (statistics.median(b[i] / a[i] for a, b in pairs) for i in (0, 2))
            yield f"| {name} | {old:.2f} s | {new:.2f} s | {wall:.2f} | {peak:.2f} |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--before", metavar="REVISION", help="a revision to compare this checkout with")
    parser.add_argument(
        "--installed", type=Path, default=ROOT, metavar="FOLDER", help="where attrib is installed"
    )
    options = parser.parse_args()
    root = options.installed.resolve()
    runs = options.runs
    if options.before:
        sys.stdout.write("\n".join(compare_revisions(options.before, runs)) + "\n")
        return
    python = sys.executable
    with tempfile.TemporaryDirectory() as folder:
        page = str(Path(folder) / "r.html")
        report = [*ATTRIB, "report", str(SAMPLE), "-o", page, "--force"]
        rows = [
            compare("`attrib report` (BERT-base sample)", report, [python, "-c", "import pandas"],
                    '`python -c "import pandas"`', 2.0, 1.2, runs, root),
            compare("`attrib report --static`", [*report, "--static"], [python, "-c", "import pandas"],
                    '`python -c "import pandas"`', 2.0, 1.2, runs, root),
            compare("`attrib --help`", [*ATTRIB, "--help"], [python, "-c", "pass"],
                    "`python -c pass`", 6, 4, runs, root),
        ]  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    sys.stdout.write(
        "| work | median | beside | median | ratio of wall | of processor time | must / aim | reached |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    sys.stdout.write("\n".join(rows) + f"\n\npeak memory of the largest process: {peak:.0f} MiB\n")


if __name__ == "__main__":
    main()
