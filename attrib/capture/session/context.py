"""What the phases of one capture share: what it was asked for, its workers, its record, and what is measured so far."""

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrib.capture.config.options import TIMEOUT_S
from attrib.capture.config.progress import Progress
from attrib.capture.export.user_graph import check_user_graph
from attrib.capture.session.capture_request import request_from_options
from attrib.capture.session.checkpoint import Checkpoint
from attrib.capture.session.graphs import GraphMaker, SavedModels
from attrib.capture.session.latencies import Latencies
from attrib.capture.session.measure import BlockRunner
from attrib.capture.session.record import Ending, Record
from attrib.capture.session.sides import Sides
from attrib.capture.session.worker_pool import Workers
from attrib.capture.storage.interrupts import Interrupts
from attrib.capture.storage.writer import TraceWriter, lock_directory
from attrib.capture.system.environment import thread_count
from attrib.capture.system.interpreter import without_paths
from attrib.capture.system.machine import MachineWatch
from attrib.capture.workload.handover import Handover
from attrib.capture.workload.sources import Source
from attrib.errors import AttribError
from attrib.model.capture_options import CaptureOptions
from attrib.model.manifest import Role


class SessionContext:
    """What the phases of one capture share while it runs.

    Attributes:
        checkpoint: What an interrupted capture left, where this one goes on with it.
        accepted: The directory may be written to: this is its own capture, or what it holds is what runs here.
        inputs_file: The inputs of both engines, as soon as the model is loaded.
        fingerprint: Hash of the model's weights, from then on.
        zeros: Epoch time of the zero of the profile that runs, of a side whose processes were started anew.
        began_ns: When this capture began, or went on, nanoseconds since the epoch; every step that it measures is later.
        began: The same on the monotonic clock, seconds.
    """

    def __init__(
        self,
        options: CaptureOptions,
        source: Source,
        output: Path,
        interrupts: Interrupts,
        progress: Progress,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.options = options
        self.source = source
        self.progress = progress
        self.interrupts = interrupts
        self.checkpoint = checkpoint
        self.accepted = checkpoint is None
        self.threads = thread_count(options.threads)
        self.user_opset = check_user_graph(options.onnx) if options.onnx else 0
        folder = Path(options.save_models) if options.save_models else None
        self.saved_models = SavedModels(folder, output, force=options.force) if folder else None
        self.record = checkpoint.record() if checkpoint else Record(command=without_paths(options.command))
        self.record.request = request_from_options(options)
        self.record.begin_launch()
        self.machine = MachineWatch()
        if checkpoint:
            self.directory = checkpoint.directory
        else:
            # Locked before anything is decided by what is in it.
            self.directory = TraceWriter(output, force=options.force)
            self.directory.hold(lock_directory(output))
        self.workers = self._begin_workers()
        self.graphs = GraphMaker(self.workers, source)
        self.runners: dict[Role, BlockRunner] = {}
        self.latencies = checkpoint.latencies if checkpoint else Latencies()
        self.handover: Handover | None = None
        self.sides = Sides(options, self.threads, self.record)
        self.inputs_file = Path()
        self.fingerprint = ""
        self.traces_written: set[Role] = set()
        self.zeros: dict[Role, str] = {}
        self.began_ns, self.began = time.time_ns(), time.monotonic()
        self._ending = Ending()

    def _begin_workers(self) -> Workers:
        """Make the temporary folder; where there is no place for it, a directory that was made for this capture goes."""
        limit = TIMEOUT_S if self.options.timeout is None else self.options.timeout
        try:
            return Workers(
                self.source,
                self.interrupts,
                timeout_s=limit or None,
                ort_python=self.options.ort_python,
                progress=self.progress,
            )
        except AttribError:
            if self.checkpoint is None:
                self.directory.discard_if_empty()
            self.directory.release()
            raise

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Run one phase; the manifest is brought up to date after it, however it ends."""
        self.progress.phase(name)
        try:
            with self.record.phase(name) as ending:
                self._ending = ending
                yield
        except BaseException:
            # What ended the phase is what the user is told, not that the disk is still full.
            with self.interrupts.defer(), contextlib.suppress(AttribError):
                self.write_manifest()
            raise
        with self.interrupts.defer():
            self.write_manifest()

    def write_manifest(self) -> None:
        """Write what is known by now; not over an older capture before there is something to replace it with."""
        manifest = self.record.manifest()
        if manifest is not None and self.accepted and not self.directory.replaces:
            self.directory.write_manifest(manifest)

    def warn(self, message: str) -> None:
        """Warn the user now, and the reader of the report."""
        self.record.warn(message)
        self.progress.warn(message)

    def fail_side(self, role: Role, error: AttribError) -> None:
        """Give a side up: the phase has failed, and the other side goes on."""
        self._ending.fail(error)
        self.sides.fail(role, error)
        self.runners.pop(role, None)
        self.workers.stop(role)

    def check_some_side(self) -> None:
        """Check that a side is left to measure.

        Raises:
            AttribError: There is none.
        """
        if not self.runners:
            errors = [f"{self.sides.title(role)}: {error}" for role, error in self.sides.failures.items()]
            raise AttribError("neither engine could be measured: " + "; ".join(errors))
