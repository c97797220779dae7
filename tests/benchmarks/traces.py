"""How fast and how light reading a trace is, beside what people use: `python tests/benchmarks/traces.py`.

    [--sizes 50 300 1000] [--repeats 5] [--only SUBSTRING] [--keep FOLDER] [--public FOLDER] [--peers-python PYTHON]
    [--readers SUBSTRING ...] [--record-only] [--quick] [--limit SECONDS] [--memory BYTES] [--patience SECONDS]
    [--output FILE]

The files are recorded on the spot: Kineto traces of BERT-base with shapes and stacks, ONNX Runtime profiles of the same
model up to the million events at which ONNX Runtime stops; `--keep` keeps them for the next time. The public GPU
traces come from `--public` or from shared/traces/large beside the checkout (ATTRIB_SHARED names another place).

Every read is a process of its own, so that its peak memory is its own; imports are not counted; the file is in the page
cache. Readers take turns within a round, and ratios are taken within a round. Files from 300 MB are read three times at
most, from 600 MB twice; a reader other than attrib stops when its runs of one file took `--patience` in all.
Readers that this Python lacks run under `--peers-python` (tests/benchmarks/peers.txt lists their packages).

Prints Markdown; docs/benchmarks.md holds the last tables. Absolute times are of the machine at hand, ratios travel.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from peers import ATTRIB, READERS
from recordings import PACKERS, Trace, packed, plans, public, record
from traces_figures import LARGE, Measured, verdicts
from traces_measure import Limits, Task, Way, missing, rounds
from traces_tables import file_table, growth_table, verdict_table

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("ATTRIB_SHARED", ROOT.parent / "shared"))

MOST_REPEATS = ((LARGE, 5), (2 * LARGE, 3), (sys.maxsize, 2))
"""Rounds at most for files below so many bytes."""


def arguments() -> argparse.Namespace:
    """The options."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="*", default=[50, 300, 1000], help="megabytes to record")
    parser.add_argument("--repeats", type=int, default=5, help="rounds at most")
    parser.add_argument("--only", default="", help="only files whose name holds this")
    parser.add_argument("--keep", type=Path, help="where recordings lie and stay")
    parser.add_argument(
        "--public", type=Path, default=SHARED / "traces" / "large", help="folder of *.json.gz traces"
    )
    parser.add_argument(
        "--peers-python", default=sys.executable, help="interpreter that has the other readers"
    )
    parser.add_argument(
        "--readers", nargs="*", default=[""], help="beside attrib only readers whose name holds one"
    )
    parser.add_argument("--record-only", action="store_true", help="record and pack, measure nothing")
    parser.add_argument(
        "--quick", action="store_true", help="one round, the smallest size and the public traces"
    )
    parser.add_argument("--limit", type=float, default=300, help="seconds that one read may take")
    parser.add_argument("--memory", type=int, default=int(memory * 0.9), help="bytes that one read may take")
    parser.add_argument(
        "--patience", type=float, default=40, help="seconds for all runs of one peer on one file"
    )
    parser.add_argument("--output", type=Path, help="also write every sample as JSON")
    return parser.parse_args()


def say(message: str) -> None:
    """A line of progress."""
    sys.stderr.write(f"[{time.strftime('%H:%M:%S')}] {message}\n")


@contextlib.contextmanager
def working_folder(keep: Path | None) -> Iterator[Path]:
    """Where the recordings lie: kept, or removed afterward."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="attrib-bench-") as folder:
        yield Path(folder)


def traces(options: argparse.Namespace, folder: Path) -> list[Trace]:
    """The files to read, recorded or found."""
    wanted = [plan for plan in plans(options.sizes) if options.only in plan.name]
    if options.quick:
        wanted = [plan for plan in wanted if plan.size == min(options.sizes) * 10**6]
    found = [record(plan, folder, say) for plan in wanted]
    if not options.public.is_dir():
        say(
            f"the public GPU traces are left out: {options.public} is not there (--public names another folder)"
        )
        return found
    return found + [trace for trace in public(options.public, folder, say) if options.only in trace.name]


def chosen(parts: list[str]) -> list[str]:
    """Attrib, and the readers whose name holds one of these."""
    return [name for name in READERS if name == ATTRIB or any(part in name for part in parts)]


def interpreters(peers_python: str, names: list[str]) -> dict[str, str]:
    """The interpreter of each reader; those that neither has are left out, with a line that says so."""
    absent = missing(sys.executable, names)
    elsewhere = missing(peers_python, absent) if absent else []
    for name in elsewhere:
        say(
            f"{name} is left out: no interpreter here has {READERS[name].package} (--peers-python, peers.txt)"
        )
    return {
        name: peers_python if name in absent else sys.executable
        for name in names if name not in elsewhere
    }  # fmt: skip


def tasks(trace: Trace, folder: Path, pythons: dict[str, str]) -> list[Task]:
    """Attrib on the plain file, packed and through a pipe, then the others."""
    file = folder / trace.file
    ways: dict[Way, Path] = {"plain": file, "gzip": file, "zstd": file, "pipe": file}
    for kind in PACKERS:
        ways[kind] = packed(trace, folder, kind, say)  # type: ignore[index]
    ours = [Task(reader=ATTRIB, file=path, python=pythons[ATTRIB], way=way) for way, path in ways.items()]
    others = [
        Task(reader=name, file=file, python=python)
        for name, python in pythons.items() if name != ATTRIB and trace.kind in READERS[name].kinds
    ]  # fmt: skip
    return ours + others


def repeats(size: int, asked: int) -> int:
    """Rounds for a file of a size."""
    return min(asked, next(most for below, most in MOST_REPEATS if size < below))


def measure_all(options: argparse.Namespace, folder: Path) -> list[Measured]:
    """Every file with every reader; each file's table is printed when it is done."""
    pythons = interpreters(options.peers_python, chosen(options.readers))
    limits = Limits(options.limit, options.memory, options.patience)
    all_measured = []
    for trace in traces(options, folder):
        todo = tasks(trace, folder, pythons)
        if options.record_only:
            continue
        say(f"{trace.name}: {trace.size / 1e6:,.0f} MB, {trace.complete:,} complete events")
        number = 1 if options.quick else repeats(trace.size, options.repeats)
        all_measured.append(measured := Measured(trace, rounds(todo, number, limits, say)))
        sys.stdout.write(file_table(measured) + "\n")
        sys.stdout.flush()
    return all_measured


def main() -> None:
    """Record, measure, print."""
    options = arguments()
    with working_folder(options.keep) as folder:
        all_measured = measure_all(options, folder)
    if not all_measured:
        return
    sys.stdout.write("### Growth\n\n" + growth_table(all_measured))
    sys.stdout.write("\n### What must be reached\n\n" + verdict_table(verdicts(all_measured)))
    if options.output:
        options.output.write_bytes(msgspec.json.encode(all_measured))


if __name__ == "__main__":
    main()
