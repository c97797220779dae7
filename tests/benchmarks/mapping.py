"""The mapping matrix: `python tests/benchmarks/mapping.py [--only SUBSTRING] [--output FILE] [--list]`.

Each cell is a real capture of a real model with few rounds, checked number by number by what attrib itself recorded.
Prints a Markdown table; docs/mapping.md holds the last one. `--output` keeps each finished cell as one JSON line, so that
an interrupted run goes on where it was; failed cells are run again.
"""

import argparse
import os
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import msgspec
from mapping_cells import Cell, all_cells
from mapping_figures import CALLS, CORRECT, LARGEST, OTHER_NODES, TRANSFORMER_NODES, VERIFIED, Figures

HEADER = (
    "| cell | node time | with a call | call time | regions | calls × nodes | largest | by | confidence | verified"
    " | node, call time | wrong, loose | correct | floors |\n" + "|---" * 14 + "|\n"
)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one cell: figures, or the one line of its error."""

    cell: str
    figures: Figures | None = None
    error: str = ""


def missed(cell: Cell, row: Figures) -> list[str]:
    """The floors that a cell does not reach."""
    if cell.kind in ("foreign", "foreign-graphs", "renamed"):
        floors = {"correct": row.correct is not None and row.correct >= CORRECT}
    else:
        nodes = TRANSFORMER_NODES if cell.is_transformer else OTHER_NODES
        floors = {"node time": row.node_time >= nodes, "call time": row.call_time >= CALLS}
        shares = (row.verified_time, row.verified_calls)
        floors["verified"] = all(share is not None and share >= VERIFIED for share in shares)
    floors["largest"] = row.largest <= LARGEST
    floors["numbers"] = not row.states.get("wrong")
    return [name for name, reached in floors.items() if not reached]


def line(cell: Cell, result: Result) -> str:
    """One row of the table."""
    row = result.figures
    if row is None:
        return f"| {cell.name} | " + "| " * 12 + f"| {result.error.replace('|', '/')} |"
    methods = ", ".join(f"{m} {n} ({row.method_time[m]:.0%})" for m, n in sorted(row.methods.items()))
    checked = f"{row.states.get('verified', 0)} of {row.checked}" if row.states else ""
    shares = (row.verified_time, row.verified_calls)
    time = ", ".join(f"{share:.1%}" for share in shares if share is not None)
    bad = f"{row.states.get('wrong', 0)}, {row.states.get('loose', 0)}" if row.states else ""
    correct = "" if row.correct is None else f"{row.correct:.1%}"
    verdict = ", ".join(missed(cell, row))
    cells = [
        cell.name,
        f"{row.node_time:.2%}",
        f"{sum(row.method_time.values()):.1%}",
        f"{row.call_time:.2%}",
        f"{row.regions}",
        f"{row.calls:g} × {row.nodes:g}",
        f"{row.largest:.1%}",
        methods,
        f"{row.confidence:.2f}",
        *(checked, time, bad, correct),
        f"NOT {verdict}" if verdict else "yes",
    ]
    return f"| {' | '.join(cells)} |"


def totals(pairs: Sequence[tuple[Cell, Result]]) -> str:
    """What holds over all cells."""
    rows = [(cell, result.figures) for cell, result in pairs if result.figures]
    reached = sum(not missed(cell, row) for cell, row in rows)
    regions = sum(row.regions for _, row in rows if row.states)
    checked = sum(row.checked for _, row in rows)
    verified = sum(row.states.get("verified", 0) for _, row in rows)
    reasons = sum((Counter(row.reasons) for _, row in rows), Counter[str]())
    why = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return (
        f"\n{len(pairs)} cells: {len(pairs) - len(rows)} failed, {reached} reach every floor. "
        f"{regions:,} matched regions: {checked:,} could be checked, {verified:,} of them are verified"
        f" ({verified / max(checked, 1):.1%}). Not checkable: {why or 'none'}.\n"
    )


def run(cell: Cell) -> Result:
    """Run a cell; whatever goes wrong in it is its result."""
    from mapping_run import run_cell

    with tempfile.TemporaryDirectory() as folder:
        try:
            return Result(cell=cell.name, figures=run_cell(cell, Path(folder)))
        except Exception as error:  # noqa: BLE001  (one cell must not stop the others)
            text = " ".join(f"{type(error).__name__}: {error}".split())
            return Result(cell=cell.name, error=text.replace(folder, "")[:200])


def finished(output: Path | None) -> dict[str, Result]:
    """The cells that an earlier run finished; a line that an interruption cut short is no result."""
    found = {}
    for text in output.read_bytes().splitlines() if output and output.is_file() else []:
        try:
            result = msgspec.json.decode(text, type=Result)
        except msgspec.DecodeError:
            continue
        if result.figures:
            found[result.cell] = result
    return found


def main() -> None:
    """Run the cells and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", action="append", metavar="SUBSTRING", help="run the cells whose name holds this; repeatable"
    )
    parser.add_argument("--output", type=Path, help="JSON lines of finished cells, read and extended")
    parser.add_argument("--list", action="store_true", help="print the names of the cells")
    options = parser.parse_args()
    wanted = options.only or [""]
    cells = [cell for cell in all_cells() if any(text in cell.name for text in wanted)]
    if options.list:
        sys.stdout.write("".join(f"{cell.name}\n" for cell in cells))
        return
    known, pairs = finished(options.output), []
    warnings.simplefilter("ignore")
    sys.stdout.write(HEADER)
    for cell in cells:
        result = known.get(cell.name) or run(cell)
        if options.output and cell.name not in known:
            with options.output.open("ab") as file:
                file.write(msgspec.json.encode(result) + b"\n")
        pairs.append((cell, result))
        sys.stdout.write(line(cell, result) + "\n")
        sys.stdout.flush()
    sys.stdout.write(totals(pairs))


if __name__ == "__main__":
    main()
