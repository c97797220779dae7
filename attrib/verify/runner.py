"""Running jobs one after the other: each result is written at once, and none that fails stops the rest."""

import os
import statistics
import time
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from attrib.capture.config.progress import Progress
from attrib.capture.storage.interrupts import Interrupts
from attrib.capture.workers.process import WorkerTimeout
from attrib.errors import AttribError
from attrib.model.experiment import ExperimentResult, ExperimentState
from attrib.scrub import scrub
from attrib.verify.measuring import Job
from attrib.verify.results import Results

_MINUTE = 60
_LACKING = ("No module named", "this onnxruntime has no ", "is not installed")
"""In a reason: something is missing on this machine, and nothing is wrong with the change."""


class VerifyInterrupted(KeyboardInterrupt):
    """The user stopped the run.

    Attributes:
        message: One line: what is kept.
        hint: How to go on.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Runner:
    """Measures what is due, and keeps what was measured before."""

    def __init__(
        self,
        results: Results,
        progress: Progress,
        interrupts: Interrupts,
        *,
        prepare: Callable[[], object],
        again: bool = False,
    ) -> None:
        """Prepare a run.

        Args:
            results: Where results are kept.
            progress: Is told which experiment runs.
            interrupts: Hold a signal back while a result is written.
            prepare: Starts what measures. Called before anything is measured; where it fails, the whole run does.
            again: Measure what has a result, too.
        """
        self.results = results
        self.progress = progress
        self.measured: set[str] = set()
        self._interrupts = interrupts
        self._prepare = prepare
        self._again = again

    def run(self, jobs: Sequence[Job]) -> tuple[ExperimentResult, ...]:
        """The result of every job, in their order.

        Raises:
            VerifyInterrupted: Ctrl-C or SIGTERM; results so far are kept.
            AttribError: Nothing can be measured, or a result cannot be written.
        """
        due = [job for job in jobs if self._is_due(job)]
        found: list[ExperimentResult] = []
        seconds: list[float] = []
        for job in jobs:
            if job not in due:
                found.append(self._kept(job))
                continue
            self.progress.phase(_label(job.row.title, len(due), seconds))
            begin = time.monotonic()
            found.append(self._one(job))
            seconds.append(time.monotonic() - begin)
        return tuple(found)

    def keep(self, result: ExperimentResult) -> ExperimentResult:
        """Write a result; a signal waits until it is whole."""
        with self._interrupts.deferred():
            self.measured.add(result.id)
            return self.results.write(result)

    def interruption(self) -> VerifyInterrupted:
        """What an interrupted run says."""
        done = sum(result.state == "measured" for result in self.results.all)
        message = f"interrupted; what was measured is kept ({done} experiment{'' if done == 1 else 's'})"
        return VerifyInterrupted(message, "the same command again goes on with the rest")

    def _is_due(self, job: Job) -> bool:
        stored = self.results.find(job.row.id)
        if stored is None or (self._again and job.measure is not None):
            return True
        told = (stored.state, stored.flags)
        # The reason may be worded anew; only what was not measured is looked at again.
        return told != (job.row.state, job.row.flags) or (
            job.measure is None and stored.reason != job.row.reason
        )

    def _kept(self, job: Job) -> ExperimentResult:
        stored = self.results.find(job.row.id)
        assert stored is not None  # noqa: S101  (only what has a result is not due)
        new = tuple(sorted({*stored.findings, *job.row.findings}))
        return stored if new == stored.findings else self.results.write(replace(stored, findings=new))

    def _one(self, job: Job) -> ExperimentResult:
        try:
            result = self.keep(self._outcome(job))
            self._drop_family(job)
        except KeyboardInterrupt as stop:
            with self._interrupts.deferred(forget=True):
                self._note_interruption(job)
            raise self.interruption() from stop
        return result

    def _drop_family(self, job: Job) -> None:
        """An earlier run may have noted that the family has no variants here."""
        if job.family:
            with self._interrupts.deferred():
                self.results.remove(job.family)

    def _note_interruption(self, job: Job) -> None:
        """What was measured earlier is worth more than the news that it was not measured again."""
        stored = self.results.find(job.row.id)
        if job.row.id not in self.measured and (stored is None or stored.state != "measured"):
            self.results.write(_ended(job.row, "interrupted", "stopped while it was measured"))

    def _outcome(self, job: Job) -> ExperimentResult:
        if job.measure is None:
            return _ended(job.row, job.row.state, job.row.reason)
        self._prepare()
        try:
            return job.measure()
        except WorkerTimeout as error:
            return _ended(job.row, "timed_out", str(error))
        except AttribError as error:
            lacking = any(sign in str(error) for sign in _LACKING)
            return _ended(job.row, "unavailable" if lacking else "failed", _with_hint(error))
        except Exception as error:
            if os.environ.get("ATTRIB_DEBUG"):
                raise
            return _ended(job.row, "failed", f"this is a bug in attrib: {type(error).__name__}: {error}")


def _ended(row: ExperimentResult, state: ExperimentState, reason: str) -> ExperimentResult:
    return replace(row, state=state, reason=scrub(" ".join(reason.split())))


def _label(title: str, count: int, seconds: Sequence[float]) -> str:
    """`2 of 9: Export with opset 23, about 4 min left`, from the seconds that those before took."""
    text = f"{len(seconds) + 1} of {count}: {title}"
    if not seconds:
        return text
    # The first one starts the bench, and one that compiles takes minutes: most take about the median.
    left = statistics.median(seconds) * (count - len(seconds))
    return (
        f"{text}, about " + (f"{left / _MINUTE:.0f} min" if left > 2 * _MINUTE else f"{left:.0f} s") + " left"
    )


def _with_hint(error: AttribError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)
