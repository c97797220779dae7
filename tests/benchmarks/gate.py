"""What the gate says of captures whose truth is known: `python tests/benchmarks/gate.py COVERAGE [--planted FOLDER]`.

COVERAGE is a folder of `coverage.py record`: captures of one thing, quiet and disturbed. Each is held against the one before
it, as a pull request that changes nothing. `--planted` is a folder of `planted.py`: each planted capture is held against an
unplanted one, and what the plant costs in truth stands beside what the gate says. Nothing is measured.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from planted_run import pairs
from planted_site import Site
from plants.table import PLANTS

from attrib.api import load
from attrib.comparison import Limits, StepLimit, compare, gates, parse_limit
from attrib.model.document import Document

STATES = ("passed", "failed", "inconclusive")


def state_of(before: Document, after: Document, limit: StepLimit) -> str:
    """What the gate says of a capture beside a baseline."""
    (found,) = gates(after, Limits(max_delta=limit), compare(before, after))
    return found.state


def unchanged(folder: Path, limit: StepLimit) -> Iterator[str]:
    """A row for each group of captures of one thing."""
    yield f"| captures | pairs | {' | '.join(STATES)} |\n|---|---|{'---|' * len(STATES)}"
    for group in sorted(path for path in folder.iterdir() if path.is_dir()):
        found = [load(path).document for path in sorted(group.glob("[0-9][0-9]"))]
        said = Counter(state_of(*pair, limit) for pair in pairwise(found))
        yield f"| {group.name} | {said.total()} | {' | '.join(str(said[state]) for state in STATES)} |"


def planted(folder: Path, limit: StepLimit) -> Iterator[str]:
    """A row for each plant in ONNX Runtime, by what it costs."""
    yield "\n| planted | true cost, of the step before | the gate |\n|---|---|---|"
    rows = []
    for plant, pair, score in pairs(PLANTS, Site.reopened(folder)):
        if plant.side == "onnxruntime" and not plant.factory:
            cost, before = score.truth.cost_ns, score.truth.baseline_ns.median
            share = [end / before for end in (cost.median, cost.low, cost.high)]
            said = state_of(pair.unplanted.document, pair.planted.document, limit)
            rows.append((share, plant.name, said))
    for (median, low, high), name, said in sorted(rows):
        yield f"| {name} | {median:+.1%} ({low:+.1%} to {high:+.1%}) | {said} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask, and print Markdown."""
    parser = argparse.ArgumentParser(description="What the gate says of captures whose truth is known.")
    parser.add_argument("coverage", type=Path)
    parser.add_argument("--planted", type=Path, metavar="FOLDER")
    parser.add_argument("--limit", type=parse_limit, default=parse_limit("15%"))
    given = parser.parse_args(arguments)
    lines = [*unchanged(given.coverage, given.limit)]
    if given.planted:
        lines += planted(given.planted, given.limit)
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
