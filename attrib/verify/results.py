"""The results in a trace directory, `verify/*.json`: reading and writing them, with the manifest that lists them."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from attrib.capture.storage.writer import TraceWriter, lock_directory
from attrib.errors import AttribError
from attrib.model.experiment import VERIFY_FOLDER, ExperimentResult
from attrib.model.manifest import Manifest
from attrib.traces.directory.manifest_file import MANIFEST, check_inside, read_manifest

SNIPPET = f"{VERIFY_FOLDER}/best.py"
"""The program that runs the best configuration, beside its result."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 80
_PATIENCE_S = 10.0
"""Seconds to wait for another process: `attrib verify` writes for milliseconds, a capture holds the lock for minutes."""


class Results:
    """The results of one capture.

    A capture writes a new manifest without the results of an older one: a result that the manifest lists belongs to this
    capture.
    """

    def __init__(self, root: Path, manifest: Manifest, found: Iterable[ExperimentResult]) -> None:
        self._root = root
        self._created = manifest.created
        self._found = {result.id: result for result in found}

    @property
    def all(self) -> tuple[ExperimentResult, ...]:
        """All results."""
        return tuple(self._found.values())

    def find(self, name: str) -> ExperimentResult | None:
        """The result of one experiment; None where there is none."""
        return self._found.get(name)

    def write(self, result: ExperimentResult) -> ExperimentResult:
        """Write a result: its file first, then the manifest, so that whatever the manifest lists exists."""
        path = file_of(result.id)
        check_inside(self._root, path)
        with self._lock() as (directory, manifest):
            directory.write(path, msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
            if result.snippet:
                check_inside(self._root, SNIPPET)
                directory.write(SNIPPET, result.snippet.encode())
            directory.write_manifest(manifest)
        self._found[result.id] = result
        return result

    def remove(self, name: str) -> None:
        """Remove a result that no longer applies."""
        if self._found.pop(name, None) is not None:
            path = file_of(name)
            check_inside(self._root, path)
            with self._lock() as (directory, manifest):
                directory.remove(path, manifest)

    @contextmanager
    def _lock(self) -> Iterator[tuple[TraceWriter, Manifest]]:
        """Lock the directory and read its manifest, so that no result of another process is lost."""
        lock = lock_directory(self._root, patience_s=_PATIENCE_S)
        try:
            # Another process may have added a result meanwhile.
            manifest = read_manifest(self._root / MANIFEST)
            if manifest.created != self._created:
                raise AttribError(
                    f"{self._root} was captured anew meanwhile, and the results belong to the old capture",
                    hint=f"attrib verify {self._root}",
                )
            yield TraceWriter(self._root, existing=manifest), manifest
        finally:
            lock.release()


def file_of(name: str) -> str:
    """The file of an experiment: its id, without what could lead elsewhere."""
    safe = _UNSAFE.sub("-", name).strip("-.")[:_LONGEST]
    if safe != name:
        safe = f"{safe or 'experiment'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return f"{VERIFY_FOLDER}/{safe}.json"
