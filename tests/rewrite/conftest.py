"""The exporter's process, which the tests of the rewrites share."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from attrib.capture.workers.messages import Export, Exported, Recipe
from attrib.capture.workers.process import Worker, worker_environment
from attrib.capture.workload.inputs import save_inputs
from tests.capture.factories import write_factories


@dataclass(frozen=True)
class Exporter:
    """A running worker, and a BERT of two layers for it.

    Attributes:
        worker: The process that exports and rewrites.
        folder: Holds the model's factory and `inputs.npz`.
        recipe: How the worker builds the model.
    """

    worker: Worker
    folder: Path
    recipe: Recipe

    def export(self, exporter: str, folder: Path) -> Exported:
        """Write the model into a folder, beside its inputs."""
        (folder / "inputs.npz").write_bytes((self.folder / "inputs.npz").read_bytes())
        command = Export(recipe=self.recipe, exporter=exporter, opset=None, folder=str(folder))
        return self.worker.ask(command, Exported)


@pytest.fixture(scope="session")
def export_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """The exporter's worker, started once."""
    folder = tmp_path_factory.mktemp("exporter")
    (folder / "private").mkdir()
    recipe = Recipe(
        kind="factory", location=f"{write_factories(folder)}:bert", task="", batch_size=1, seq_len=32, device="cpu",
        precision="fp32", attention="eager", seed=0, padding=0.0,
    )  # fmt: skip
    ids = np.random.default_rng(0).integers(5, 500, (1, 32))
    save_inputs(folder / "inputs.npz", {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    worker = Worker("exporter", worker_environment(folder / "private", offline=True))
    try:
        worker.ready()
        yield Exporter(worker, folder, recipe)
    finally:
        worker.stop()
