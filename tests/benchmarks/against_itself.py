"""How far two processes of one engine are apart: `python tests/benchmarks/against_itself.py [--captures 2]`.

Each capture runs one engine on both sides. Whatever it shows is not the model's doing: it is the floor below which no
finding should claim anything (`NEGLIGIBLE_SHARE` in attrib/findings/runner.py).
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import attrib


def row(engine: str, folder: Path) -> str:
    """Capture BERT-base against itself: the headline and the largest cause, as shares of the step."""
    command = [
        "profile",
        "--model",
        "bert-base-uncased",
        "--against-itself",
        engine,
        "--no-report",
        "-o",
        str(folder),
    ]
    subprocess.run([sys.executable, "-m", "attrib", *command], check=True, capture_output=True)
    document = attrib.load(folder).document
    step, delta = document.latency.torch_ns.median, document.latency.delta_ns
    causes = [c for c in document.causes if c.cause != "profiler_overhead"]
    largest = max(causes, key=lambda c: abs(c.delta_ns))
    certain = [c for c in causes if not c.low_ns <= 0 <= c.high_ns]
    worst = max((abs(c.delta_ns) / step for c in certain), default=0.0)
    return (
        f"| {engine} | {delta.median / step:+.2%} | {'yes' if document.latency.significant else 'no'} "
        f"| {largest.cause} {largest.delta_ns / step:+.2%} | {worst:.2%} |"
    )


def main() -> None:
    """Capture, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--captures", type=int, default=2)
    captures = parser.parse_args().captures
    sys.stdout.write(
        "| engine | headline | significant | largest cause | largest whose interval excludes 0 |\n|---|---|---|---|---|\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        for number in range(captures):
            for engine in ("torch", "onnxruntime"):
                sys.stdout.write(row(engine, Path(folder) / f"{engine}-{number}") + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
