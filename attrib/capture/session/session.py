"""One capture from start to end: its phases one after another, and what is kept whatever happens."""

import contextlib

from attrib.capture.session.context import SessionContext
from attrib.capture.session.launches import note_profile
from attrib.capture.session.phase_graphs import make_graphs, open_sessions
from attrib.capture.session.phase_load import load
from attrib.capture.session.phase_measure import keep_new_steps, measure, warm_up_sides
from attrib.capture.session.phase_values import can_compare, compare_values
from attrib.capture.session.phase_write import calibrate, compare, complete_sides, write_trace, write_traces
from attrib.capture.session.record import workload_before_load
from attrib.capture.system.environment import describe_environment
from attrib.capture.workers.messages import Finish, Written
from attrib.errors import AttribError

_LAST_WORDS_S = 5.0


class Session(SessionContext):
    """One capture: `run` does it, `keep_what_is_complete` saves what an interruption left, `close` cleans up."""

    def run(self) -> None:
        """Run every phase; the manifest is brought up to date after each."""
        self._begin()
        with self.phase("load"):
            load(self)
        with self.phase("export"):
            chain = make_graphs(self)
        with self.phase("sessions"):
            open_sessions(self, chain)
        self.check_some_side()
        if self.checkpoint is None or not self.checkpoint.is_measured:
            with self.phase("warm-up"):
                warm_up_sides(self)
            with self.phase("measure"):
                measure(self, chain)
            with self.phase("write"):
                write_traces(self)
        with self.phase("outputs"):
            compare(self)
        with self.phase("calibrate"):
            calibrate(self)
            complete_sides(self)
        if chain is not None and can_compare(self, chain):
            with self.phase("values"):
                compare_values(self, chain)

    def _begin(self) -> None:
        """Write a manifest from the first moment, so that whatever is killed can be resumed."""
        environment = describe_environment()
        if self.checkpoint:
            self.checkpoint.check_environment(environment)
        self.record.environment = environment
        if self.record.workload is None:
            self.record.workload = workload_before_load(self.options, self.source)
        with self.interrupts.defer():
            self.write_manifest()
        if self.source.note:
            self.warn(self.source.note)

    def keep_what_is_complete(self) -> None:
        """Write what the finished blocks gave after an interruption or a failure, as far as that goes quickly."""
        # The first error is the one to report; what follows from it is not.
        quietly = contextlib.suppress(AttribError, OSError)
        if self.accepted:
            with quietly:
                keep_new_steps(self)
            for runner in self.runners.values():
                if runner.profiled_blocks and runner.role not in self.traces_written:
                    written = runner.worker.last_words(Finish(), Written, _LAST_WORDS_S)
                    with quietly:
                        note_profile(self, runner, written.files if written else ())
                        write_trace(self, runner)
            with quietly:
                self.write_manifest()
        if self.checkpoint is None:
            self.directory.discard_if_empty()

    def close(self) -> None:
        """Stop the workers, remove the temporary folder and let others into the directory; can be called twice."""
        self.workers.close()
        self.directory.release()
