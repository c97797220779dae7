"""Making the graphs that ONNX Runtime opens: exported or the user's own, and rewritten."""

from pathlib import Path

from attrib.capture.commands import export_command, optimize_command
from attrib.capture.graph_chain import GraphChain, exported_chain, user_chain
from attrib.capture.messages import Exported, Optimized
from attrib.capture.options import CaptureOptions
from attrib.capture.sources import Source
from attrib.capture.workers import Workers

EXPORTER = "exporter"


class GraphMaker:
    """The exporter's worker and what it is asked for; it runs from `begin` to `end`."""

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

    def first(self, options: CaptureOptions, user_opset: int) -> tuple[GraphChain, str]:
        """The graph that `begin` asked for, or the user's, and the fingerprint of the weights; empty for the user's.

        Raises:
            WorkerError: The model cannot be exported.
        """
        if EXPORTER in self._workers:
            self._wait()
        if options.onnx is not None:
            return user_chain(options.onnx, user_opset), ""
        exported = self._workers[EXPORTER].receive(Exported)
        return exported_chain(options, exported), exported.fingerprint

    def _wait(self) -> None:
        """Until the worker has imported what it needs; it says so once."""
        if not self._is_ready:
            self._workers[EXPORTER].ready()
            self._is_ready = True

    def rewritten(
        self, options: CaptureOptions, chain: GraphChain, inputs: Path, folder: Path | None = None
    ) -> Optimized:
        """What the rewrites of `--optimize` make of the last graph of a chain.

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
