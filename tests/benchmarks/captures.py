"""Captures by the command, as a user makes them, and the figures of their reports that the benchmarks of issue 13 compare.

Shared by `neighbour.py`, `coverage.py`, `seconds.py` and `against_itself.py`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import msgspec  # noqa: E402

from attrib.model.document import Document  # noqa: E402
from attrib.model.estimate import Estimate  # noqa: E402
from attrib.model.manifest import Role  # noqa: E402

MANIFEST, REPORT = "manifest.json", "report.json"

REMAINDERS = ("profiler_overhead", "unattributed")
"""Rows that close the sum: what is left over, no cause of anything."""

SAVE = "import sys, attrib; attrib.load(sys.argv[1]).save(sys.argv[2])"


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """One cause of one report: its part of the difference with its 95 % interval, nanoseconds."""

    cause: str
    delta_ns: int
    low_ns: int
    high_ns: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What one report says, as far as captures are compared by it.

    Attributes:
        seconds: Wall time of the command.
        begin_s: Seconds of the phases before the first round.
        measure_s: Seconds of the phases that hold rounds.
        ratio: PyTorch's step over ONNX Runtime's.
        bounds: Its 95 % interval; None in the reports of versions that give none.
        step_ns: The slower step.
        delta_ns: Difference of the steps, and the ends of its interval.
        causes: Every cause, the largest first, without what is left over.
        named: Causes that the report may name, the largest first.
        rounds: Rounds that count.
        ended: Why there were no more: the interval was `narrow`, the most `rounds` were measured, or the `time` was up.
        disturbed: Why blocks were disturbed, and how often.
        saving: Failed findings with a saving.
        left: What the split leaves over of either engine's step (`REMAINDERS`, without their signs), as a share of it.
    """

    seconds: float = 0.0
    begin_s: float = 0.0
    measure_s: float = 0.0
    ratio: float
    bounds: tuple[float, float] | None = None
    step_ns: int
    delta_ns: tuple[int, int, int]
    causes: tuple[Share, ...] = ()
    named: tuple[str, ...] = ()
    significant: bool = False
    busy: bool = False
    inconclusive: bool = False
    split_reliable: bool = True
    launches: int = 0
    rounds: int = 0
    ended: str = ""
    disturbed: dict[str, int] = {}
    saving: tuple[str, ...] = ()
    left: dict[Role, float] = {}

    @property
    def half_width(self) -> float:
        """Half the width of the difference's interval, as a share of the slower step."""
        _, low, high = self.delta_ns
        return (high - low) / 2 / self.step_ns

    @property
    def verdict(self) -> str:
        """The words that a reader sees: how far the measurement carries."""
        if self.inconclusive:
            return "inconclusive"
        words = ["busy"] if self.busy else []
        words += ["significant" if self.significant else "no difference"]
        words += [] if self.split_reliable else ["split unreliable"]
        return ", ".join(words)


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """The captures of one run of a benchmark: their common options, and the figures by condition, engine or version."""

    options: tuple[str, ...]
    captures: dict[str, tuple[Figures, ...]] = {}

    @classmethod
    def read(cls, file: Path) -> "Taken":
        """What an earlier run wrote."""
        return msgspec.json.decode(file.read_bytes(), type=cls)

    @classmethod
    def resumed(cls, file: Path | None, options: Sequence[str]) -> "Taken":
        """What a file holds already; nothing where there is none.

        Raises:
            RuntimeError: It holds captures of something else.
        """
        if file is None or not file.is_file():
            return cls(options=tuple(options))
        found = cls.read(file)
        if found.options != tuple(options):
            raise RuntimeError(f"{file.name} holds captures of {' '.join(found.options)}: name another file")
        return found

    def of(self, name: str) -> tuple[Figures, ...]:
        """The captures of one condition, engine or version."""
        return self.captures.get(name, ())

    def added(self, name: str, figures: Figures, file: Path | None) -> "Taken":
        """With one capture more, written at once where there is a file."""
        more = msgspec.structs.replace(self, captures=self.captures | {name: (*self.of(name), figures)})
        if file is not None:
            partial = file.with_name(f"{file.name}.partial")
            partial.write_bytes(msgspec.json.format(msgspec.json.encode(more)))
            partial.replace(file)
        return more


def figures_of(document: Document, *, seconds: float = 0.0) -> Figures:
    """The figures of one report.

    Raises:
        ValueError: It has no headline: a side is missing.
    """
    latency, judgement = document.latency, document.judgement
    torch, ort, delta = latency.torch_ns, latency.onnxruntime_ns, latency.delta_ns
    if torch is None or ort is None or delta is None:
        raise ValueError("the report has no headline")
    causes = (row for row in document.causes if row.cause not in REMAINDERS)
    return Figures(
        seconds=seconds,
        ratio=latency.ratio.value if latency.ratio else torch.median / ort.median,
        bounds=(latency.ratio.low, latency.ratio.high) if latency.ratio else None,
        step_ns=max(torch.median, ort.median),
        delta_ns=(delta.median, delta.low, delta.high),
        causes=tuple(
            Share(cause=row.cause, delta_ns=row.delta_ns, low_ns=row.low_ns, high_ns=row.high_ns)
            for row in sorted(causes, key=lambda row: -abs(row.delta_ns))
        ),
        named=tuple(cause for cause in judgement.named if cause not in REMAINDERS),
        significant=latency.significant,
        busy=judgement.busy,
        inconclusive=judgement.inconclusive,
        split_reliable=judgement.split_reliable,
        launches=latency.launches,
        rounds=judgement.rounds or min(map(len, document.plain_ns.values()), default=0),
        ended=document.protocol.ended if document.protocol else "",
        disturbed=dict(judgement.disturbed),
        saving=tuple(f.id for f in document.findings if f.state == "failed" and f.saving_ns),
        left=_left(document),
    )


def _left(document: Document) -> dict[Role, float]:
    """What is left over of each side's step."""
    rows = [row for row in document.ledger if row.cause in REMAINDERS]
    sides: dict[Role, tuple[Estimate | None, list[int]]] = {
        "torch": (document.latency.torch_ns, [row.torch_ns for row in rows]),
        "onnxruntime": (document.latency.onnxruntime_ns, [row.onnxruntime_ns for row in rows]),
    }
    return {
        role: sum(map(abs, left)) / step.median for role, (step, left) in sides.items() if step is not None
    }


def spent(phases: Sequence[tuple[str, float]]) -> tuple[float, float]:
    """Seconds of the phases before the first round, and of those from the first to the last that hold rounds."""
    holding = [i for i, (name, _) in enumerate(phases) if name == "measure"]
    if not holding:
        return sum(seconds for _, seconds in phases), 0.0
    first, last = holding[0], holding[-1] + 1
    return sum(s for _, s in phases[:first]), sum(s for _, s in phases[first:last])


def command_of(options: Iterable[str], output: Path, *, report: bool = False) -> list[str]:
    """The command of one capture."""
    plain = [] if report else ["--no-report"]
    return [sys.executable, "-m", "attrib", "profile", *options, "-o", str(output), *plain]


def run(command: Sequence[str], root: Path = ROOT) -> float:
    """Seconds of one process that imports attrib from `root`; what it says is shown only where it fails.

    Raises:
        RuntimeError: It failed; the message holds the end of what it said.
    """
    environment = {**os.environ, "NO_COLOR": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(root)}
    begin = time.perf_counter()
    done = subprocess.run(
        command, env=environment, cwd=tempfile.gettempdir(), capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}: {(done.stderr or done.stdout)[-2000:]}")
    return seconds


def captured(options: Iterable[str], folder: Path, *, root: Path = ROOT, report: bool = False) -> Figures:
    """Capture with the command, and read what its report says.

    Args:
        options: Options of `attrib profile`.
        folder: The trace directory to write.
        root: Where attrib is imported from: this checkout, or the files of a revision.
        report: Let the command write its page, as it does for a user.
    """
    seconds = run(command_of(options, folder, report=report), root)
    return read(folder, root=root, seconds=seconds)


def read(folder: Path, *, root: Path = ROOT, seconds: float = 0.0) -> Figures:
    """The figures of a capture, as the attrib in `root` sees them."""
    from command_plan import read_manifest

    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / REPORT
        run([sys.executable, "-c", SAVE, str(folder), str(file)], root)
        document = msgspec.json.decode(file.read_bytes(), type=Document)
    begin, measure = spent([(phase.name, phase.seconds) for phase in read_manifest(folder).phases])
    found = figures_of(document, seconds=seconds)
    return msgspec.structs.replace(found, begin_s=begin, measure_s=measure)


def kept(options: Iterable[str], folder: Path, *, report: bool = False) -> bool:
    """Capture into a folder that is kept, under another name first, so that no interruption leaves what looks whole.

    Returns:
        Whether there was need: a capture that is there is not made again.
    """
    if (folder / MANIFEST).is_file():
        return False
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    run(command_of(options, partial, report=report))
    partial.rename(folder)
    return True


def say(line: str) -> None:
    """Tell the user on stderr what is being done."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
