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

from captures import ROOT, Figures, Taken, captured, say

from tests.project.structure import checkout

MODEL = "bert-base-uncased"
BEFORE, AFTER = "before", "after"
MOST = 1.5
"""How many times as long the command may take."""

HEADER = """\
| run | which | seconds | measuring | launches | rounds | ended | difference, ms | half width, of a step | verdict |
|---|---|---|---|---|---|---|---|---|---|"""

Runs = Mapping[str, Sequence[Figures]]


def order(number: int) -> tuple[str, str]:
    """Which side captures first in a run: either as often."""
    return (AFTER, BEFORE) if number % 2 else (BEFORE, AFTER)


def ratios(runs: Runs) -> list[float]:
    """Seconds after over seconds before, run by run."""
    return [after.seconds / before.seconds for before, after in zip(runs[BEFORE], runs[AFTER], strict=False)]


def met(runs: Runs) -> bool:
    """Whether the command takes no longer than it may."""
    return statistics.median(ratios(runs)) <= MOST


def table(runs: Runs) -> str:
    """One row a capture, and the ratio of the times below."""
    lines = [HEADER]
    for number in range(len(runs[AFTER])):
        lines += [_row(number, side, runs[side][number]) for side in order(number)]
    found = ratios(runs)
    middle, least, most = statistics.median(found), min(found), max(found)
    reached = f"at most {MOST:g}: {'yes' if met(runs) else 'NO'}"
    last = f"seconds after / before: median {middle:.2f} ({least:.2f} to {most:.2f}); {reached}"
    return "\n".join([*lines, "", last])


def _row(number: int, side: str, its: Figures) -> str:
    delta, low, high = (f"{ns / 1e6:+.2f}" for ns in its.delta_ns)
    shown = [
        str(number + 1),
        side,
        f"{its.seconds:.1f}",
        f"{its.measure_s:.1f}",
        str(its.launches or 1),
        str(its.rounds),
        its.ended,
        f"{delta} ({low} to {high})",
        f"{its.half_width:.1%}",
        its.verdict + (f"; disturbed blocks: {sum(its.disturbed.values())}" if its.disturbed else ""),
    ]
    return f"| {' | '.join(shown)} |"


def measure(options: Sequence[str], revision: str, count: int, file: Path | None) -> Taken:
    """Both sides in turns, each run whole; the revision counts among the options that a file must agree with."""
    taken = Taken.resumed(file, (*options, f"({BEFORE}: {revision})"))
    with tempfile.TemporaryDirectory(prefix="attrib-seconds-") as temporary:
        roots = {BEFORE: checkout(revision, Path(temporary) / "revision"), AFTER: ROOT}
        for number in range(count):
            for side in order(number):
                if len(taken.of(side)) <= number:
                    say(f"run {number + 1} of {count}: {side}")
                    folder = Path(temporary) / f"{side}-{number}"
                    taken = taken.added(side, captured(options, folder, root=roots[side], report=True), file)
    return taken


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", required=True, metavar="REVISION")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures, and go on from them")
    parser.add_argument(
        "more", nargs="*", metavar="-- OPTION", help="further options of `attrib profile`, for both"
    )
    given = parser.parse_args()
    try:
        runs = measure(["--model", given.model, *given.more], given.before, given.runs, given.json).captures
    except RuntimeError as error:
        sys.exit(str(error))
    sys.stdout.write(table(runs) + "\n")
    sys.exit(not met(runs))


if __name__ == "__main__":
    main()
