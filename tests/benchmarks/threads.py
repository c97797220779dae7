"""Benchmark of truth from outside: `python tests/benchmarks/threads.py [NAME]... [--output FILE] [--markdown] [--list]`.

Each situation is a question that somebody asked in public, why a model is slower or faster in ONNX Runtime than in PyTorch,
with the conclusion that the thread reached (`threads_list.py`, committed before the first run). Each is profiled as a user
would, and the change that the thread concluded is made by hand, with PyTorch and ONNX Runtime alone (`threads_hand.py`).
What counts as right, as an error and as a wrong claim is said in `threads_score.py`. docs/truth.md holds the last table.

`--output` keeps each finished situation as one JSON line, so that an interrupted run goes on where it was and the table can
be printed again; `--table` runs nothing; `--quickly` tries the machinery with few rounds, whose figures do not count.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import msgspec
from threads_list import SITUATIONS
from threads_score import Outcome, Score, score
from threads_situation import Situation

HEADER = (
    "| situation | expected | first finding | first cause | right? | attrib, µs | by hand, µs | error | wrong claims | s |\n"
    "|:--|:--|:--|:--|:--|--:|--:|--:|:--|--:|\n"
)
RIGHT, MEDIAN_ERROR, WORST_ERROR = 0.9, 0.1, 0.25
"""Goals: share of right ones, median and worst error of the figures; and no wrong claim."""

Row = tuple[Situation, Outcome, Score]


def expected_of(situation: Situation) -> str:
    """What counts as the thread's conclusion, in a cell of a table."""
    expected = situation.expected
    if expected.absent:
        return f"no saving by {', '.join(expected.absent)}"
    causes = [f"cause {cause}" for cause in expected.causes]
    return f"{', '.join([*expected.rules, *causes]) or 'ONNX Runtime'} {expected.direction}".strip()


def line(row: Row) -> str:
    """One row of the table."""
    situation, outcome, scored = row
    hand = outcome.hand
    interval = f"{_us(hand.saving_ns)} [{_us(hand.low_ns)}, {_us(hand.high_ns)}]" if hand else ""
    cells = [
        f"[{situation.name}]({situation.thread})",
        expected_of(situation),
        scored.finding or outcome.error or "none",
        scored.cause or "none",
        "yes" if scored.right else "NO",
        "" if scored.figure_ns is None else _us(scored.figure_ns),
        interval,
        "" if scored.error is None else f"{scored.error:+.0%}",
        "; ".join(scored.wrong),
        f"{outcome.seconds:.0f}",
    ]
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def totals(rows: Sequence[Row]) -> str:
    """What holds over all situations, beside the goals."""
    right = sum(scored.right for *_, scored in rows)
    errors = [abs(scored.error) for *_, scored in rows if scored.error is not None]
    wrong = sum(len(scored.wrong) for *_, scored in rows)
    shown = (
        f"error of {len(errors)} figures: median {statistics.median(errors):.0%} (goal {MEDIAN_ERROR:.0%}),"
        f" worst {max(errors):.0%} (goal {WORST_ERROR:.0%})"
        if errors
        else "no figure to compare"
    )
    share = right / len(rows) if rows else 0.0
    return f"\n{right} of {len(rows)} right ({share:.0%}, goal {RIGHT:.0%}); {shown}; wrong claims: {wrong} (goal 0).\n"


def listing() -> str:
    """The situations with their threads and conclusions, in Markdown."""
    head = "| situation | thread's conclusion | counts as right | by hand |\n|:--|:--|:--|:--|\n"
    return head + "".join(
        f"| [{s.name}]({s.thread}) | {s.conclusion} | {expected_of(s)} | {s.hand.means if s.hand else 'no time'} |\n"
        for s in SITUATIONS
    )


def plain(row: Row) -> str:
    """One situation for a terminal."""
    text = line(row).strip("| ").replace(f"]({row[0].thread})", "").removeprefix("[")
    return " · ".join(cell for cell in text.split(" | ") if cell.strip())


def details(row: Row) -> str:
    """Why a situation scores as it does: every finding and cause, and what the report says of itself."""
    outcome = row[1]
    found = [f"{said.rule} {_us(said.figure_ns)} µs: {said.text[:300]}" for said in outcome.findings]
    blamed = [
        f"{'cause' if one.named else 'not named'} {one.cause} {_us(one.delta_ns)} µs ({_us(one.torch_ns)} ->"
        f" {_us(one.onnxruntime_ns)}): {', '.join(one.ops[:8])}"
        for one in outcome.causes
    ]
    steps = f"PyTorch {_us(outcome.torch_ns)} µs, ONNX Runtime {_us(outcome.onnxruntime_ns)} µs"
    return "".join(f"    {text}\n" for text in (steps, *found, *blamed, *outcome.reasons))


def _us(ns: int) -> str:
    return f"{ns / 1e3:,.0f}"


def finished(output: Path | None) -> dict[str, Outcome]:
    """The situations that an earlier run finished; a line that an interruption cut short is no result."""
    found = {}
    for text in output.read_bytes().splitlines() if output and output.is_file() else []:
        try:
            outcome = msgspec.json.decode(text, type=Outcome)
        except msgspec.DecodeError:
            continue
        if not outcome.error:
            found[outcome.situation] = outcome
    return found


def run(situation: Situation, *, quickly: bool) -> Outcome:
    """Run a situation; whatever goes wrong in it is its outcome."""
    from threads_run import run_situation

    with tempfile.TemporaryDirectory() as folder:
        try:
            return run_situation(situation, Path(folder), quickly=quickly)
        except Exception as error:  # noqa: BLE001  (one situation must not stop the others)
            text = " ".join(f"{type(error).__name__}: {error}".split())
            return Outcome(situation=situation.name, error=text.replace(folder, "")[:200])


def main() -> None:
    """Run the situations and print the table."""
    parser = argparse.ArgumentParser(description="What attrib says of questions that were asked in public.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="situations to run; all without any")
    parser.add_argument("--output", type=Path, metavar="FILE", help="JSON lines, read and extended")
    parser.add_argument("--markdown", action="store_true", help="print the table for docs/truth.md")
    parser.add_argument("--table", action="store_true", help="run nothing, print what --output holds")
    parser.add_argument("--quickly", action="store_true", help="few rounds, to try the machinery")
    parser.add_argument("--show", action="store_true", help="print all findings and causes below each row")
    parser.add_argument("--list", action="store_true", help="print the threads and their conclusions")
    options = parser.parse_args()
    if options.list:
        sys.stdout.write(listing())
        return
    known = finished(options.output)
    if unknown := set(options.names) - {situation.name for situation in SITUATIONS}:
        parser.error(f"no situation is called {', '.join(sorted(unknown))}; --list prints them")
    rows: list[Row] = []
    sys.stdout.write(HEADER if options.markdown else "")
    for situation in SITUATIONS:
        if options.names and situation.name not in options.names:
            continue
        outcome = known.get(situation.name)
        if outcome is None and options.table:
            continue
        if outcome is None:
            outcome = run(situation, quickly=options.quickly)
            if options.output:
                with options.output.open("ab") as file:
                    file.write(msgspec.json.encode(outcome) + b"\n")
        row = situation, outcome, score(situation, outcome)
        rows.append(row)
        sys.stdout.write((line(row) if options.markdown else plain(row)) + "\n")
        sys.stdout.write(details(row) if options.show else "")
        sys.stdout.flush()
    sys.stdout.write(totals(rows))


if __name__ == "__main__":
    main()
