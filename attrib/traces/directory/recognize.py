"""A directory that attrib did not write: traces and models are found by what they hold."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from attrib.errors import AttribError
from attrib.model.manifest import EXPORTED, OPTIMIZED, Role
from attrib.traces.formats.detection import format_of
from attrib.traces.formats.registry import find_format
from attrib.traces.formats.trace_format import TraceFormat
from attrib.traces.io.source import Allowance

MOST_FILES = 500
"""Files looked at: the directory itself and one level below it."""

MOST_LOOKED_AT = 1 << 26
"""Unpacked bytes that are read of all these files together, to see which are traces: of a trace, the first block."""

# ORT declares every domain that it knows in the models that it saves; no exporter declares this one.
_ORT_SAVED = b"com.microsoft.nchwc"
_ENDS = 1 << 16


def recognize(root: Path) -> tuple[dict[Role, Path], dict[str, Path], tuple[str, ...]]:
    """What the directory holds: the trace of each role, the models by name, and what could not be told apart.

    Raises:
        AttribError: There is no trace, or there are several of one role.
    """
    traces: dict[Role, list[Path]] = {"torch": [], "onnxruntime": []}
    titles: dict[Role, str] = {}
    models: dict[str, list[Path]] = {EXPORTED: [], OPTIMIZED: []}
    allowance = Allowance(MOST_LOOKED_AT)
    for path in _files(root):
        if path.suffix.lower() == ".onnx":
            models[OPTIMIZED if _saved_by_ort(path) else EXPORTED].append(path)
        elif (form := _format_or_none(path, allowance)) is not None and form.role is not None:
            traces[form.role].append(path)
            titles[form.role] = form.title
        if allowance.left < 0:
            raise AttribError(
                f"{root}: holds more than {MOST_LOOKED_AT >> 20} MiB of JSON that is no trace, and no manifest.json",
                hint="put the trace and the profile into a directory of their own",
            )
    for role, found in traces.items():
        if len(found) > 1:
            raise AttribError(
                f"{root}: holds {len(found)} {titles[role]}s: {_names(root, found)}",
                hint="leave the one to compare in the directory",
            )
    if not any(traces.values()):
        raise AttribError(
            f"{root}: holds neither a manifest.json nor a trace",
            hint="capture one with `attrib profile`, or put a Kineto trace and an ONNX Runtime profile there",
        )
    ambiguous = tuple(
        f"{name}: {len(found)} candidates, none taken: {_names(root, found)}"
        for name, found in models.items()
        if len(found) > 1
    )
    single = {name: found[0] for name, found in models.items() if len(found) == 1}
    return {role: found[0] for role, found in traces.items() if found}, single, ambiguous


def _files(root: Path) -> Iterator[Path]:
    """Regular files of the directory and one level down, in order of name; links are left alone."""
    seen = 0
    try:
        entries = _entries(root)
        folders = [entry for entry in entries if entry.is_dir() and not entry.is_symlink()]
        for folder in (root, *folders):
            for path in entries if folder is root else _entries(folder):
                seen += 1
                if seen > MOST_FILES:
                    raise AttribError(
                        f"{root}: holds more than {MOST_FILES} files and no manifest.json",
                        hint="put the trace and the profile into a directory of their own",
                    )
                if path.is_file() and not path.is_symlink():
                    yield path
    except OSError as error:
        raise AttribError(
            f"{root}: cannot be read: {error.strerror}", hint="check its permissions"
        ) from error


def _entries(folder: Path) -> list[Path]:
    """The entries of a folder in order of name; one more than may be looked at, where there are more."""
    with os.scandir(folder) as entries:
        return sorted(folder / entry.name for entry in islice(entries, MOST_FILES + 1))


def _format_or_none(path: Path, allowance: Allowance) -> TraceFormat | None:
    """The format of a trace; None for anything else, which the directory may hold too."""
    try:
        return find_format(format_of(path, allowance))
    except AttribError:
        return None


def _saved_by_ort(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_ENDS)
            file.seek(max(path.stat().st_size - _ENDS, 0))
            return _ORT_SAVED in head or _ORT_SAVED in file.read(_ENDS)
    except OSError:
        return False


def _names(root: Path, paths: list[Path]) -> str:
    return ", ".join(path.relative_to(root).as_posix() for path in paths)
