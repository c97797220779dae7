"""Making the graphs that ONNX Runtime opens: exported or the user's own, and rewritten."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from attrib.capture.session.commands import export_command, optimize_command, weights_precision
from attrib.capture.session.worker_pool import Workers
from attrib.capture.storage.writer import explain_os_errors
from attrib.capture.workers.messages import Exported, Optimized
from attrib.capture.workload.sources import Source
from attrib.errors import UsageError
from attrib.model.capture_options import CaptureOptions
from attrib.model.manifest import Rewrite
from attrib.rewrite.files import copy_graph, shapes_of
from attrib.rewrite.registry import lowest_precision


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphChain:
    """What ONNX Runtime opens, and how it came to be.

    Attributes:
        exporter: Who exported it; `file` for the user's own.
        opset: Opset of the first graph.
        files: One file a graph, weights beside it; ONNX Runtime opens the last.
        rewrites: What led from each file to the next.
    """

    exporter: str
    opset: int
    files: tuple[Path, ...]
    rewrites: tuple[Rewrite, ...] = ()

    def with_rewrites(self, optimized: Optimized) -> "GraphChain":
        """The chain with the graphs that the rewrites wrote."""
        files = (*self.files, *map(Path, optimized.models))
        return replace(self, files=files, rewrites=optimized.rewrites)

    def side_facts(self, options: CaptureOptions) -> dict[str, Any]:
        """Fields of the side that runs it in the manifest; `settings` are to be merged with the engine's."""
        return {
            "exporter": self.exporter,
            "opset": self.opset,
            "rewrites": self.rewrites,
            "settings": {
                "precision": lowest_precision(weights_precision(options), options.optimize),
                "shapes": shapes_of(self.files[-1]),
            },
        }


def chain_from_export(options: CaptureOptions, exported: Exported) -> GraphChain:
    """The chain that begins with an exported graph."""
    return GraphChain(exporter=options.exporter, opset=exported.opset, files=(Path(exported.model),))


def chain_from_file(file: Path, opset: int) -> GraphChain:
    """The chain that begins with the user's file."""
    return GraphChain(exporter="file", opset=opset, files=(file,))


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
        with explain_os_errors(target):
            self._folder.mkdir(parents=True, exist_ok=True)
            copy_graph(file, target, origin)


EXPORTER = "exporter"


class GraphMaker:
    """Makes graphs with the exporter's worker, which runs from `begin` to `end`."""

    def __init__(self, workers: Workers, source: Source) -> None:
        self._workers = workers
        self._source = source
        self._is_ready = False

    def begin(self, options: CaptureOptions, folder: Path | None = None) -> None:
        """Start the worker, where these options need one, and let it export while others do their work.

        Args:
            options: What to make.
            folder: Where the exported graph goes; None for the worker's own.
        """
        if options.onnx is None or options.optimize:
            self._start()
        if options.onnx is None:
            command = export_command(options, self._source, str(folder or self._workers.folder(EXPORTER)))
            self._workers[EXPORTER].send(command)

    def _start(self) -> None:
        self._workers.start(EXPORTER, "exporter")
        self._is_ready = False

    def take_first(self, options: CaptureOptions, user_opset: int) -> tuple[GraphChain, str]:
        """Take the graph that `begin` asked for, or the user's, and the fingerprint of the weights; empty for the user's.

        Raises:
            WorkerError: The model cannot be exported.
        """
        if EXPORTER in self._workers:
            self._wait()
        if options.onnx is not None:
            return chain_from_file(options.onnx, user_opset), ""
        exported = self._workers[EXPORTER].receive(Exported)
        return chain_from_export(options, exported), exported.fingerprint

    def _wait(self) -> None:
        """Wait until the worker has imported what it needs; it says so once."""
        if not self._is_ready:
            self._workers[EXPORTER].ready()
            self._is_ready = True

    def rewrite(
        self, options: CaptureOptions, chain: GraphChain, inputs: Path, folder: Path | None = None
    ) -> Optimized:
        """Rewrite the last graph of a chain as `--optimize` says.

        Args:
            options: Their names.
            chain: Where they begin.
            inputs: The workload's inputs.
            folder: Where the graphs go; None for the worker's own.

        Raises:
            WorkerError: A rewrite failed.
        """
        if EXPORTER not in self._workers:
            self._start()
        self._wait()
        target = str(folder or self._workers.folder(EXPORTER))
        command = optimize_command(options, self._source, chain.files[-1], inputs, target)
        return self._workers[EXPORTER].ask(command, Optimized)

    def end(self) -> None:
        """Stop the worker; the graphs stay."""
        self._workers.stop(EXPORTER)
