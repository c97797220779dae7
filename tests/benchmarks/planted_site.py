"""Where the benchmark keeps what it measured, so that it can go on where it was stopped, and the options of each pair."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from plants.graphs import write_planted
from plants.plant import Plant

from attrib.capture import CaptureOptions, capture
from attrib.errors import UsageError

MODULES = Path(__file__).parent / "plants" / "modules.py"
EXPORTED = "exported.onnx"

LAUNCHES = 12
"""Launches of a capture where those of a user's protocol do not settle what is attributed: their interval is some four times
as narrow as that of three."""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """The BERT that is planted in, and how often each pair is captured, by the protocol that a user gets."""

    layers: int = 2
    seq_len: int = 128
    batch_size: int = 1
    captures: int = 1

    def apply(self) -> None:
        """Tell the factories, which read the environment."""
        for name in ("layers", "seq_len", "batch_size"):
            os.environ[f"PLANTED_{name.upper()}"] = str(getattr(self, name))


@dataclass(frozen=True, slots=True)
class Site:
    """One folder of results.

    Attributes:
        root: `graphs/`, `captures/`, `truth/` and `aa/` are in it.
        size: What everything in it was measured with.
        neighbor: What disturbs the captures, one of `neighbour_loads.LOADS`; they and their truths lie in folders of their
            own then.
    """

    root: Path
    size: Size
    neighbor: str = ""

    @classmethod
    def opened(cls, root: Path, size: Size, neighbor: str = "") -> "Site":
        """The folder, made if it is new.

        Raises:
            UsageError: It holds results of another size.
        """
        file = root / "size.json"
        if file.is_file() and msgspec.json.decode(file.read_bytes(), type=Size) != size:
            raise UsageError(
                f"{root} was measured with {file.read_text()}",
                hint="--out with another folder, or the same --layers, --seq-len, --batch-size and --captures",
            )
        root.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.encode(size))
        size.apply()
        return cls(root, size, neighbor)

    @classmethod
    def reopened(cls, root: Path, neighbor: str = "") -> "Site":
        """A folder that holds results, whatever their size.

        Raises:
            UsageError: It holds none.
        """
        file = root / "size.json"
        if not file.is_file():
            raise UsageError(f"{root} holds no results")
        return cls.opened(root, msgspec.json.decode(file.read_bytes(), type=Size), neighbor)

    # What was measured

    def captures_of(self, name: str) -> list[Path]:
        """The trace directories of a planted pair."""
        return [self._captures / f"{name}-{number:02}" for number in range(self.size.captures)]

    def longer_of(self, name: str) -> Path:
        """The one with more launches."""
        return self._captures / f"{name}-longer"

    @property
    def _captures(self) -> Path:
        return self._of_run("captures")

    def _of_run(self, name: str) -> Path:
        return self.root / (name + f"-{self.neighbor}" * bool(self.neighbor))

    def truth_of(self, plant: Plant) -> Path:
        """What the plant costs, measured plainly beside the captures."""
        return self._of_run("truth") / f"{plant.name}.json"

    def unplanted(self, baseline: str, *, longer: bool = False) -> list[Path]:
        """Captures of pairs that nothing was planted in, with as many launches as a user gets, or with more."""
        return sorted(self._captures.glob(f"unplanted-{baseline}{'-longer' * longer}-[0-9][0-9]"))

    def next_unplanted(self, baseline: str, *, longer: bool = False) -> Path:
        """Where another one goes."""
        number = len(self.unplanted(baseline, longer=longer))
        return self._captures / f"unplanted-{baseline}{'-longer' * longer}-{number:02}"

    # Graphs

    def graph(self, factory: str) -> Path:
        """The graph exported from a factory, weights beside it; exported when it is first asked for."""
        folder = self.root / "graphs" / factory
        if not (folder / EXPORTED).is_file():
            quick = {
                "save_models": folder,
                "rounds": 2,
                "launches": 1,
                "warmup": 1,
                "iterations": 1,
                "force": True,
            }
            scratch = self.root / "scratch"
            capture(self._options(factory, None, output=scratch, **quick))
            shutil.rmtree(scratch)
        return folder / EXPORTED

    def planted_graph(self, plant: Plant) -> Path:
        """The graph that the planted pair runs, beside the one that it was made from."""
        exported = self.graph("plain" if plant.factory else plant.baseline)
        if plant.edit is None:
            return exported
        return write_planted(plant, exported, exported.with_name(f"{plant.name}.onnx"))

    # Options

    def planted(self, plant: Plant, **more: Any) -> CaptureOptions:
        """Options of the planted pair."""
        factory = plant.factory or plant.baseline
        return self._options(factory, self.planted_graph(plant), **(dict(plant.options) | more))

    def baseline(self, factory: str, **more: Any) -> CaptureOptions:
        """Options of the pair that it is compared with."""
        return self._options(factory, self.graph(factory), **more)

    def against_itself(self, engine: str, output: Path) -> CaptureOptions:
        """Options of an A/A capture."""
        graph = self.graph("plain") if engine == "onnxruntime" else None
        return self._options("plain", graph, against_itself=engine, output=output, force=True)

    def _options(
        self, factory: str, graph: Path | None, *, longer: bool = False, **more: Any
    ) -> CaptureOptions:
        if longer:
            more |= {"launches": LAUNCHES, "rounds": 4 * LAUNCHES, "max_time": 60.0 * LAUNCHES}
        return CaptureOptions(model=f"{MODULES}:{factory}", onnx=graph, **more)
