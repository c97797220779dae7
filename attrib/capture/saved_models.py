"""`--save-models`: the graphs of a capture with their weights, in a directory of the user's choice."""

from pathlib import Path

from attrib.capture.rewrites_files import copy_graph
from attrib.capture.writer import explained
from attrib.errors import UsageError


class SavedModels:
    """Copies graphs with their weights into one directory, which is made when the first one is there."""

    def __init__(self, folder: Path, trace_directory: Path, *, force: bool) -> None:
        """Check the directory.

        Raises:
            UsageError: It is in use, or is the trace directory, which is made to be shared and holds no weights.
        """
        if folder.resolve().is_relative_to(trace_directory.resolve()):
            raise UsageError(
                "--save-models cannot be the trace directory: that is made to be shared, and weights stay out of it",
                hint="--save-models with a directory of its own",
            )
        if folder.exists() and not folder.is_dir():
            raise UsageError(
                f"{folder} exists and is not a directory", hint="--save-models with another name"
            )
        if folder.is_dir() and any(folder.iterdir()) and not force:
            raise UsageError(
                f"{folder} exists and is not empty",
                hint="--force to write into it, or --save-models with another name",
            )
        self._folder = folder

    def save(self, file: Path, name: str, origin: Path) -> None:
        """Copy a graph and its weights, which lie beside it or in the folder `origin`."""
        target = self._folder / name
        with explained(target):
            self._folder.mkdir(parents=True, exist_ok=True)
            copy_graph(file, target, origin)
