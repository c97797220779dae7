"""Compiled templates, kept where Python keeps its compiled modules: compiling them takes longer than filling them.

jinja2 checks that what is kept was made from the same text by the same versions, and compiles anew where it was not. What
Python was told about its own files holds here too: `PYTHONDONTWRITEBYTECODE`, `PYTHONPYCACHEPREFIX`. Where nothing can be
written, nothing is kept.
"""

import os
import sys
import tempfile
from importlib.util import cache_from_source
from pathlib import Path

from jinja2.bccache import Bucket, BytecodeCache

_FOLDER = Path(__file__).parent / "templates"


class CompiledTemplates(BytecodeCache):
    """Keeps the compiled templates of a folder in its `__pycache__`."""

    def __init__(self, folder: Path = _FOLDER) -> None:
        self._folder = folder

    def _path(self, bucket: Bucket) -> Path:
        # The bucket's key is a hash of the template's name: no name leads out of the folder.
        return Path(cache_from_source(str(self._folder / f"{bucket.key}.py")))

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket if something is kept for it."""
        try:
            with self._path(bucket).open("rb") as file:
                bucket.load_bytecode(file)
        except (OSError, EOFError, ValueError, TypeError):
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled, whole or not at all."""
        if sys.dont_write_bytecode:
            return
        path, temporary = self._path(bucket), ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=path.name, dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                bucket.write_bytecode(file)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except OSError:
            if temporary:
                Path(temporary).unlink(missing_ok=True)
