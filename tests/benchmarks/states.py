"""Which fixed work tells a machine's states apart: `python tests/benchmarks/states.py [--seconds 150] [--threads 2]`.

In one process a step of matrix products as large as BERT-base's is timed, then references, then the step again, over and
over. Where the step falls into two groups although nothing else runs, the machine is in two states; a reference that falls
into the same groups can name them.

The references are what a capture times in every round (`attrib.capture.system.disturbance.Reference`):

- `product`, `copy`: on one thread.
- `own`: two threads at once, each reads memory of its own, together more than one last-level cache holds.
- `shared`: two threads at once, both read the same memory, which one last-level cache holds.
- `shared / own`: low where the two threads share a last-level cache (what one read is there for the other, and the memory of
  both does not fit), near 1 where each has a cache of its own.

A step is slow or fast where both of its timings lie on the same side of the middle between the 10th and 90th percentile, a
tenth of that span away from it; the others are left out. For the ratio, the table below says how well a threshold divides.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import captures  # noqa: F401  (puts the project on the path)
import numpy as np

from attrib.capture.system.disturbance import Reference

RATIO = "shared / own"
LAYERS, HIDDEN, WIDE, TOKENS = 12, 768, 3072, 128
STEPS = 3
THRESHOLDS = (0.6, 0.65, 0.7, 0.75, 0.8)


def step_of(threads: int) -> Callable[[], object]:
    """A step of as many products as BERT-base has, of the same sizes."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    sizes = ((HIDDEN, HIDDEN),) * 4 + ((WIDE, HIDDEN), (HIDDEN, WIDE))
    layers = [[torch.randn(size) for size in sizes] for _ in range(LAYERS)]
    tokens = torch.randn(TOKENS, HIDDEN)

    def step() -> object:
        hidden = tokens
        with torch.inference_mode():
            for query, key, value, out, up, down in layers:
                mixed = (hidden @ query.T + hidden @ key.T + hidden @ value.T) @ out.T
                hidden = torch.nn.functional.layer_norm(
                    torch.nn.functional.gelu(mixed @ up.T) @ down.T, (HIDDEN,)
                )
        return hidden

    return step


def milliseconds(work: Callable[[], object], times: int) -> float:
    """Median of a few runs."""
    walls = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        walls.append(time.perf_counter() - begin)
    return statistics.median(walls) * 1e3


def measure(seconds: float, threads: int) -> list[dict[str, float]]:
    """One row each time around, milliseconds."""
    step, reference = step_of(threads), Reference()
    milliseconds(step, 5)
    rows, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        row = {"step": milliseconds(step, STEPS)}
        found = reference.measure()
        row |= {name.removesuffix("_ns"): its / 1e6 for name, its in found._asdict().items()}
        rows.append(row | {RATIO: found.shared_ns / found.own_ns, "again": milliseconds(step, STEPS)})
    return rows


def divided(rows: Sequence[dict[str, float]]) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """The rows with a slow step, and those with a fast one."""
    steps = [row[name] for row in rows for name in ("step", "again")]
    low, high = np.percentile(steps, [10, 90])
    middle, margin = (low + high) / 2, (high - low) / 10
    slow = [row for row in rows if min(row["step"], row["again"]) > middle + margin]
    return slow, [row for row in rows if max(row["step"], row["again"]) < middle - margin]


def spread(rows: Sequence[dict[str, float]], name: str) -> str:
    """Median, and the 10th and 90th percentile."""
    if not rows:
        return "none"
    low, middle, high = np.percentile([row[name] for row in rows], [10, 50, 90])
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def table(rows: Sequence[dict[str, float]]) -> str:
    """Both tables."""
    slow, fast = divided(rows)
    lines = [f"| ms | {len(slow)} times slow | {len(fast)} times fast |", "|---|---|---|"]
    lines += [f"| {name} | {spread(slow, name)} | {spread(fast, name)} |" for name in rows[0]]
    lines += ["", "| shared / own above | of the slow | of the fast |", "|---|---|---|"]
    for limit in THRESHOLDS:
        shares = [sum(row[RATIO] > limit for row in its) / max(len(its), 1) for its in (slow, fast)]
        lines.append(f"| {limit} | {shares[0]:.0%} | {shares[1]:.0%} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=150.0)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    sys.stdout.write(f"{table(measure(given.seconds, given.threads))}\n")


if __name__ == "__main__":
    main()
