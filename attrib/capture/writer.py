"""The trace directory: every artefact complete or absent, and a manifest that says which."""

import contextlib
import errno
import gzip
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import msgspec

from attrib.errors import AttribError, UsageError
from attrib.model.manifest import EXPORTED, OPTIMIZED, PARTITIONED, FileEntry, Manifest

MANIFEST = "manifest.json"
_PARTIAL = ".partial"
_ARTEFACTS = (
    MANIFEST, "inputs.npz", "latency.parquet", "outputs.json", EXPORTED, "onnx/rewritten-[0-9]*.onnx", OPTIMIZED,
    "torch/trace.json.gz", "torch-2/trace.json.gz", "torch/compiled.json", "torch-2/compiled.json",
    "torch/flow.json", "torch-2/flow.json", "ort/placement.json", "ort-2/placement.json", PARTITIONED,
    "ort/profile.json.gz", "ort-2/profile.json.gz", "ort/device.json.gz", "report.html", "report.json",
    "verify/*.json", "verify/best.py",
)  # fmt: skip
"""Everything that a capture and its report can leave behind, as glob patterns."""


class TraceDirectory:
    """Writes artefacts under temporary names, syncs and renames them, and remembers their hashes."""

    def __init__(self, root: Path, *, force: bool = False, existing: Manifest | None = None) -> None:
        """Begin a directory, or go on with one.

        Args:
            root: The directory.
            force: Replace an older capture.
            existing: The manifest of a capture to add to; the artefacts that it lists stay as they are.
        """
        self.root = root
        self.files: dict[str, FileEntry] = {} if existing is None else {e.path: e for e in existing.files}
        self._created = not root.exists()
        if existing is None:
            _check_output(root, force=force)
        with explained(root):
            root.mkdir(parents=True, exist_ok=True)
        self._clear_first = force

    @contextmanager
    def create(self, path: str) -> Iterator[BinaryIO]:
        """Open an artefact for writing; it appears under its name when the block has ended well, or not at all."""
        target = self.root / path
        partial = target.with_name(target.name + _PARTIAL)
        if self._clear_first:
            self._clear()
        with explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with _opened(partial) as stream:
                    yield stream
                    stream.flush()
                    os.fsync(stream.fileno())
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)
            self.files[path] = _entry(path, target)

    def _clear(self) -> None:
        """Remove an older capture's artefacts, and nothing else, once this one has something to put there."""
        self._clear_first = False
        with explained(self.root):
            for path in (found for pattern in _ARTEFACTS for found in self.root.glob(pattern)):
                path.unlink(missing_ok=True)

    def write(self, path: str, data: bytes) -> None:
        """Write a whole artefact."""
        with self.create(path) as stream:
            stream.write(data)

    def write_gzip(self, path: str, source: Path) -> None:
        """Compress a file into an artefact, without its name or date, so that equal content is equal bytes."""
        with source.open("rb") as plain, self.create(path) as stream, deterministic_gzip(stream) as packed:
            shutil.copyfileobj(plain, packed, 1 << 20)

    def remove(self, path: str, manifest: Manifest) -> None:
        """Take an artefact out of the manifest, then off the disk: never one that is listed and not there."""
        if self.files.pop(path, None) is not None:
            self.write_manifest(manifest)
        with explained(self.root / path):
            (self.root / path).unlink(missing_ok=True)

    def missing(self, path: str, reason: str) -> None:
        """Say in the manifest that an artefact does not exist, and why."""
        self.files.setdefault(path, FileEntry(path=path, state="missing", reason=reason))

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest over the previous one; it lists every artefact written so far."""
        files = tuple(self.files[path] for path in sorted(self.files))
        full = msgspec.structs.replace(manifest, files=files)
        data = msgspec.json.format(msgspec.json.encode(full), indent=2) + b"\n"
        target = self.root / MANIFEST
        partial = target.with_name(MANIFEST + _PARTIAL)
        with explained(target):
            try:
                with _opened(partial) as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)

    @property
    def complete_files(self) -> list[str]:
        """Artefacts that exist."""
        return [path for path, entry in self.files.items() if entry.state == "complete"]

    def withdraw(self) -> None:
        """Remove what this capture has written: a command that makes no sense leaves nothing behind."""
        for path in (*self.complete_files, MANIFEST):
            (self.root / path).unlink(missing_ok=True)
        self.files.clear()
        self.discard_if_empty()

    def discard_if_empty(self) -> None:
        """Remove the directory where nothing was written into it and this capture made it."""
        if self._created and not self.complete_files:
            with contextlib.suppress(OSError):
                for folder in sorted(self.root.rglob("*"), reverse=True):
                    folder.rmdir()
                self.root.rmdir()


def _opened(partial: Path) -> BinaryIO:
    """A new file, never what a link of that name points to: a directory to add to may come from a stranger."""
    partial.unlink(missing_ok=True)
    return partial.open("xb")


def deterministic_gzip(stream: IO[bytes]) -> gzip.GzipFile:
    """A gzip stream whose header holds neither a file name nor the time."""
    return gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=stream, mtime=0)


def _entry(path: str, file: Path) -> FileEntry:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
    return FileEntry(path=path, state="complete", sha256=digest.hexdigest(), size=file.stat().st_size)


def _check_output(root: Path, *, force: bool) -> None:
    if root.is_symlink() or (root.exists() and not root.is_dir()):
        raise UsageError(f"{root} exists and is not a directory", hint="-o with another name")
    if root.is_dir() and any(root.iterdir()) and not force:
        raise UsageError(
            f"{root} exists and is not empty", hint="--force to write into it, or -o with another name"
        )


@contextmanager
def explained(target: Path) -> Iterator[None]:
    """Turn the operating system's errors into one line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise AttribError(
                f"the disk is full: {target.name} could not be written",
                hint="free some space, or -o on another disk; what was complete before is kept",
            ) from error
        raise AttribError(f"cannot write {target}: {error.strerror or error}") from error
