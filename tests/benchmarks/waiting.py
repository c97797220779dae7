"""What the evidence of disturbance shows, alone and beside a neighbour: `python tests/benchmarks/waiting.py [--blocks 10]`.

A block is half a second of matrix products with as many threads as there are processors. The limits in
attrib/model/disturbance.py lie between the first row and the others. Meant for a quiet machine. Prints Markdown.
"""

import argparse
import sys
import time
from contextlib import nullcontext
from statistics import median

import numpy as np
from neighbour_loads import planted

from attrib.capture.system.disturbance import BlockMeter
from attrib.model.disturbance import BlockEvidence

BLOCK_S = 0.5
SIDE = 1500


def block(matrix: "np.ndarray") -> BlockEvidence:
    """Multiply for a while, and read the counters before and after."""
    meter, end = BlockMeter(), time.perf_counter() + BLOCK_S
    while time.perf_counter() < end:
        matrix @ matrix
    return meter.end()


def row(name: str, blocks: list[BlockEvidence]) -> str:
    """Medians, and the range of the first."""
    waits = [100 * seen.waiting_ns / seen.elapsed_ns for seen in blocks]
    switches = median(1e9 * seen.switches / seen.elapsed_ns for seen in blocks)
    others = median(100 * seen.others_ns / (seen.elapsed_ns * seen.processors) for seen in blocks)
    return f"| {name} | {median(waits):.1f} ({min(waits):.1f} to {max(waits):.1f}) | {switches:.0f} | {others:.0f} |"


def main() -> None:
    """Measure both, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--blocks", type=int, default=10)
    count = parser.parse_args().blocks
    matrix = np.random.default_rng(0).random((SIDE, SIDE))
    matrix @ matrix
    lines = [
        "| | waiting, % of the wall | involuntary switches a second | others, % of the processors |",
        "|---|---|---|---|",
    ]
    for name in ("alone", "half", "bandwidth"):
        with nullcontext() if name == "alone" else planted(name):
            lines.append(row(name, [block(matrix) for _ in range(count)]))
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
