"""The worker processes of one capture or bench, and the temporary folder that goes with them."""

import sys
from collections.abc import Mapping
from pathlib import Path

from attrib.capture.config.progress import Progress
from attrib.capture.storage.interrupts import Interrupts
from attrib.capture.storage.temporary import TemporaryFolder
from attrib.capture.workers.process import Worker, stop_all, worker_environment
from attrib.capture.workers.silence import SPEAKS
from attrib.capture.workload.sources import Source

RUNTIME = "onnxruntime"
"""The engine that `--ort-python` moves; PyTorch, the exporter and what edits graphs stay in this interpreter."""


class Workers:
    """Worker processes by name, each with a folder of its own in one temporary folder.

    Models of the kinds that lie on this disk are loaded offline.

    Attributes:
        temporary: That folder.
    """

    def __init__(
        self,
        source: Source,
        interrupts: Interrupts,
        *,
        timeout_s: float | None = None,
        ort_python: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            source: The model.
            interrupts: What holds an interruption back while a process starts.
            timeout_s: The longest wait for a worker.
            ort_python: The interpreter that runs ONNX Runtime.
            progress: Who may want to hear what the engines print.
        """
        self._folder = TemporaryFolder()
        self.temporary = self._folder.path
        self._interrupts = interrupts
        self._timeout_s = timeout_s
        self._interpreters = {RUNTIME: str(ort_python)} if ort_python else {}
        self._running: dict[str, Worker] = {}
        offline = source.kind in ("configuration", "directory")
        self._environment = worker_environment(self.temporary, offline=offline)
        self._hear = progress.hear if progress is not None and progress.hears_engines else None
        if self._hear is not None:
            self._environment[SPEAKS] = "1"

    def start(
        self,
        name: str,
        engine: str,
        variables: Mapping[str, str] | None = None,
        *,
        ort_python: Path | None = None,
    ) -> Worker:
        """Start a process; an interruption waits until it can be found and stopped.

        Args:
            name: What it is called here.
            engine: What it runs.
            variables: What it gets in its environment beside what every worker has.
            ort_python: The interpreter of a worker of ONNX Runtime, where it is another than the others'.
        """
        self.folder(name).mkdir(exist_ok=True)
        interpreters = self._interpreters | ({RUNTIME: str(ort_python)} if ort_python else {})
        interpreter = interpreters.get(engine, sys.executable)
        with self._interrupts.defer():
            environment = self._environment | dict(variables or {})
            worker = Worker(engine, environment, interpreter, timeout_s=self._timeout_s, hear=self._hear)
            self._running[name] = worker
            self._folder.note_started(worker.pid)
        return worker

    def folder(self, name: str) -> Path:
        """Where a worker writes its files; it outlives the worker."""
        return self.temporary / name

    def __getitem__(self, name: str) -> Worker:
        return self._running[name]

    def __contains__(self, name: object) -> bool:
        return name in self._running

    def stop(self, name: str) -> None:
        """End a worker; nothing where none of that name runs."""
        with self._interrupts.defer():
            worker = self._running.pop(name, None)
            if worker is not None:
                self._folder.note_stopping(worker.pid)
                worker.stop()

    def close(self) -> None:
        """End all of them and remove the temporary folder; can be called twice."""
        stop_all(self._running.values())
        for worker in self._running.values():
            self._folder.note_stopping(worker.pid)
        self._folder.remove()
