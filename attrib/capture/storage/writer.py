"""The trace directory: every artifact complete or absent, and a manifest that is true at every instant.

A new artifact gets its name before the manifest lists it; one that is replaced or removed leaves the manifest first. So
whatever a crash interrupts, each file that the manifest lists is there with the hash that it has in the list.
"""

import contextlib
import errno
import gzip
import hashlib
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import msgspec

from attrib.capture.storage.atomic_io import (
    PARTIAL,
    DirectoryLock,
    partial_of,
    publish,
    replacing,
    sync_directory,
)
from attrib.errors import AttribError, UsageError
from attrib.model.manifest import EXPORTED, LATENCY, OPTIMIZED, PARTITIONED, FileEntry, Manifest

MANIFEST = "manifest.json"
ARTIFACTS = (
    MANIFEST, "inputs.npz", LATENCY, "latency/*.parquet", "outputs.json", EXPORTED, "onnx/rewritten-[0-9]*.onnx",
    OPTIMIZED, "torch/trace.json.gz", "torch-2/trace.json.gz", "torch/compiled.json", "torch-2/compiled.json",
    "torch/flow.json", "torch-2/flow.json", "ort/placement.json", "ort-2/placement.json", PARTITIONED,
    "ort/profile.json.gz", "ort-2/profile.json.gz", "ort/device.json.gz", "report.html", "report.json",
    "verify/*.json", "verify/best.py",
)  # fmt: skip
"""Everything that a capture and its report can leave behind, as glob patterns."""

_UNFINISHED_REPORTS = (".report.html.*", ".report.json.*")
"""What a killed `attrib report` leaves; see `attrib.report.files.atomic_write`."""

DERIVED = (MANIFEST, "report.html", "report.json")
"""What no manifest lists."""


def find_artifacts(root: Path) -> list[Path]:
    """Find the artifacts of any capture and their unfinished forms; nothing else that lies there."""
    patterns = (*ARTIFACTS, *(pattern + PARTIAL for pattern in ARTIFACTS), *_UNFINISHED_REPORTS)
    found = (path for pattern in patterns for path in sorted(root.glob(pattern)))
    return [path for path in found if path.parent == root or not path.parent.is_symlink()]


_BETWEEN_TRIES_S = 0.02


class TraceWriter:
    """Writes the artifacts of one trace directory under temporary names, syncs and renames them, and keeps the list.

    Attributes:
        root: The directory.
        files: What the next manifest lists, by path.
    """

    def __init__(self, root: Path, *, force: bool = False, existing: Manifest | None = None) -> None:
        """Begin a directory, or go on with one.

        Args:
            root: The directory.
            force: Replace an older capture.
            existing: The manifest of a capture to add to; the artifacts that it lists stay as they are.
        """
        self.root = root
        self.files: dict[str, FileEntry] = {} if existing is None else {e.path: e for e in existing.files}
        self._manifest = existing
        self._listed = _complete(self.files.values())
        self._dropped: list[str] = []
        self._lock: DirectoryLock | None = None
        self._created = not root.exists()
        if existing is None:
            _check_output(root, force=force)
        with explain_os_errors(root):
            root.mkdir(parents=True, exist_ok=True)
        self._clear_first = force and any(root.iterdir())

    def hold(self, lock: DirectoryLock) -> None:
        """Keep every other capture out until `release`, or until this process ends, however it ends."""
        self._lock = lock

    def release(self) -> None:
        """Release the directory for other captures; can be called twice."""
        if self._lock is not None:
            self._lock.release()

    @property
    def replaces(self) -> bool:
        """Whether an older capture lies here, and there is nothing yet to replace it with."""
        return self._clear_first

    @contextmanager
    def create(self, path: str) -> Iterator[BinaryIO]:
        """Open an artifact for writing; it appears under its name when the block has ended well, or not at all."""
        target = self.root / path
        if self._clear_first:
            self._clear()
        with explain_os_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            # A directory to go on with may come from a stranger, with a link in the place of a folder.
            if target.parent != self.root and target.parent.is_symlink():
                raise AttribError(
                    f"{target.parent} is a link: nothing is written through it",
                    hint="-o with another directory",
                )
            with replacing(target) as stream:
                yield stream
            partial = partial_of(target)
            with partial.open("rb") as written:
                sha256 = hashlib.file_digest(written, "sha256").hexdigest()
            entry = FileEntry(path=path, state="complete", sha256=sha256, size=partial.stat().st_size)
            self._unlist(path)
            publish(target)
            self.files[path] = entry

    def _unlist(self, path: str) -> None:
        """Take a file that is about to be replaced out of the manifest on the disk."""
        self.files.pop(path, None)
        if path in self._dropped:
            self._dropped.remove(path)
        if path in self._listed and self._manifest is not None:
            self.write_manifest(self._manifest)

    def _clear(self) -> None:
        """Remove an older capture's artifacts, and nothing else, once this one has something to put there."""
        self._clear_first = False
        with explain_os_errors(self.root):
            (self.root / MANIFEST).unlink(missing_ok=True)
            sync_directory(self.root)
            for path in find_artifacts(self.root):
                path.unlink(missing_ok=True)

    def clean(self) -> None:
        """Remove what a crash left of this capture: files that never got their name, and those that no manifest lists."""
        with explain_os_errors(self.root):
            for path in find_artifacts(self.root):
                name = path.relative_to(self.root).as_posix()
                if path.name.endswith(PARTIAL) or name not in (*self.files, *DERIVED):
                    path.unlink(missing_ok=True)
            self._remove_empty_folders()

    def write(self, path: str, data: bytes) -> None:
        """Write a whole artifact."""
        with self.create(path) as stream:
            stream.write(data)

    def write_gzip(self, path: str, source: Path) -> None:
        """Compress a file into an artifact, without its name or date, so that equal content is equal bytes."""
        with source.open("rb") as plain, self.create(path) as stream, deterministic_gzip(stream) as packed:
            shutil.copyfileobj(plain, packed, 1 << 20)

    def remove(self, path: str, manifest: Manifest) -> None:
        """Take an artifact out of the manifest, then off the disk: never one that is listed and not there."""
        self._dropped.append(path)
        if self.files.pop(path, None) is not None:
            self.write_manifest(manifest)
        else:
            self._remove_dropped()

    def drop(self, paths: Iterable[str]) -> None:
        """Leave artifacts out of the next manifest; they are removed when it is written."""
        for path in paths:
            if self.files.pop(path, None) is not None:
                self._dropped.append(path)

    def note_missing(self, path: str, reason: str) -> None:
        """Say in the manifest that an artifact does not exist, and why."""
        self.files.setdefault(path, FileEntry(path=path, state="missing", reason=reason))

    def forget_missing(self) -> None:
        """Forget which artifacts are missing: a new attempt says itself what does not exist."""
        self.files = {path: entry for path, entry in self.files.items() if entry.state == "complete"}

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest over the previous one; it lists every artifact written so far."""
        files = tuple(self.files[path] for path in sorted(self.files))
        full = msgspec.structs.replace(manifest, files=files)
        data = msgspec.json.format(msgspec.json.encode(full), indent=2) + b"\n"
        target = self.root / MANIFEST
        with explain_os_errors(target):
            with replacing(target) as stream:
                stream.write(data)
            publish(target)
        self._manifest, self._listed = manifest, _complete(files)
        self._remove_dropped()

    def _remove_dropped(self) -> None:
        dropped, self._dropped = self._dropped, []
        with explain_os_errors(self.root):
            for path in dropped:
                (self.root / path).unlink(missing_ok=True)
        if dropped:
            self._remove_empty_folders()

    @property
    def complete_files(self) -> list[str]:
        """Artifacts that exist."""
        return sorted(_complete(self.files.values()))

    def is_complete(self, path: str) -> bool:
        """Whether an artifact exists."""
        entry = self.files.get(path)
        return entry is not None and entry.state == "complete"

    def withdraw(self) -> None:
        """Remove what this capture has written: a command that makes no sense leaves nothing behind."""
        for path in (MANIFEST, *self.complete_files):
            if path != MANIFEST or not self._clear_first:
                (self.root / path).unlink(missing_ok=True)
        self.files.clear()
        self.discard_if_empty()

    def discard_if_empty(self) -> None:
        """Remove what this capture made where it put no artifact there: its manifest, and the directory itself."""
        if self.complete_files or self._clear_first:
            return
        with contextlib.suppress(OSError):
            (self.root / MANIFEST).unlink(missing_ok=True)
            self._remove_empty_folders()
            if self._created:
                self.root.rmdir()

    def _remove_empty_folders(self) -> None:
        for name in dict.fromkeys(Path(pattern).parent for pattern in ARTIFACTS):
            if name != Path():
                with contextlib.suppress(OSError):
                    (self.root / name).rmdir()


def lock_directory(root: Path, *, patience_s: float = 0.0) -> DirectoryLock:
    """Lock a directory: every other writer stays out of it.

    Args:
        root: The directory.
        patience_s: Seconds to wait for one that is writing into it.

    Raises:
        AttribError: Another one writes into it.
    """
    end = time.monotonic() + patience_s
    with explain_os_errors(root):
        while (lock := DirectoryLock.take(root)) is None and time.monotonic() < end:
            time.sleep(_BETWEEN_TRIES_S)
    if lock is None:
        raise AttribError(
            f"another attrib is writing into {root}",
            hint="wait until it has ended, or -o with another name",
        )
    return lock


def _complete(entries: Iterable[FileEntry]) -> frozenset[str]:
    return frozenset(entry.path for entry in entries if entry.state == "complete")


def deterministic_gzip(stream: IO[bytes]) -> gzip.GzipFile:
    """A gzip stream whose header holds neither a file name nor the time."""
    return gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=stream, mtime=0)


def _check_output(root: Path, *, force: bool) -> None:
    if root.is_symlink() or (root.exists() and not root.is_dir()):
        raise UsageError(f"{root} exists and is not a directory", hint="-o with another name")
    if root.is_dir() and any(root.iterdir()) and not force:
        raise UsageError(
            f"{root} exists and is not empty", hint="--force to write into it, or -o with another name"
        )


@contextmanager
def explain_os_errors(target: Path) -> Iterator[None]:
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
