"""An engine against itself: `python tests/benchmarks/against_itself.py [--captures 20] [--json FILE]`.

Each capture runs one engine on both sides, the engines in turns. Whatever it shows is not the model's doing: at most three
captures of twenty may call the difference significant, and no finding may claim a saving. The last column is the floor below
which no finding should claim anything (`NEGLIGIBLE_SHARE` in attrib/findings/runner.py). `--json FILE` keeps the figures
after every capture, and what it holds is not captured again. Exits with 1 where more is claimed.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from captures import Figures, Taken, captured, say

ENGINES = ("torch", "onnxruntime")
MODEL = "bert-base-uncased"
WRONG = 3 / 20
"""Share of captures that may call a difference significant: a 95 % interval is wrong once in twenty, four in twenty are
unlikely (1.6 %)."""

HEADER = """\
| engine | headline | half width | significant | largest cause | largest whose interval excludes 0 | findings with a saving |
|---|---|---|---|---|---|---|"""

By = Mapping[str, Sequence[Figures]]


def significant(taken: By) -> int:
    """How many captures call their difference significant."""
    return sum(figures.significant for its in taken.values() for figures in its)


def saving(taken: By) -> list[str]:
    """Findings that claim a saving, a name for each capture that has it."""
    return [name for its in taken.values() for figures in its for name in figures.saving]


def met(taken: By) -> bool:
    """Whether no more is claimed than may be."""
    return significant(taken) <= WRONG * sum(map(len, taken.values())) and not saving(taken)


def table(taken: By) -> str:
    """One row a capture, the counts below."""
    rows = [_row(engine, figures) for engine in ENGINES for figures in taken.get(engine, ())]
    count, wrong = sum(map(len, taken.values())), significant(taken)
    return "\n".join([
        HEADER,
        *rows,
        "",
        f"- not significant: {count - wrong} of {count} (at least {1 - WRONG:.0%})",
        f"- findings with a saving: {', '.join(saving(taken)) or 'none'}",
        f"- met: {'yes' if met(taken) else 'NO'}",
    ])  # fmt: skip


def _row(engine: str, its: Figures) -> str:
    certain = [share for share in its.causes if not share.low_ns <= 0 <= share.high_ns]
    largest = its.causes[0] if its.causes else None
    shown = [
        engine,
        f"{its.delta_ns[0] / its.step_ns:+.2%}",
        f"{its.half_width:.2%}",
        "yes" if its.significant else "no",
        f"{largest.cause} {largest.delta_ns / its.step_ns:+.2%}" if largest else "none",
        f"{max((abs(share.delta_ns) for share in certain), default=0) / its.step_ns:.2%}",
        ", ".join(its.saving) or "none",
    ]
    return f"| {' | '.join(shown)} |"


def measure(options: Sequence[str], count: int, file: Path | None) -> Taken:
    """What is missing of the captures, the engines in turns."""
    taken = Taken.resumed(file, options)
    for number in range(count):
        engine = ENGINES[number % len(ENGINES)]
        if len(taken.of(engine)) > number // len(ENGINES):
            continue
        say(f"{engine} against itself: capture {number + 1} of {count}")
        with tempfile.TemporaryDirectory(prefix="attrib-aa-") as folder:
            itself = [*options, "--against-itself", engine]
            taken = taken.added(engine, captured(itself, Path(folder) / "traces"), file)
    return taken


def main() -> None:
    """Capture, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--captures", type=int, default=20, metavar="N", help="of both engines together")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures, and go on from them")
    parser.add_argument("more", nargs="*", metavar="-- OPTION", help="further options of `attrib profile`")
    given = parser.parse_args()
    try:
        taken = measure(["--model", given.model, *given.more], given.captures, given.json).captures
    except RuntimeError as error:
        sys.exit(str(error))
    sys.stdout.write(table(taken) + "\n")
    sys.exit(not met(taken))


if __name__ == "__main__":
    main()
