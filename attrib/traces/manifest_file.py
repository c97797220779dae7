"""`manifest.json` from disk: decoded strictly, because every other file is read on its word."""

from pathlib import Path, PurePosixPath

import msgspec

from attrib.errors import AttribError
from attrib.model.manifest import FORMAT_VERSION, Manifest

MANIFEST = "manifest.json"
LARGEST = 1 << 26
INTACT_COPY = "capture again with `attrib profile`, or get an intact copy of the directory"


class _Version(msgspec.Struct):
    format_version: int = FORMAT_VERSION


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        AttribError: It cannot be read, is not JSON, has a wrong type somewhere, is of a newer format version,
        or names
            a path outside its directory.
    """
    data = _read(path)
    try:
        version = msgspec.json.decode(data, type=_Version).format_version
        if version > FORMAT_VERSION:
            raise AttribError(
                f"{path}: written by a newer attrib (format {version}); this one reads up to {FORMAT_VERSION}",
                hint="upgrade attrib",
            )
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.ValidationError as error:
        raise AttribError(f"{path}: not a manifest of attrib: {error}", hint=INTACT_COPY) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AttribError(f"{path}: not valid JSON: {error}", hint=INTACT_COPY) from error
    for name in (
        *(entry.path for entry in manifest.files),
        *(side.folder for side in manifest.sides.values()),
    ):
        check_inside(path.parent, name)
    return manifest


def check_inside(root: Path, name: str) -> Path:
    """The file that a relative name stands for.

    Raises:
        AttribError: The name is absolute, goes up, or leads out of the directory through a symbolic link.
    """
    parts = PurePosixPath(name).parts
    odd = "\\" in name or ":" in name or not name.isprintable()
    if odd or name.startswith("/") or ".." in parts:
        raise _outside(root, name)
    path = root.joinpath(*parts)
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:  # a symbolic link that leads to itself
        raise _outside(root, name) from error
    if not inside:
        raise _outside(root, name)
    return path


def _outside(root: Path, name: str) -> AttribError:
    return AttribError(
        f"{root / MANIFEST}: names a path outside its directory: {name!r}",
        hint="do not use this directory: attrib never writes such a path",
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise AttribError(
            f"{path}: cannot be read: {error.strerror}", hint="check its permissions"
        ) from error
    if len(data) > LARGEST:
        raise AttribError(
            f"{path}: larger than {LARGEST >> 20} MiB: not a manifest of attrib", hint=INTACT_COPY
        )
    return data
