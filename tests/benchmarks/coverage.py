"""Whether the 95 % interval of a single capture holds what many captures say: record, then score and resample.

    python tests/benchmarks/coverage.py record FOLDER [--configuration 12ms]... [--condition bursts]... [--captures 20]
    python tests/benchmarks/coverage.py score FOLDER [--drift SHARE]
    python tests/benchmarks/coverage.py resample FOLDER [--rounds N] [--consecutive]

`record` makes captures by the command, of a step of about 12 ms (BERT, two layers, 64 tokens) and of about 150 ms
(BERT-base, 128 tokens), quiet and beside the bursts of `neighbour_loads.py`, in an order drawn anew for every pass. Their
trace directories stay in FOLDER, one folder a configuration and condition; those that are there are not made again.
Options of `attrib profile` may follow `--`: many launches, say, for `resample`.

`score` reads each capture by this method and by the one before (all rounds as of one launch, resampled; medians of all
steps; disturbed blocks not known, so that the first attempt counts) and counts in how many captures the interval of the
difference and of the five largest causes holds the median of all captures' estimates. Then it compares the locations of
`attrib.analysis.attribution.ledger.headline` by bias and coverage, with a third of the blocks replaced by noisy ones.
Exits with 1 where less than 90 % of all intervals, or of one cell less than 16 in 20, hold it.

`resample` draws captures from the launches of a group, stops them by the rule, and counts how many hold the pool's mean.

The definitions are in the docstrings of `coverage_figures.py`, `coverage_estimators.py` and `coverage_stopping.py`.
"""

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import product
from pathlib import Path

import numpy as np
from captures import MANIFEST, REMAINDERS, kept, say
from coverage_estimators import compare, disturbed_factors, drawn_factors, timed
from coverage_estimators import table as estimator_table
from coverage_figures import captures_in, cells, met, read_both
from coverage_figures import table as cell_table
from coverage_stopping import (
    LAUNCHES,
    TIMES,
    TOLERANCES,
    Pool,
    Rule,
    launch_rows,
    launch_seconds,
    pool_of,
    simulate,
)
from coverage_stopping import table as rule_table
from neighbour_loads import LOADS, planted

from attrib.analysis.attribution.ledger import sampling
from attrib.api import Analysis, load
from attrib.capture.session.measure import FEWEST_LAUNCHES
from attrib.model.latency import LatencyTable
from attrib.traces.directory.trace_directory import open_directory

QUIET = "quiet"
STEADY = tuple(name for name in LOADS if name != "starting")
"""Neighbours that are there all the time; helpers that start must be told when a capture measures."""

MODEL = "bert-base-uncased"
CONFIGURATIONS = {"12ms": ("--layers", "2", "--seq-len", "64"), "150ms": ("--seq-len", "128")}


def plan(groups: Sequence[str], captures: int, seed: int) -> Iterator[tuple[int, str]]:
    """Number and group of each capture: every group once a pass, in an order drawn anew."""
    chance = random.Random(seed)
    for number in range(captures):
        yield from ((number, group) for group in chance.sample(list(groups), len(groups)))


def record(given: argparse.Namespace) -> str:
    """Make the captures that are missing."""
    configurations = {
        name: ["--model", given.model, *CONFIGURATIONS[name], *given.more]
        for name in given.configuration or CONFIGURATIONS
    }
    conditions = given.condition or (QUIET, "bursts")
    groups = [f"{name}-{condition}" for name, condition in product(configurations, conditions)]
    for number, group in plan(groups, given.captures, given.seed):
        name, condition = group.split("-", 1)
        folder = given.folder.resolve() / group / f"{number:02}"
        if (folder / MANIFEST).is_file():
            continue
        say(f"{group}: capture {number + 1} of {given.captures}")
        with planted(condition, seed=given.seed + number) if condition in LOADS else nullcontext():
            kept(configurations[name], folder)
    return "".join(f"{group}: {len(its)} captures\n" for group, its in captures_in(given.folder).items())


def latency_of(folder: Path) -> LatencyTable:
    """The timed steps of a capture.

    Raises:
        ValueError: It holds none.
    """
    table = open_directory(folder).latency()
    if table is None:
        raise ValueError(f"{folder.name} holds no timed steps")
    return table


def score(given: argparse.Namespace) -> str:
    """Both tables of what was recorded; `given.met` says whether all that is asked holds."""
    sampling.DRIFT = given.drift
    found, compared, groups = [], {}, chosen(given)
    for group, folders in groups.items():
        say(f"{group}: reading {len(folders)} captures")
        ours, before = zip(*map(read_both, folders), strict=True)
        found += cells(group, ours, before)
    factors = noise(groups)
    for group, folders in groups.items():
        say(f"{group}: comparing locations")
        name = group.split("-", 1)[0]
        compared[group] = compare([timed(latency_of(f)) for f in folders], factors[name], seed=given.seed)
    given.met = met(found)
    return f"{cell_table(found)}\n\n{estimator_table(compared)}\n"


def noise(groups: dict[str, list[Path]]) -> dict[str, list[np.ndarray]]:
    """What disturbed blocks look like in each configuration: as recorded in any of its conditions, or drawn."""
    recorded: dict[str, list[np.ndarray]] = {}
    for group, folders in groups.items():
        its = recorded.setdefault(group.split("-", 1)[0], [])
        its += [factors for folder in folders for factors in disturbed_factors(latency_of(folder))]
    for name, its in recorded.items():
        say(f"{name}: {len(its)} recorded disturbed blocks" if its else f"{name}: noisy blocks are drawn")
    return {name: its or drawn_factors(np.random.default_rng(0)) for name, its in recorded.items()}


def resample(given: argparse.Namespace) -> str:
    """A table of simulated captures for each group."""
    parts = []
    for group, folders in chosen(given).items():
        say(f"{group}: reading {len(folders)} captures")
        pool = read_pool(folders, rounds=given.rounds)
        rules = [Rule(tolerance, most, given.fewest) for most, tolerance in product(LAUNCHES, TOLERANCES)]
        usable = [
            rule
            for rule in rules
            if rule.most < len(pool) and (rule.most > rule.fewest or not rule.tolerance)
        ]
        found = [
            simulate(pool, r, times=given.times, seed=given.seed, consecutive=given.consecutive)
            for r in usable
        ]
        head = f"{group}: a pool of {len(pool)} launches of {len(folders)} captures; causes: {', '.join(pool.names[1:])}"
        parts.append(f"{head}\n\n{rule_table(found)}\n")
    return "\n".join(parts)


def read_pool(folders: Sequence[Path], *, rounds: int) -> Pool:
    """The launches of all captures of one group; of the first rounds of each, where so many are asked."""
    rows, seconds, captures, causes = [], [], [], []
    for number, folder in enumerate(folders):
        its, took = timed(latency_of(folder)), launch_seconds(latency_of(folder))
        launches = sorted(
            {its.launches.get(n, 0) for n in set(its.plain["torch"]) & set(its.plain["onnxruntime"])}
        )
        rows += launch_rows(its, launches, rounds=rounds)
        seconds += [took[launch] for launch in launches]
        captures += [number] * len(launches)
        causes += causes_by_launch(load(folder), launches)
    return pool_of(rows, seconds, captures, causes)


def causes_by_launch(analysis: Analysis, launches: Sequence[int]) -> list[dict[str, float]]:
    """The causes of each launch, nanoseconds by name; nothing for one without profiled steps.

    With one launch the ledger's columns are resamples of its rounds: its causes are then those of the report.
    """
    ledger = analysis.ledger_rows
    names = [row.cause for row in ledger.rows]
    if ledger.sampling.launches == 1:
        once: dict[str, float] = {}
        for row in ledger.rows:
            once[row.cause] = once.get(row.cause, 0.0) + row.delta_ns
        return [
            {k: v for k, v in once.items() if k not in REMAINDERS} if len(launches) == 1 else {}
            for _ in launches
        ]
    columns = {launch: ledger.replicates[:, i] for i, launch in enumerate(ledger.sampling.numbers)}
    found = []
    for launch in launches:
        its: dict[str, float] = {}
        for name, value in zip(names, columns.get(launch, ()), strict=False):
            if name not in REMAINDERS:
                its[name] = its.get(name, 0.0) + float(value)
        found.append(its)
    return found


def chosen(given: argparse.Namespace) -> dict[str, list[Path]]:
    """The groups of the folder that were asked for.

    Raises:
        ValueError: There are none.
    """
    groups = captures_in(given.folder.resolve())
    wanted = {group: its for group, its in groups.items() if not given.group or group in given.group}
    if not wanted:
        raise ValueError(f"{given.folder.name} holds no captures of {', '.join(given.group or ['anything'])}")
    return wanted


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    modes = parser.add_subparsers(dest="mode", required=True)
    one = modes.add_parser("record", help="make captures")
    one.set_defaults(run=record)
    one.add_argument("--configuration", action="append", choices=list(CONFIGURATIONS))
    one.add_argument("--condition", action="append", choices=[QUIET, *STEADY])
    one.add_argument("--captures", type=int, default=20, metavar="N", help="of each")
    one.add_argument("--model", default=MODEL)
    two = modes.add_parser("score", help="count how many intervals hold the median")
    two.set_defaults(run=score)
    two.add_argument(
        "--drift",
        type=float,
        default=sampling.DRIFT,
        metavar="SHARE",
        help="as if that were added to intervals",
    )
    three = modes.add_parser("resample", help="simulate captures under the stopping rule")
    three.set_defaults(run=resample)
    three.add_argument(
        "--rounds", type=int, default=0, metavar="N", help="use the first N plain rounds of a launch"
    )
    three.add_argument(
        "--fewest", type=int, default=FEWEST_LAUNCHES, metavar="N", help="look at no width before"
    )
    three.add_argument("--times", type=int, default=TIMES, metavar="N", help="how many captures")
    three.add_argument("--consecutive", action="store_true", help="launches that followed each other only")
    for mode in (one, two, three):
        mode.add_argument("folder", type=Path)
        mode.add_argument("--seed", type=int, default=0)
    for mode in (two, three):
        mode.add_argument("--group", action="append", metavar="NAME", help="e.g. 12ms-quiet; repeatable")
    given, more = parser.parse_known_args()
    given.more = more[1:] if more[:1] == ["--"] else more
    if given.more and given.mode != "record":
        parser.error(f"unknown: {' '.join(given.more)}")
    return given


def main() -> None:
    """Record, score or resample, and print."""
    given = _arguments()
    given.met = True
    try:
        sys.stdout.write(given.run(given))
    except (RuntimeError, ValueError) as error:
        sys.exit(str(error))
    sys.exit(not given.met)


if __name__ == "__main__":
    main()
