"""Seconds to the verdict: the whole `attrib profile`, page included, before and after, in turns.

    python tests/benchmarks/seconds.py --before REVISION [--runs 3] [-- OPTIONS of attrib profile]

The files of the revision are unpacked in a folder of their own and imported from there. In every run either side captures
once, in an order that is turned from run to run, so that drift of the machine falls on both. Meant for a quiet machine: a
row of a busy one is marked. Prints Markdown: every capture, and the ratio of the times, run by run.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from captures import ROOT, Figures, captured, say, write

from tests.project.structure import checkout

MODEL = "bert-base-uncased"
BEFORE, AFTER = "before", "after"
MOST = 1.5
"""How many times as long the command may take."""

HEADER = """\
| run | which | seconds | of these measuring | launches | rounds | difference, ms | half width, of the step | verdict |
|---|---|---|---|---|---|---|---|---|"""

Runs = dict[str, list[Figures]]


def order(number: int) -> tuple[str, str]:
    """Which side captures first in a run: either as often."""
    return (AFTER, BEFORE) if number % 2 else (BEFORE, AFTER)


def ratios(runs: Mapping[str, Sequence[Figures]]) -> list[float]:
    """Seconds after over seconds before, run by run."""
    return [
        after.seconds / before.seconds for before, after in zip(runs[BEFORE], runs[AFTER], strict=False)
    ]


def met(runs: Mapping[str, Sequence[Figures]]) -> bool:
    """Whether the command takes no longer than it may."""
    return statistics.median(ratios(runs)) <= MOST


def table(runs: Mapping[str, Sequence[Figures]]) -> str:
    """One row a capture, and the ratio of the times below."""
    lines = [HEADER]
    for number in range(len(runs[AFTER])):
        lines += [_row(number, side, runs[side][number]) for side in order(number)]
    found = ratios(runs)
    return "\n".join([
        *lines,
        "",
        f"seconds after / before: median {statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f});"
        f" at most {MOST:g}: {'yes' if met(runs) else 'NO'}",
    ])  # fmt: skip


def _row(number: int, side: str, its: Figures) -> str:
    delta, low, high = (f"{ns / 1e6:+.2f}" for ns in its.delta_ns)
    shown = [
        str(number + 1),
        side,
        f"{its.seconds:.1f}",
        f"{its.measure_s:.1f}",
        str(its.launches or 1),
        str(its.rounds),
        f"{delta} ({low} to {high})",
        f"{its.half_width:.1%}",
        its.verdict + (f"; disturbed blocks: {sum(its.disturbed.values())}" if its.disturbed else ""),
    ]
    return f"| {' | '.join(shown)} |"


def measure(options: Sequence[str], revision: str, count: int) -> Runs:
    """Both sides in turns."""
    runs: Runs = {BEFORE: [], AFTER: []}
    with tempfile.TemporaryDirectory(prefix="attrib-seconds-") as temporary:
        roots = {BEFORE: checkout(revision, Path(temporary) / "revision"), AFTER: ROOT}
        for number in range(count):
            for side in order(number):
                say(f"run {number + 1} of {count}: {side}")
                folder = Path(temporary) / f"{side}-{number}"
                runs[side].append(captured(options, folder, root=roots[side], report=True))
    return runs


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, metavar="REVISION")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("--table", type=Path, metavar="FILE", help="measure nothing: print what --json wrote there")
    parser.add_argument("more", nargs="*", metavar="-- OPTION", help="further options of `attrib profile`, for both")
    given = parser.parse_args()
    if given.table:
        runs = msgspec.json.decode(given.table.read_bytes(), type=Runs)
    else:
        runs = measure(["--model", given.model, *given.more], given.before, given.runs)
    if given.json:
        write(given.json, runs)
    sys.stdout.write(table(runs) + "\n")
    sys.exit(not met(runs))


if __name__ == "__main__":
    main()
