"""What `attrib profile` costs beyond what it must do: `python tests/benchmarks/command.py [--runs 3] [--layers N]`.

The whole command (a process, report included) beside `command_reference.py`, which does by hand what no comparison can do
without: import the engines in three processes, build the model with random weights, export it, open a plain and a
profiled session, and run the same steps, the profiled ones under the profilers of the engines, traces written. The plan
of the steps is read from what the command has just written, so that both run the same number; the two take turns.

Prints Markdown: the ratio, and where the remainder goes, phase by phase. The second line of the first table leaves out by
how much the same steps differed between the two. The last one takes the must-do part from inside the command
instead: its load, export and session phases and the time inside its steps.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from command_plan import phase_seconds, plan_of, step_seconds

HERE = Path(__file__).resolve().parent
MUST, AIM = 1.3, 1.15
MUST_PHASES = ("load", "export", "sessions")


class Pair(NamedTuple):
    """One run of either: whole seconds, and the parts of both."""

    command: float
    reference: float
    phases: dict[str, float]
    parts: dict[str, float]
    steps: float

    @property
    def ratio(self) -> float:
        """The command beside the reference."""
        return self.command / self.reference

    @property
    def inside(self) -> float:
        """The command beside what it must do, as measured inside it."""
        return self.command / (self.steps + sum(self.phases.get(name, 0.0) for name in MUST_PHASES))

    @property
    def even(self) -> float:
        """The same as `ratio`, as if attrib's steps had taken as long as the reference's: noise of the steps left out."""
        return (self.command - self.steps + self.parts["steps"]) / self.reference


def timed(command: list[str]) -> tuple[float, bytes]:
    """Wall time and output of a process."""
    environment = {**os.environ, "NO_COLOR": "1", "HF_HUB_OFFLINE": "1"}
    begin = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    return time.perf_counter() - begin, done.stdout


def pair(options: argparse.Namespace, folder: Path) -> Pair:
    """The command once, then the reference with its plan."""
    traces, file = folder / "traces", folder / "plan.json"
    command = [
        sys.executable,
        "-m",
        "attrib",
        "profile",
        "--model",
        options.model,
        "-o",
        str(traces),
        "--force",
    ]
    if options.layers:
        command += ["--layers", str(options.layers)]
    whole, _ = timed(command)
    file.write_text(json.dumps(plan_of(traces)))
    reference, out = timed([sys.executable, str(HERE / "command_reference.py"), "--plan", str(file)])
    parts = json.loads(out.splitlines()[-1])
    return Pair(whole, reference, phase_seconds(traces), parts, step_seconds(traces))


def reached(ratio: float) -> str:
    """Which bound a ratio keeps."""
    return "aim" if ratio <= AIM else "must" if ratio <= MUST else "NO"


def summary(pairs: list[Pair]) -> str:
    """The ratio to the reference, and to what was measured inside."""
    rows = [
        "| work | median | beside | median | ratio | must / aim | reached |",
        "|---|---|---|---|---|---|---|",
    ]
    whole = statistics.median(p.command for p in pairs)
    besides = (
        ("`command_reference.py`", [p.reference for p in pairs], [p.ratio for p in pairs]),
        ("the same, as if the steps took equally long", [p.reference for p in pairs], [p.even for p in pairs]),
        ("its own steps, load, export, sessions", [p.command / p.inside for p in pairs], [p.inside for p in pairs]),
    )  # fmt: skip
    for name, times, ratios in besides:
        middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
        rows.append(
            f"| `attrib profile` | {whole:.1f} s | {name} | {statistics.median(times):.1f} s"
            f" | {middle:.2f} ({low:.2f} to {high:.2f}) | {MUST} / {AIM} | {reached(middle)} |"
        )
    return "\n".join(rows) + "\n"


def remainder(pairs: list[Pair]) -> str:
    """Seconds of each phase beside the reference's: what is left over is attrib's own."""
    rows = ["| phase | attrib | reference | attrib's own |", "|---|---|---|---|"]
    columns = [parts_of(p) for p in pairs]
    for name in columns[0]:
        ours, theirs = (statistics.median(column[name][side] for column in columns) for side in (0, 1))
        rows.append(f"| {name} | {ours:.2f} s | {theirs:.2f} s | {ours - theirs:+.2f} s |")
    inside = statistics.median(p.steps for p in pairs), statistics.median(p.parts["steps"] for p in pairs)
    rows.append(f"| of these, inside the steps | {inside[0]:.2f} s | {inside[1]:.2f} s | |")
    return "\n".join(rows) + "\n"


def parts_of(found: Pair) -> dict[str, tuple[float, float]]:
    """Each phase: seconds of the command, and of the reference's part that does the same."""
    phases, parts = dict(found.phases), found.parts
    loaded = phases.pop("load", 0.0) + phases.pop("export", 0.0)
    rows = {"load and export": (loaded, parts["load and export"])}
    rows |= {name: (took, parts.get(name, 0.0)) for name, took in phases.items()}
    outside = found.command - sum(found.phases.values())
    known = sum(parts[name] for name in ("load and export", *phases) if name in parts)
    return rows | {"start, report and end": (outside, found.reference - known)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--model", default="bert-base-uncased", help="a BERT: the reference builds no other")
    parser.add_argument("--layers", type=int, default=0, help="fewer layers, to try the benchmark out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="attrib-bench-") as folder:
        pairs = [pair(options, Path(folder)) for _ in range(options.runs)]
    sys.stdout.write(summary(pairs) + "\n" + remainder(pairs))


if __name__ == "__main__":
    main()
