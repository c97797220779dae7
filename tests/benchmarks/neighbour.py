"""Captures beside a planted neighbour: `python tests/benchmarks/neighbour.py [--json FILE] [--only CONDITION]...`.

BERT with four layers (`--whole`: all twelve) is captured by the command alone and beside each neighbour of
`neighbour_loads.py`, `--captures` times each. One capture of every condition makes a pass, in an order drawn anew, so that
drift of the machine falls on all of them; the first pass begins with the quiet one, which tells when a capture measures:
the four helpers of `starting` then start spread over that time. What is asked of each condition:

- `bursts`, `starting`: the median ratio of the captures is within 5 % of the quiet one, the three largest causes are the
  same three, and a capture takes at most three times as long. The largest causes of a condition are those that more than
  half of its captures may name, by the median of their size.
- `half`, `bandwidth`: in every capture, the ratio's interval holds the quiet ratio, or the verdict says busy.
- `full`: every capture says inconclusive.

Prints Markdown. `--json FILE` keeps the figures after every capture; what the file holds is not measured again, so that the
command can be stopped and called again, and `--table` only prints it. Exits with 1 where a condition is not met.
"""

import argparse
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

from captures import Figures, Taken, captured, say
from neighbour_loads import LOADS, STARTS, planted
from neighbour_table import CONDITIONS, QUIET, Outcome, judge, outcome_table, table

MODEL, LAYERS = "bert-base-uncased", 4


def plan(conditions: Sequence[str], passes: int, seed: int) -> Iterator[tuple[int, str]]:
    """Pass and condition of each capture: every condition once a pass, in an order drawn anew; the first one is quiet."""
    chance = random.Random(seed)
    for number in range(passes):
        order = chance.sample(list(conditions), len(conditions))
        if number == 0 and QUIET in order:
            order = [QUIET, *(condition for condition in order if condition != QUIET)]
        yield from ((number, condition) for condition in order)


def starts(quiet: Sequence[Figures]) -> tuple[float, float]:
    """Seconds until the first helper starts, and from one start to the next: spread over what a capture measures."""
    begin = statistics.median(figures.begin_s for figures in quiet)
    measure = statistics.median(figures.measure_s for figures in quiet)
    return begin + measure / (2 * STARTS), measure / STARTS


def capture(condition: str, seed: int, taken: Taken) -> Figures:
    """One capture beside its neighbour; its trace directory is not kept."""
    quiet = taken.of(QUIET)
    if condition == "starting" and not quiet:
        raise RuntimeError(
            "`starting` needs a quiet capture, which tells when one measures: add --only quiet"
        )
    after, every = starts(quiet) if condition == "starting" else (0.0, 0.0)
    beside = planted(condition, seed=seed, after=after, every=every) if condition in LOADS else nullcontext()
    with tempfile.TemporaryDirectory(prefix="attrib-neighbour-") as folder, beside:
        return captured(taken.options, Path(folder) / "traces")


def measure(given: argparse.Namespace) -> Taken:
    """What is missing of the captures that were asked for."""
    taken = Taken.resumed(given.json, given.options)
    for number, condition in plan(given.only or CONDITIONS, given.captures, given.seed):
        if len(taken.of(condition)) <= number:
            say(f"{condition}: capture {number + 1} of {given.captures}")
            taken = taken.added(condition, capture(condition, given.seed + number, taken), given.json)
    return taken


def report(taken: Taken) -> tuple[str, list[Outcome]]:
    """The tables, and what became of each condition that was asked for."""
    outcomes = judge(taken.captures) if taken.of(QUIET) else []
    parts = [f"`attrib profile {' '.join(taken.options)}`", table(taken.captures)]
    return "\n\n".join([*parts, *([outcome_table(outcomes)] if outcomes else [])]) + "\n", outcomes


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--captures", type=int, default=5, metavar="N", help="of each condition")
    parser.add_argument("--only", action="append", choices=list(CONDITIONS), metavar="CONDITION",
                        help=f"repeatable: {', '.join(CONDITIONS)}")  # fmt: skip
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--whole", action="store_true", help="all layers of the model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures, and go on from them")
    parser.add_argument("--table", action="store_true", help="measure nothing: print what --json holds")
    parser.add_argument("more", nargs="*", metavar="-- OPTION", help="further options of `attrib profile`")
    given = parser.parse_args()
    layers = [] if given.whole else ["--layers", str(given.layers)]
    given.options = ["--model", given.model, *layers, *given.more]
    if given.table and not given.json:
        parser.error("--table prints what --json FILE holds")
    return given


def main() -> None:
    """Capture what is missing, and print."""
    given = _arguments()
    try:
        taken = Taken.read(given.json) if given.table else measure(given)
    except RuntimeError as error:
        sys.exit(str(error))
    text, outcomes = report(taken)
    sys.stdout.write(text)
    sys.exit(any(not outcome.met for outcome in outcomes))


if __name__ == "__main__":
    main()
