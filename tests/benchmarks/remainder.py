"""What the split leaves over: `python tests/benchmarks/remainder.py [MODEL]... [--json FILE] [--options OPTION ...]`.

Every model of the zoo is captured as a user would, and so are models whose steps are hard to profile (`tiny_models.py`):
thousands of nodes of a microsecond, steps of microseconds, memory that is given back in each step. Of either engine's
step at most a tenth should be left over (profiler overhead and unattributed, without their signs). `--json FILE` keeps
the figures after every capture, and what it holds is not captured again. Exits with 1 where more is left of a step.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from captures import Figures, Taken, captured, say

from attrib.units import format_ns
from attrib.zoo.names import BUILT_IN

MOST = 0.1
"""Share of a step that may be left over."""

TINY = Path(__file__).with_name("tiny_models.py")
HARD = ("many_nodes_3000", "many_nodes_10000", "microseconds", "tabular")

HEADER = """\
| model | slower step | left of PyTorch's step | left of ONNX Runtime's step | split | at most {most:.0%} |
|---|---|---|---|---|---|"""


def met(figures: Figures) -> bool:
    """Whether little enough is left over on either side."""
    return all(share <= MOST for share in figures.left.values())


def table(taken: Mapping[str, Sequence[Figures]]) -> str:
    """One row a model, the count below."""
    rows = [(model, its) for model, found in taken.items() for its in found]
    lines = [_row(model, its) for model, its in rows]
    kept = sum(met(its) for _, its in rows)
    return "\n".join(
        [HEADER.format(most=MOST), *lines, "", f"- at most {MOST:.0%} on both sides: {kept} of {len(rows)}"]
    )


def _row(model: str, its: Figures) -> str:
    shown = [
        model,
        format_ns(its.step_ns),
        f"{its.left.get('torch', 0):.1%}",
        f"{its.left.get('onnxruntime', 0):.1%}",
        "reliable" if its.split_reliable else "not reliable",
        "yes" if met(its) else "NO",
    ]
    return f"| {' | '.join(shown)} |"


def measure(models: Sequence[str], options: Sequence[str], file: Path | None) -> Taken:
    """What is missing of the captures, one a model; a model that cannot be captured is named and left out."""
    taken = Taken.resumed(file, options)
    for model in models:
        if taken.of(model):
            continue
        say(model)
        named = [f"{TINY}:{model}", "--threads", "1"] if model in HARD else [model]
        with tempfile.TemporaryDirectory(prefix="attrib-remainder-") as folder:
            try:
                taken = taken.added(
                    model, captured(["--model", *named, *options], Path(folder) / "traces"), file
                )
            except RuntimeError as error:
                say(f"{model} was not captured: {error}")
    return taken


def main() -> None:
    """Capture, and print the table."""
    parser = argparse.ArgumentParser(description="What the split leaves over of each step.")
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join((*BUILT_IN, *HARD)))
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures, and go on from them")
    parser.add_argument(
        "--options", nargs=argparse.REMAINDER, default=[], help="further options of `attrib profile`"
    )
    given = parser.parse_args()
    taken = measure(given.models or (*BUILT_IN, *HARD), given.options, given.json).captures
    sys.stdout.write(table(taken) + "\n")
    sys.exit(not all(met(its) for found in taken.values() for its in found))


if __name__ == "__main__":
    main()
