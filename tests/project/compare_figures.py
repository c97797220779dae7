"""Whether two revisions say the same figures: `python tests/project/compare_figures.py REVISION`.

Both write `report.json` of every sample and `attrib inspect --json` of every recorded trace at hand; each number of either
is compared, at its place. Words may differ: how many texts do is printed, and `--words` prints them. Exits with 1 where a
number differs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from structure import ROOT, checkout

SHARED = Path(os.environ.get("ATTRIB_SHARED", ROOT.parent / "shared"))
Leaves = dict[str, Any]


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is no container, with its place."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, f"{place}[{index}]")
    else:
        yield place, value


def outputs(root: Path, samples: list[Path], traces: list[Path]) -> dict[str, Leaves]:
    """What the code in `root` writes about each sample and each trace."""
    found: dict[str, Leaves] = {}
    for sample in samples:
        found[f"report {sample.name}"] = _run(root, "report", sample, "--format", "json", "-o", "-")
    for trace in traces:
        found[f"inspect {trace.name}"] = _run(root, "inspect", trace, "--json")
    return found


def _run(root: Path, *arguments: str | Path) -> Leaves:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "attrib", *map(str, arguments)],
            check=False, capture_output=True, text=True, cwd=folder, env=os.environ | {"PYTHONPATH": str(root)},
        )  # fmt: skip
    return dict(leaves(json.loads(done.stdout))) if done.returncode == 0 else {"exit": done.returncode}


def main() -> int:
    """Print what differs; 1 where a number does."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("revision")
    parser.add_argument("--words", action="store_true", help="print every text that differs")
    options = parser.parse_args()
    samples = sorted(path.parent for path in (ROOT / "sample_traces").glob("*/manifest.json"))
    traces = sorted(path for path in (SHARED / "traces").glob("*.json"))
    with tempfile.TemporaryDirectory() as folder:
        before = outputs(checkout(options.revision, Path(folder)), samples, traces)
    after = outputs(ROOT, samples, traces)
    numbers = texts = wrong = 0
    for name, old in before.items():
        new = after[name]
        for place in sorted(old.keys() | new.keys()):
            a, b = old.get(place), new.get(place)
            if isinstance(a, str) or isinstance(b, str):
                texts += a != b
                if a != b and options.words:
                    sys.stdout.write(f"{name} {place}\n  - {a}\n  + {b}\n")
                continue
            numbers += 1
            if a != b or type(a) is not type(b):
                wrong += 1
                sys.stdout.write(f"{name} {place}: {a} became {b}\n")
    sys.stdout.write(
        f"{len(before)} outputs: {numbers:,} numbers compared, {wrong} differ; {texts} texts differ\n"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
