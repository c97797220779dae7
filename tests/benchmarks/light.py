"""How light attrib is beside what people know: whole processes, side by side, as ratios.

    python tests/benchmarks/light.py [--runs 9]

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
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "sample_traces" / "bert-base-uncased"


def seconds(command: list[str]) -> float:
    """Wall time of one process."""
    environment = {
        **os.environ,
        "NO_COLOR": "1",
        "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "attrib-light"),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as after `pip install`, which compiles every module
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - begin


def compare(
    name: str, ours: list[str], theirs: list[str], beside: str, must: float, aim: float, runs: int
) -> str:
    """One row: medians of interleaved runs, and the median of the pairwise ratios."""
    seconds(ours), seconds(theirs)
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(runs)]
    ratio = statistics.median(a / b for a, b in pairs)
    mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    reached = "aim" if ratio <= aim else "must" if ratio <= must else "NO"
    return f"| {name} | {mine:.2f} s | {beside} | {other:.2f} s | {ratio:.2f} | {must} / {aim} | {reached} |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    python = sys.executable
    with tempfile.TemporaryDirectory() as folder:
        page = str(Path(folder) / "r.html")
        report = [python, "-m", "attrib", "report", str(SAMPLE), "-o", page, "--force"]
        rows = [
            compare("`attrib report` (BERT-base sample)", report, [python, "-c", "import pandas"],
                    '`python -c "import pandas"`', 2.5, 1.2, runs),
            compare("`attrib report --static`", [*report, "--static"], [python, "-c", "import pandas"],
                    '`python -c "import pandas"`', 2.5, 1.2, runs),
            compare("`attrib --help`", [python, "-m", "attrib", "--help"], [python, "-c", "pass"],
                    "`python -c pass`", 6, 4, runs),
        ]  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    sys.stdout.write(
        "| work | median | beside | median | ratio | must / aim | reached |\n|---|---|---|---|---|---|---|\n"
    )
    sys.stdout.write("\n".join(rows) + f"\n\npeak memory of the largest process: {peak:.0f} MiB\n")


if __name__ == "__main__":
    main()
