"""What keeping a cache costs for each token in it: `python tests/benchmarks/cache_growth.py [--model NAME] [--json FILE]`.

A step of decoding is captured as a user would, behind caches of several lengths. Of either engine, what the report says of
the cause `cache` is fitted as a fixed part and a part for each token (least squares, relative to the measured time), on all
lengths but those of `--check`; these are predicted by the line. `--json FILE` keeps what was measured and goes on from it.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from captures import command_of, run

from attrib.api import load

ROLES = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime"}
FITTED, CHECKED = (50, 200, 500), (350, 800)
LEAST = 3
"""Points by which a line is fitted that has something to be wrong about."""

Measured = dict[str, dict[str, float]]
"""By length of the cache: nanoseconds of either engine that keep it, and of its whole step."""


def law(lengths: Sequence[int], spent: Sequence[float]) -> tuple[float, float]:
    """The fixed part, and the part for each token, in the unit of `spent`; residuals count relative to what was measured.

    Raises:
        ValueError: Too few points, or one of them is 0.
    """
    if len(lengths) < LEAST or min(spent) <= 0:
        raise ValueError(f"a law needs {LEAST} lengths at which the cache costs something")
    rows = np.column_stack([np.ones(len(lengths)), np.asarray(lengths, dtype=float)])
    weights = 1 / np.asarray(spent, dtype=float)
    found, *_ = np.linalg.lstsq(rows * weights[:, None], np.ones(len(lengths)), rcond=None)
    return float(found[0]), float(found[1])


def capture(length: int, options: Sequence[str]) -> dict[str, float]:
    """Capture a step behind a cache of that length, and read what its report says."""
    with tempfile.TemporaryDirectory(prefix="attrib-cache-") as folder:
        out = Path(folder) / "traces"
        run(command_of([*options, "--cache-length", str(length)], out))
        document = load(out).document
    (cache,) = [cause for cause in document.causes if cause.cause == "cache"]
    steps = {"torch": document.latency.torch_ns, "onnxruntime": document.latency.onnxruntime_ns}
    found = {"torch": float(cache.torch_ns), "onnxruntime": float(cache.onnxruntime_ns)}
    return found | {f"{role} step": float(step.median) for role, step in steps.items() if step is not None}


def table(measured: Mapping[str, Mapping[str, float]], checked: Sequence[int]) -> str:
    """One row a length, and the laws below."""
    lengths = sorted(map(int, measured))
    fitted = [length for length in lengths if length not in checked]
    laws = {role: law(fitted, [measured[str(length)][role] for length in fitted]) for role in ROLES}
    lines = [
        "| tokens | "
        + " | ".join(f"{name}: cache | of its step | by the law" for name in ROLES.values())
        + " |",
        "|--:|" + "--:|" * (3 * len(ROLES)),
    ]
    for length in lengths:
        cells = [f"{length:,}"]
        for role, (fixed, each) in laws.items():
            its, step = measured[str(length)][role], measured[str(length)][f"{role} step"]
            told = fixed + each * length
            error = f"{told / 1e6:.3f} ms, {told / its - 1:+.0%}" if length in checked else "fitted"
            cells += [f"{its / 1e6:.3f} ms", f"{its / step:.1%}", error]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    for role, (fixed, each) in laws.items():
        lines.append(f"- {ROLES[role]}: {fixed / 1e3:,.0f} µs, and {each:,.0f} ns for each token")
    return "\n".join(lines)


def main() -> None:
    """Capture what is missing, and print the table."""
    parser = argparse.ArgumentParser(description="What keeping a cache costs for each token in it.")
    parser.add_argument("--model", default="gpt2")
    parser.add_argument("--lengths", nargs="*", type=int, default=[*FITTED], help="lengths that are fitted")
    parser.add_argument("--check", nargs="*", type=int, default=[*CHECKED], help="lengths that are predicted")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep what was measured, and go on from it")
    parser.add_argument(
        "--options", nargs=argparse.REMAINDER, default=[], help="further options of `attrib profile`"
    )
    given = parser.parse_args()
    measured: Measured = json.loads(given.json.read_text()) if given.json and given.json.is_file() else {}
    for length in sorted({*given.lengths, *given.check}):
        if str(length) in measured:
            continue
        sys.stderr.write(f"{length}\n")
        measured[str(length)] = capture(length, ["--model", given.model, *given.options])
        if given.json:
            given.json.write_text(json.dumps(measured, indent=1))
    sys.stdout.write(table(measured, given.check) + "\n")


if __name__ == "__main__":
    main()
