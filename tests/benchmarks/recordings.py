"""The files that the readers are compared on: recorded here with real engines, or the public traces of a folder.

No event is written by us: `recordings_kineto.py` and `recordings_ort.py` run the engines. What is recorded stays in the
folder with `recordings.json`, which says what each file is, and is used again as long as its size is still the same.
"""

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

HERE = Path(__file__).resolve().parent
INDEX = "recordings.json"
MILLION = 1_000_000
"""Events at which ONNX Runtime stops recording."""

CHUNK = 1 << 24
_TAIL = 4096

Kind = Literal["kineto", "ort"]
Say = Callable[[str], None]


class Plan(msgspec.Struct, frozen=True):
    """A file to be recorded: of at least so many bytes, or of so many events."""

    name: str
    kind: Kind
    size: int = 0
    events: int = 0


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A file to read. `complete` counts its complete events; `engine` and `steps` say how it was recorded."""

    name: str
    kind: Kind
    file: str
    size: int
    complete: int
    engine: str = ""
    steps: int = 0
    public: bool = False


def plans(sizes: list[int]) -> list[Plan]:
    """What to record for sizes in megabytes.

    ONNX Runtime's limit keeps its profiles below the largest Kineto trace: the last one is as large as the limit allows.
    """
    kineto = [Plan(f"Kineto {label(size)}", "kineto", size=size * 10**6) for size in sizes]
    ort = [Plan(f"ORT {label(size)}", "ort", size=size * 10**6) for size in sizes if size <= MOST_ORT]
    return [*kineto, *ort, Plan("ORT million events", "ort", events=MILLION)]


MOST_ORT = 300
"""Megabytes of ONNX Runtime profile that a million events of BERT-base surely fill."""


def label(megabytes: int) -> str:
    """A size as people say it."""
    return f"{megabytes // 1000} GB" if megabytes >= 1000 and megabytes % 1000 == 0 else f"{megabytes} MB"


def record(plan: Plan, folder: Path, say: Say) -> Trace:
    """Record one file, or find it in the folder; checked either way.

    Raises:
        ValueError: What lies there is not a whole trace.
    """
    known = {trace.name: trace for trace in _index(folder)}
    file = folder / f"{plan.name.lower().replace(' ', '-')}.json"
    found = known.get(plan.name)
    if found is not None and file.is_file() and file.stat().st_size == found.size:
        return found
    say(f"recording {plan.name} ...")
    told = _run_engine(plan, folder, file)
    trace = Trace(name=plan.name, kind=plan.kind, file=file.name, size=file.stat().st_size,
                  complete=checked(file), engine=told["engine"], steps=told["steps"])  # fmt: skip
    known[plan.name] = trace
    (folder / INDEX).write_bytes(msgspec.json.format(msgspec.json.encode(list(known.values()))))
    return trace


def _index(folder: Path) -> list[Trace]:
    file = folder / INDEX
    return msgspec.json.decode(file.read_bytes(), type=list[Trace]) if file.is_file() else []


def _run_engine(plan: Plan, folder: Path, file: Path) -> dict:
    command = [sys.executable, str(HERE / f"recordings_{plan.kind}.py"), "--output", str(file)]
    if plan.kind == "ort":
        command += ["--model", str(folder / "bert.onnx")]
    command += ["--events", str(plan.events)] if plan.events else ["--size", str(plan.size)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def checked(file: Path) -> int:
    """Complete events of a file that ends as a trace must.

    They are counted by their `"ph": "X"`, which no string can hold: its quotes would be escaped. That the whole file is
    JSON is seen later, when `json.load` reads it.

    Raises:
        ValueError: It is cut short, or holds no events.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        stream.seek(max(0, size - _TAIL))
        if not stream.read().rstrip().endswith((b"}", b"]")):
            raise ValueError(f"{file.name} is cut short")
    if not (events := sum(_phases(file))):
        raise ValueError(f"{file.name} holds no complete events")
    return events


def _phases(file: Path) -> Iterator[int]:
    """How often each piece of the file says `"ph": "X"`, in any of the spellings of the two engines."""
    spellings = (b'"ph": "X"', b'"ph":"X"', b'"ph" :"X"', b'"ph" : "X"')
    longest = max(map(len, spellings)) - 1
    held = b""
    with file.open("rb") as stream:
        while more := stream.read(CHUNK):
            piece = held + more
            yield sum(piece.count(text) - held.count(text) for text in spellings)
            held = piece[-longest:]


def packed(trace: Trace, folder: Path, kind: str, say: Say) -> Path:
    """The trace as gzip or zstd, packed once."""
    suffix, pack = PACKERS[kind]
    target = folder / f"{trace.file}{suffix}"
    if not target.is_file():
        say(f"packing {target.name} ...")
        temporary = target.with_suffix(".part")
        pack(folder / trace.file, temporary)
        temporary.replace(target)
    return target


def _gzip(source: Path, target: Path) -> None:
    with source.open("rb") as plain, gzip.open(target, "wb", compresslevel=6) as stream:
        shutil.copyfileobj(plain, stream, CHUNK)


def _zstd(source: Path, target: Path) -> None:
    import pyarrow as pa

    with source.open("rb") as plain, pa.CompressedOutputStream(str(target), "zstd") as stream:
        while piece := plain.read(CHUNK):
            stream.write(piece)


PACKERS: dict[str, tuple[str, Callable[[Path, Path], None]]] = {
    "gzip": (".gz", _gzip),
    "zstd": (".zst", _zstd),
}  # fmt: skip


def public(source: Path, folder: Path, say: Say) -> list[Trace]:
    """The traces of a folder that other people recorded, unpacked."""
    traces = []
    for archive in sorted(source.glob("*.json.gz")):
        file = folder / archive.stem
        if not file.is_file():
            say(f"unpacking {archive.name} ...")
            with gzip.open(archive) as stream, file.open("wb") as plain:
                shutil.copyfileobj(stream, plain, CHUNK)
        traces.append(Trace(name=archive.name.removesuffix(".json.gz"), kind="kineto", file=file.name,
                            size=file.stat().st_size, complete=checked(file), public=True))  # fmt: skip
    return traces
