"""The inputs of a bench: made once, from the original's options, and the same for everything that is compared."""

import shutil
from pathlib import Path

import msgspec
import numpy as np

from attrib.capture.commands import load_command, recipe_of
from attrib.capture.differences import TOLERANCES
from attrib.capture.environment import thread_count
from attrib.capture.inputs import Arrays, inputs_hash, load_inputs
from attrib.capture.messages import Loaded, Recipe
from attrib.capture.options import CaptureOptions
from attrib.capture.sources import Source
from attrib.capture.workers import Workers
from attrib.errors import AttribError

_LOADER = "loader"


class BenchInputs:
    """Where the inputs are; a PyTorch worker makes them when they are first needed."""

    def __init__(self, workers: Workers, original: CaptureOptions, source: Source) -> None:
        self._workers = workers
        self._original = original
        self._source = source
        self._made: Path | None = None

    @property
    def file(self) -> Path:
        """The `.npz`.

        Raises:
            WorkerError: The model cannot be built.
        """
        return self._made or self._make()

    @property
    def sha256(self) -> str:
        """Hash of the inputs, as a manifest has it."""
        return inputs_hash(load_inputs(self.file))

    def _make(self) -> Path:
        threads = thread_count(self._original.threads)
        command = load_command(self._original, self._source, threads, str(self._workers.folder(_LOADER)))
        command = msgspec.structs.replace(command, torch_mode="eager", autocast=None)
        worker = self._workers.start(_LOADER, "torch")
        try:
            worker.ready()
            return self._keep(worker.ask(command, Loaded))
        finally:
            self._workers.stop(_LOADER)

    def _keep(self, loaded: Loaded) -> Path:
        self._made = self._workers.temporary / "inputs.npz"
        shutil.copyfile(loaded.inputs_file, self._made)
        return self._made

    def accept(self, loaded: Loaded, recipe: Recipe) -> None:
        """A PyTorch worker made its own inputs: they are taken where there are none yet, and must be the same otherwise.

        Raises:
            AttribError: They are not.
        """
        if self._made is None and recipe == recipe_of(self._original, self._source):
            self._keep(loaded)
        elif not _same(load_inputs(self.file), load_inputs(Path(loaded.inputs_file))):
            raise AttribError(
                "the model got other inputs than the original",
                hint="seed what the factory draws from, so that each call gives the same inputs",
            )


def _same(first: Arrays, second: Arrays) -> bool:
    """Equal, but for the rounding of another precision."""
    return first.keys() == second.keys() and all(
        array.shape == second[name].shape
        and (
            np.array_equal(array, second[name])
            if array.dtype == second[name].dtype and array.dtype.kind != "f"
            else _near(array, second[name])
        )
        for name, array in first.items()
    )


def _near(first: np.ndarray, second: np.ndarray) -> bool:
    rounding = TOLERANCES["bf16"]
    a, b = first.astype(np.float64), second.astype(np.float64)
    return bool(np.allclose(a, b, rtol=rounding, atol=0.0, equal_nan=True))
