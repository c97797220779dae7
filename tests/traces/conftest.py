"""Files for the trace readers: real ones recorded by other people, and written ones."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

WriteFile = Callable[..., Path]

DEFAULT_SHARED = Path(__file__).parents[3] / "shared"


@pytest.fixture(scope="session")
def shared_traces() -> Path:
    """The folder of real traces; ATTRIB_SHARED names another `shared` folder."""
    folder = Path(os.environ.get("ATTRIB_SHARED", DEFAULT_SHARED)) / "traces"
    if not folder.is_dir():
        pytest.skip(f"real traces of other people are not part of the project, and not in {folder}")
    return folder


@pytest.fixture
def write(tmp_path: Path) -> WriteFile:
    """Write a trace file, packed where its name says so."""

    def write_file(content: str | bytes, name: str = "trace.json") -> Path:
        data = content.encode() if isinstance(content, str) else content
        path = tmp_path / name
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write_file
