"""`manifest.json` from disk: decoded strictly, because it decides which other files are read."""

import os
import stat
from collections import Counter
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from attrib.errors import AttribError
from attrib.model.manifest import FORMAT_VERSION, Manifest

MANIFEST = "manifest.json"
LARGEST = 1 << 22
"""Bytes of a manifest; a capture with hundreds of experiments writes a twentieth of it."""

MOST_FILES = 10_000
"""Files that a manifest may list."""

LONGEST_PATH = 1_000
"""Characters of a path in a manifest."""

LARGEST_NUMBER = 1 << 63
"""No figure in a manifest is larger: counts, bytes and nanoseconds all fit in 64 bits."""

INTACT_COPY = "capture again with `attrib profile`, or get an intact copy of the directory"


class _Version(msgspec.Struct):
    format_version: int = FORMAT_VERSION


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        AttribError: It cannot be read, is not JSON, has a wrong type or an impossible number somewhere, is of a
            newer format version, lists too many files or one twice, or names a path outside its directory.
    """
    check_inside(path.parent, path.name)
    data = read_bounded(path, LARGEST, "a manifest of attrib")
    try:
        version = msgspec.json.decode(data, type=_Version).format_version
        if version > FORMAT_VERSION:
            raise AttribError(
                f"{path}: written by a newer attrib (format {version}); this one reads up to {FORMAT_VERSION}",
                hint="upgrade attrib",
            )
        manifest = msgspec.json.decode(data, type=Manifest)
        _check_numbers(path, msgspec.json.decode(data))
    except msgspec.ValidationError as error:
        raise AttribError(f"{path}: not a manifest of attrib: {error}", hint=INTACT_COPY) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AttribError(f"{path}: not valid JSON: {error}", hint=INTACT_COPY) from error
    names = [entry.path for entry in manifest.files]
    if len(names) > MOST_FILES:
        problem = f"lists {len(names):,} files, more than {MOST_FILES:,}: not a manifest of attrib"
        raise AttribError(f"{path}: {problem}", hint=INTACT_COPY)
    for name, count in Counter(names).items():
        if count > 1:  # which entry would count?
            raise AttribError(f"{path}: lists a file twice: {name[:LONGEST_PATH]!r}", hint=INTACT_COPY)
    for name in dict.fromkeys((*names, *(side.folder for side in manifest.sides.values()))):
        check_inside(path.parent, name)
    return manifest


def _check_numbers(path: Path, manifest: Any) -> None:
    """Refuse a number beyond what a 64-bit count can hold: arithmetic on it would overflow somewhere."""
    waiting: list[tuple[str, Any]] = [("$", manifest)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{place}.{key[:40]}", item) for key, item in value.items()]
        elif isinstance(value, list):
            waiting += [(place, item) for item in value]
        elif isinstance(value, int | float) and not -LARGEST_NUMBER <= value < LARGEST_NUMBER:
            raise AttribError(
                f"{path}: not a manifest of attrib: a number beyond 64 bits at {place[:200]}",
                hint=INTACT_COPY,
            )


def check_inside(root: Path, name: str) -> Path:
    """The file that a relative name stands for.

    Raises:
        AttribError: The name is absolute, goes up, is endless, or leads out of the directory through a symbolic
            link.
    """
    if len(name) > LONGEST_PATH:
        raise AttribError(
            f"{root / MANIFEST}: names a path of {len(name):,} characters: {name[:40]!r}...",
            hint="do not use this directory: attrib never writes such a path",
        )
    parts = PurePosixPath(name).parts
    odd = "\\" in name or ":" in name or not name.isprintable()
    if odd or name.startswith("/") or ".." in parts:
        raise _outside_error(root, name)
    path = root.joinpath(*parts)
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:  # a symbolic link that leads to itself
        raise _outside_error(root, name) from error
    if not inside:
        raise _outside_error(root, name)
    return path


def _outside_error(root: Path, name: str) -> AttribError:
    return AttribError(
        f"{root / MANIFEST}: names a path outside its directory: {name!r}",
        hint="do not use this directory: attrib never writes such a path",
    )


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading; a pipe or a device could keep the reader waiting for ever.

    Raises:
        OSError: It cannot be opened.
        AttribError: It is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise AttribError(f"{path}: cannot be read: not a regular file", hint=INTACT_COPY)
    return os.fdopen(descriptor, "rb")


def read_bounded(path: Path, limit: int, what: str) -> bytes:
    """The bytes of a regular file inside a trace directory.

    Args:
        path: The file.
        limit: The largest size that it may have.
        what: What it should be, for the message, e.g. `a manifest of attrib`.

    Raises:
        AttribError: It cannot be read, is no regular file, or is larger.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(size) if size <= limit else b""
    except OSError as error:
        raise AttribError(
            f"{path}: cannot be read: {error.strerror}", hint="check its permissions"
        ) from error
    if size > limit:
        raise AttribError(f"{path}: larger than {limit >> 20} MiB: not {what}", hint=INTACT_COPY)
    return data
