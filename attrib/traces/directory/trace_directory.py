"""A trace directory: everything that one capture wrote, checked against its manifest as it is read."""

import hashlib
import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from attrib.errors import AttribError
from attrib.model.compiled import COMPILED_FILE, COMPILED_VERSION, Compiled
from attrib.model.damage import Damage
from attrib.model.experiment import EXPERIMENT_VERSION, VERIFY_FOLDER, ExperimentResult
from attrib.model.flow import FLOW_FILE, FLOW_VERSION, Flow
from attrib.model.latency import LatencyTable
from attrib.model.manifest import (
    EXPORTED,
    LATENCY,
    LATENCY_PARTS,
    OPTIMIZED,
    PARTITIONED,
    FileEntry,
    Manifest,
    OutputDifference,
    Role,
)
from attrib.model.placement import PLACEMENT_FILE, PLACEMENT_VERSION, Placement
from attrib.model.values import VALUES_FILE, VALUES_VERSION, Values
from attrib.traces.directory.manifest_file import (
    INTACT_COPY,
    MANIFEST,
    check_inside,
    open_regular,
    read_bounded,
    read_manifest,
)
from attrib.traces.directory.recognize import recognize
from attrib.traces.formats.kineto import KINETO
from attrib.traces.formats.ort_profile import ORT_PROFILE
from attrib.traces.io.source import Progress
from attrib.traces.io.window import OR_LENIENT
from attrib.traces.reader import read_trace
from attrib.traces.recording.recording import Recording

_T = TypeVar("_T")
_Record = TypeVar("_Record", Compiled, Flow, Placement, Values)

_TRACE_OF_ENGINE: dict[Role, tuple[str, str]] = {
    "torch": ("trace.json.gz", KINETO.name),
    "onnxruntime": ("profile.json.gz", ORT_PROFILE.name),
}
"""File and format of what each engine's profiler wrote."""

_DEVICE_TRACE = "device.json.gz"

LARGEST_RECORD = 1 << 26
"""Bytes of a JSON file beside the traces (`outputs.json`, `flow.json`, `verify/*.json`)."""

LARGEST_GRAPH = 1 << 28
"""Bytes of a captured graph, whose weights were taken out: those of the largest models have some tens of MB."""

LARGEST_FOREIGN_GRAPH = (1 << 31) - 1
"""Bytes of a model that attrib did not write, weights and all: protobuf's own limit."""

LARGEST_TRACE = 8 << 30
"""Bytes of a trace that a manifest lists: its hash is taken before anything else, and that takes time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceDirectory:
    """The files of one comparison. Every method reads its file again; keep what it returns.

    Attributes:
        root: The directory.
        manifest: What the capture says of itself; None for a directory that attrib did not write.
        missing: What is not there, with the reason, one line each.
        lenient: Whether damaged traces are read as far as they go.
        damage: What was wrong with the traces read so far, if it is lenient.
        progress: Told how much of a trace has been read.
    """

    root: Path
    manifest: Manifest | None
    missing: tuple[str, ...] = ()
    lenient: bool = False
    damage: dict[str, Damage] = field(init=False, default_factory=dict)
    progress: Progress | None = None
    _traces: dict[Role, Path] = field(default_factory=dict)
    _models: dict[str, Path] = field(default_factory=dict)
    _entries: dict[str, FileEntry] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._entries.update((entry.path, entry) for entry in (self.manifest.files if self.manifest else ()))

    def owns(self, path: Path) -> bool:
        """Whether an existing file is one of the capture's, by whatever name."""
        listed = [self.root / name for name in (MANIFEST, *self._entries)]
        files = [*listed, *self._traces.values(), *self._models.values()]
        return any(file.exists() and file.samefile(path) for file in files)

    def trace_names(self) -> dict[Role, str]:
        """The traces of a directory that attrib did not write, by what they were recognized as."""
        return {role: path.relative_to(self.root).as_posix() for role, path in self._traces.items()}

    def events(self, role: Role) -> Recording | None:
        """The profiled steps of one side; None where they were not captured.

        Raises:
            AttribError: The manifest claims the file, and it is missing, changed, cut short or not a trace.
        """
        if self.manifest is None:
            path = self._traces.get(role)
            return None if path is None else self._recording(path)
        side = self.manifest.sides.get(role)
        if side is None:
            return None
        name, expected = _TRACE_OF_ENGINE[side.engine]
        return self._read(f"{side.folder}/{name}", expected)

    def device_events(self, role: Role) -> Recording | None:
        """The Kineto trace recorded around one side's ONNX Runtime runs; None where there is none."""
        side = self.manifest.sides.get(role) if self.manifest else None
        return None if side is None else self._read(f"{side.folder}/{_DEVICE_TRACE}", KINETO.name)

    def latency(self) -> LatencyTable | None:
        """Every timed step; None where none was captured."""
        from attrib.traces.directory.latency_file import join_latencies, read_latency

        entries = self.manifest.files if self.manifest else ()
        parts = sorted(entry.path for entry in entries if entry.path.startswith(LATENCY_PARTS))
        paths = [path for name in (LATENCY, *parts) if (path := self._checked(name)) is not None]
        return join_latencies([read_latency(path) for path in paths]) if paths else None

    def graphs(self) -> dict[str, bytes]:
        """The chain of graphs that were captured: as exported, after each rewrite, as it ran; the files' bytes.

        Where a provider compiled parts of it, the graph that it was given stands in for the one that ran.
        """
        if self.manifest is None:
            return {
                name: _read_graph(self._models[name], LARGEST_FOREIGN_GRAPH)
                for name in (EXPORTED, OPTIMIZED)
                if name in self._models
            }
        rewrites = [rewrite.graph for side in self.manifest.sides.values() for rewrite in side.rewrites]
        found = {
            name: self._checked(name, LARGEST_GRAPH)
            for name in dict.fromkeys((EXPORTED, *rewrites, PARTITIONED, OPTIMIZED))
        }
        if found[OPTIMIZED] is not None:
            found.pop(PARTITIONED, None)
        return {name: _read_graph(path, LARGEST_GRAPH) for name, path in found.items() if path is not None}

    def compiled(self, role: Role) -> Compiled | None:
        """What the kernels of one side's compiled model compute; None where nothing was compiled."""
        return self._read_side_record(role, COMPILED_FILE, Compiled, COMPILED_VERSION)

    def flow(self, role: Role) -> Flow | None:
        """Which call of one side's PyTorch step reads the result of which; None where that was not recorded."""
        return self._read_side_record(role, FLOW_FILE, Flow, FLOW_VERSION)

    def values(self, role: Role) -> Values | None:
        """What one side's graphs and PyTorch's step hold in common; None where that was not compared."""
        return self._read_side_record(role, VALUES_FILE, Values, VALUES_VERSION)

    def placement(self, role: Role) -> Placement | None:
        """Which provider took which nodes of one side's graph; None where the session did not say."""
        return self._read_side_record(role, PLACEMENT_FILE, Placement, PLACEMENT_VERSION)

    def _read_side_record(self, role: Role, name: str, kind: type[_Record], version: int) -> _Record | None:
        """What a capture noted of one side in a JSON file of its own."""
        side = self.manifest.sides.get(role) if self.manifest else None
        path = None if side is None else self._checked(f"{side.folder}/{name}")
        if path is None:
            return None
        found = _decode_record(path, kind, "damaged", INTACT_COPY)
        if found.format_version > version:
            problem = f"format {found.format_version}, this attrib knows {version}"
            raise AttribError(f"{path}: {problem}", hint="use the version of attrib that captured it")
        return found

    def outputs(self) -> tuple[OutputDifference, ...]:
        """How far the outputs are apart, one row an output; empty where they were not compared."""
        path = self._checked("outputs.json")
        if path is None:
            return ()
        return _decode_record(path, tuple[OutputDifference, ...], "not a comparison of outputs", INTACT_COPY)

    def experiments(self) -> tuple[ExperimentResult, ...]:
        """What `attrib verify` has measured so far, by name."""
        names = sorted(
            entry.path
            for entry in (self.manifest.files if self.manifest else ())
            if entry.state == "complete"
            and entry.path.startswith(f"{VERIFY_FOLDER}/")
            and entry.path.endswith(".json")
        )
        return tuple(found for name in names if (found := self._experiment(name)) is not None)

    def _experiment(self, name: str) -> ExperimentResult | None:
        """One result; None where it was deleted, which is how one gets rid of a damaged one."""
        cure = f"delete {name} and run `attrib verify` again"
        try:
            path = self._checked(name)
        except AttribError as error:
            if not check_inside(self.root, name).exists():
                return None
            raise AttribError(str(error), hint=cure) from error
        if path is None:
            return None
        found = _decode_record(path, ExperimentResult, "not an experiment", cure)
        if found.format_version > EXPERIMENT_VERSION:
            problem = f"format {found.format_version}, this attrib knows {EXPERIMENT_VERSION}"
            raise AttribError(f"{path}: {problem}", hint="use the version of attrib that wrote it")
        return found

    def _read(self, name: str, expected: str) -> Recording | None:
        try:
            path = self._checked(name)
        except AttribError as error:
            path = check_inside(self.root, name)
            if not path.is_file():
                raise
            if not self.lenient:
                raise AttribError(str(error), hint=f"{error.hint}; {OR_LENIENT}") from error
            return self._recording(path, expected, changed=str(error).removeprefix(f"{path}: "))
        return None if path is None else self._recording(path, expected)

    def _recording(self, path: Path, expected: str | None = None, *, changed: str = "") -> Recording:
        """One trace; what is wrong with it is remembered, be it only that it is not the one that was captured."""
        found = read_trace(path, expected=expected, lenient=self.lenient, progress=self.progress)
        name = path.relative_to(self.root).as_posix()
        if found.damage is not None:
            self.damage[name] = msgspec.structs.replace(found.damage, file=name)
        elif changed:
            self.damage[name] = Damage(
                file=name,
                reason=changed,
                offset=0,
                event=0,
                recovered=len(found),
                lost=0,
                lost_bytes=0,
                places=0,
            )
        return found

    def _checked(self, name: str, largest: int = LARGEST_RECORD) -> Path | None:
        """The file of that name, once it is what the manifest says; None where the manifest does not claim it."""
        entry = self._entries.get(name)
        if entry is None or entry.state != "complete":
            return None
        path = check_inside(self.root, entry.path)
        check_file(path, entry, largest)
        return path


def open_directory(path: Path, *, lenient: bool = False, progress: Progress | None = None) -> TraceDirectory:
    """Open a trace directory, with its manifest or, without one, by what its files hold.

    Args:
        path: The directory.
        lenient: Read damaged traces as far as they go, and remember what was lost, instead of refusing them.
        progress: Told how much of each trace has been read.

    Raises:
        AttribError: It is not there, not a directory, holds no trace, or its manifest cannot be trusted.
    """
    if not path.is_dir():
        raise _no_directory(path)
    if os.path.lexists(path / MANIFEST):  # also a link to nothing: what it was meant to be, nobody knows
        manifest = read_manifest(path / MANIFEST)
        missing = tuple(
            f"{e.path}: {e.reason or 'not captured'}" for e in manifest.files if e.state == "missing"
        )
        return TraceDirectory(
            root=path, manifest=manifest, missing=missing, lenient=lenient, progress=progress
        )
    traces, models, unclear = recognize(path)
    return TraceDirectory(
        root=path,
        manifest=None,
        missing=("manifest.json: not captured by attrib, so there are no plain runs", *unclear),
        lenient=lenient,
        progress=progress,
        _traces=traces,
        _models=models,
    )


def _no_directory(path: Path) -> AttribError:
    if not path.exists():
        hint = "check the path; `attrib profile` prints the one that it wrote"
        return AttribError(f"{path}: does not exist", hint=hint)
    around = next((folder for folder in path.absolute().parents if (folder / MANIFEST).is_file()), None)
    hint = (
        f"did you mean {shlex.quote(os.path.relpath(around))}? It is the trace directory around it"
        if around
        else f"`attrib inspect {shlex.quote(path.name)}` shows what one trace holds"
    )
    return AttribError(f"{path}: is a file, not a trace directory", hint=hint)


def check_file(path: Path, entry: FileEntry, largest: int = LARGEST_TRACE) -> None:
    """Check that a file is the one that the capture wrote.

    Raises:
        AttribError: It is not there, no regular file, too large, or its size or hash differs from the manifest's.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size != entry.size:
                problem = f"has {size:,} bytes, the manifest says {entry.size:,}: cut short or changed after the capture"
                raise AttribError(f"{path}: {problem}", hint=INTACT_COPY)
            if size > largest:
                problem = (
                    f"has {size:,} bytes: no such file of a capture is larger than {largest >> 20:,} MiB"
                )
                raise AttribError(f"{path}: {problem}", hint=INTACT_COPY)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        problem = "is missing, but the manifest says that the capture completed it"
        raise AttribError(f"{path}: {problem}", hint=INTACT_COPY) from error
    except OSError as error:
        raise AttribError(
            f"{path}: cannot be read: {error.strerror}", hint="check its permissions"
        ) from error
    if digest != entry.sha256:
        problem = "its sha256 is not the one in the manifest: changed or damaged after the capture"
        raise AttribError(f"{path}: {problem}", hint=INTACT_COPY)


def _decode_record(path: Path, kind: type[_T], problem: str, cure: str) -> _T:
    """The value in a JSON file; where it is no such value, an AttribError says the problem and the cure."""
    data = read_bounded(path, LARGEST_RECORD, "a record of attrib")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AttribError(f"{path}: {problem}: {error}", hint=cure) from error


def _read_graph(path: Path, largest: int) -> bytes:
    return read_bounded(path, largest, "an ONNX model that can be read")
