"""`attrib check` on real captures whose truth is known: `python tests/benchmarks/check.py FOLDER [--quickly] [--table]`.

A small BERT is captured, and captured again by an ONNX Runtime that takes a known share longer (`check_build.py`), and each
capture is held against a limit by the command, as continuous integration does. What is asked:

- `A/A`: captures of one thing, each held against the one before it: none fails, and more than half pass.
- `+10 %`: held against captures without it, minutes apart. An interval that holds what the machine does between two
  captures is wider than the change, so that these gates mostly settle nothing: none may pass.
- `A/A in turns`, `+10 % in turns`: `attrib verify --against-ort` measures both beside each other, and `attrib check
  --experiment` holds that against a limit below the change: of the first none fails and more than half pass, of the second
  every one fails.
- `+1 %, busy`: captured beside a neighbour on every core: every one is inconclusive.
- `no baseline`: exit code 3.

Captures are kept in FOLDER and not made again, so that the command can be stopped and called again; `--table` only checks
those that are there, and `--quickly` makes few and small ones, which try the machinery and settle nothing. Prints Markdown,
and exits with 1 where a goal is not met. On two cores that do nothing else it takes about a quarter of an hour.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from captures import REPORT, ROOT, kept, run, say
from check_build import interpreter
from neighbour_loads import planted

PASSED, FAILED, MISSING, INCONCLUSIVE = 0, 1, 3, 4
"""Exit codes of `attrib check`."""

BUILDS = {"even": 0.0, "slower-10": 0.10, "slower-1": 0.01}
"""Environments, and how much longer ONNX Runtime takes in each."""

FULL = ("--model", "bert-base-uncased", "--layers", "2", "--seq-len", "64", "--no-values")
QUICK = (
    "--model",
    "bert-base-uncased",
    "--layers",
    "1",
    "--seq-len",
    "16",
    "--no-values",
    "--launches",
    "2",
    "--rounds",
    "4",
)
IN_TURNS, QUICK_IN_TURNS = ("--launches", "6"), ("--launches", "2", "--rounds", "4")
EXPERIMENT = "against-*.json"


@dataclass(frozen=True, slots=True)
class Counts:
    """How many captures of a kind."""

    apart: int
    slower: int
    in_turns: int
    busy: int


@dataclass(frozen=True, slots=True)
class Goal:
    """What is asked of the gates of one kind.

    Attributes:
        text: In words.
        met: Whether these exit codes meet it.
    """

    text: str
    met: Callable[[Sequence[int]], bool]


def _mostly_passed(codes: Sequence[int]) -> bool:
    return set(codes) <= {PASSED, INCONCLUSIVE} and 2 * codes.count(PASSED) > len(codes)


def _all(code: int) -> Callable[[Sequence[int]], bool]:
    return lambda codes: set(codes) == {code}


UNCHANGED = Goal("none failed, most passed", _mostly_passed)
GOALS: dict[str, Goal] = {
    "A/A": UNCHANGED,
    "+10 %": Goal("none passed", lambda codes: bool(codes) and set(codes) <= {FAILED, INCONCLUSIVE}),
    "A/A in turns": UNCHANGED,
    "+10 % in turns": Goal("all failed", _all(FAILED)),
    "+1 %, busy": Goal("all inconclusive", _all(INCONCLUSIVE)),
    "no baseline": Goal("exit code 3", _all(MISSING)),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One call of `attrib check`: of which kind, with which limit, and its arguments without that."""

    kind: str
    limit: str
    arguments: tuple[str, ...]


def measure(given: argparse.Namespace, folder: Path, counts: Counts) -> None:
    """Make what is missing."""
    builds = {name: interpreter(folder / "builds" / name, share) for name, share in BUILDS.items()}

    def take(group: str, number: int, build: str, *, busy: bool = False) -> None:
        target = folder / group / f"{number:02}"
        with planted("full", seed=number) if busy else nullcontext():
            if kept([*given.options, "--ort-python", str(builds[build])], target, report=True):
                say(f"{group}: capture {number + 1}")

    # A planted capture follows each of the first ones: minutes apart from what it is held against, and no more.
    for number in range(counts.apart + 1):
        take("even", number, "even")
        if number < counts.slower:
            take("slower", number, "slower-10")
    for kind, build in (("turns-even", "even"), ("turns-slower", "slower-10")):
        for number in range(counts.in_turns):
            _in_turns(
                given, folder / kind / f"{number:02}", folder / "even/00", builds["even"], builds[build]
            )
    for number in range(counts.busy):
        take("busy", number, "slower-1", busy=True)


def _in_turns(given: argparse.Namespace, target: Path, capture: Path, captured: Path, other: Path) -> None:
    """Measure another build beside the captured one, in a copy of the capture."""
    if target.is_dir():
        return
    say(f"{target.parent.name}: {target.name}, in turns")
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(capture, partial)
    own, against = ("--ort-python", str(captured)), ("--against-ort", str(other))
    run([sys.executable, "-m", "attrib", "verify", str(partial), *own, *against, *given.in_turns])
    partial.rename(target)


def asked(folder: Path, limit: str, limit_in_turns: str) -> Iterator[Asked]:
    """Every gate that what lies in the folder allows."""

    def reports(group: str) -> list[Path]:
        return sorted(folder.glob(f"{group}/[0-9][0-9]/{REPORT}"))

    even = reports("even")
    for before, after in pairwise(even):
        yield Asked("A/A", limit, (str(after), "--baseline", str(before)))
    for before, after in zip(even, reports("slower"), strict=False):
        yield Asked("+10 %", limit_in_turns, (str(after), "--baseline", str(before)))
    for kind, group in (("A/A in turns", "turns-even"), ("+10 % in turns", "turns-slower")):
        for report in reports(group):
            (file,) = (report.parent / "verify").glob(EXPERIMENT)
            yield Asked(kind, limit_in_turns, (str(report), "--experiment", file.stem))
    for report in reports("busy"):
        yield Asked("+1 %, busy", limit, (str(report), "--baseline", str(even[0])))
    if even:
        yield Asked("no baseline", limit, (str(even[0]), "--baseline", str(folder / "nowhere")))


def exit_code(one: Asked) -> int:
    """The exit code of one gate; what it says goes to stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "attrib", "check", *one.arguments, "--max-delta", one.limit],
        env={**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = " ".join((done.stdout or done.stderr).split())
    say(f"{one.kind}: exit code {done.returncode}: {said[:240]}")
    return done.returncode


def table(codes: dict[str, list[int]], limits: dict[str, str]) -> str:
    """What came of each kind of gate, and whether that is what was asked."""
    lines = [
        "| gate | limit | gates | passed (0) | failed (1) | inconclusive (4) | other exit codes | asked | met |"
    ]
    lines.append("|---|--:|--:|--:|--:|--:|---|---|---|")
    for kind, its in codes.items():
        seen, goal = Counter(its), GOALS[kind]
        other = ", ".join(f"{code} ({n})" for code, n in sorted(seen.items()) if code not in (0, 1, 4))
        cells = (kind, limits[kind], len(its), seen[PASSED], seen[FAILED], seen[INCONCLUSIVE], other, goal.text,
                 "yes" if goal.met(its) else "**no**")  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", default="15%", help="of two captures (docs/ci.md)")
    parser.add_argument("--limit-in-turns", default="5%", help="of what was measured in turns")
    parser.add_argument("--quickly", action="store_true", help="try the machinery; goals may be missed")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    found = parser.parse_args(given)
    found.options, found.in_turns = (QUICK, QUICK_IN_TURNS) if found.quickly else (FULL, IN_TURNS)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Capture what is missing, hold all of it against its limits, and print."""
    given = _arguments(arguments)
    folder = given.folder.resolve()
    if not given.table:
        measure(given, folder, Counts(2, 1, 1, 1) if given.quickly else Counts(20, 2, 3, 2))
    codes: dict[str, list[int]] = {}
    limits: dict[str, str] = {}
    for one in asked(folder, given.limit, given.limit_in_turns):
        limits[one.kind] = one.limit
        codes.setdefault(one.kind, []).append(exit_code(one))
    lacking = [kind for kind in GOALS if kind not in codes]
    text = f"`attrib profile {' '.join(given.options)}`\n\n{table(codes, limits)}\n"
    sys.stdout.write(text + (f"\nNot measured: {', '.join(lacking)}\n" if lacking else ""))
    sys.exit(bool(lacking) or not all(GOALS[kind].met(its) for kind, its in codes.items()))


if __name__ == "__main__":
    main()
