"""Running the experiments one after the other: each result is written at once, and a failure does not stop the rest."""

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
from attrib.verify.measuring import ExperimentJob
from attrib.verify.results import Results

_MINUTE = 60
_LACKING = ("No module named", "this onnxruntime has no ", "is not installed")
"""Parts of an error that say: something is not installed on this machine, and nothing is wrong with the change."""


class VerifyInterrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM stopped the run.

    Attributes:
        message: One line that says what is kept.
        hint: How to go on.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ExperimentRunner:
    """Runs the experiments that have no valid result, and keeps the results that there are."""

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
            again: Also measure experiments that have a result.
        """
        self.results = results
        self.progress = progress
        self.measured: set[str] = set()
        self._interrupts = interrupts
        self._prepare = prepare
        self._again = again

    def run(self, jobs: Sequence[ExperimentJob]) -> tuple[ExperimentResult, ...]:
        """Run the jobs; their results in their order.

        Raises:
            VerifyInterrupted: Ctrl-C or SIGTERM; results so far are kept.
            AttribError: Nothing can be measured, or a result cannot be written.
        """
        due = [job for job in jobs if self._is_due(job)]
        found: list[ExperimentResult] = []
        seconds: list[float] = []
        for job in jobs:
            stored = self.results.find(job.row.id)
            if stored is not None and job not in due:
                asking = tuple(sorted({*stored.findings, *job.row.findings}))
                if asking != stored.findings:
                    stored = self.results.write(replace(stored, findings=asking))
                found.append(stored)
                continue
            self.progress.phase(_progress_label(job.row.title, len(due), seconds))
            begin = time.monotonic()
            try:
                found.append(self.keep(self._measure(job)))
                if job.family:
                    # An earlier run may have noted that the family has no variants here.
                    with self._interrupts.defer():
                        self.results.remove(job.family)
            except KeyboardInterrupt as stop:
                with self._interrupts.defer(forget=True):
                    # An earlier measurement is worth more than a note that its repetition was stopped.
                    if job.row.id not in self.measured and (stored is None or stored.state != "measured"):
                        self.results.write(
                            _result_of_end(job.row, "interrupted", "stopped while it was measured")
                        )
                raise self.interruption() from stop
            seconds.append(time.monotonic() - begin)
        return tuple(found)

    def keep(self, result: ExperimentResult) -> ExperimentResult:
        """Write a result; a signal waits until it is whole."""
        with self._interrupts.defer():
            self.measured.add(result.id)
            return self.results.write(result)

    def interruption(self) -> VerifyInterrupted:
        """Make the exception that ends an interrupted run."""
        done = sum(result.state == "measured" for result in self.results.all)
        message = f"interrupted; what was measured is kept ({done} experiment{'' if done == 1 else 's'})"
        return VerifyInterrupted(message, "run the same command again to measure the rest")

    def _is_due(self, job: ExperimentJob) -> bool:
        """Whether a job has no result, or one that does not fit it any more."""
        stored = self.results.find(job.row.id)
        if stored is None or (self._again and job.measure is not None):
            return True
        told = (stored.state, stored.flags)
        # The reason may be worded anew; only what was not measured is looked at again.
        return told != (job.row.state, job.row.flags) or (
            job.measure is None and stored.reason != job.row.reason
        )

    def _measure(self, job: ExperimentJob) -> ExperimentResult:
        """Measure a job; an error becomes a result that says what went wrong."""
        if job.measure is None:
            return _result_of_end(job.row, job.row.state, job.row.reason)
        self._prepare()
        try:
            return job.measure()
        except WorkerTimeout as error:
            return _result_of_end(job.row, "timed_out", str(error))
        except AttribError as error:
            lacking = any(sign in str(error) for sign in _LACKING)
            return _result_of_end(
                job.row,
                "unavailable" if lacking else "failed",
                f"{error} ({error.hint})" if error.hint else str(error),
            )
        except Exception as error:
            if os.environ.get("ATTRIB_DEBUG"):
                raise
            return _result_of_end(
                job.row, "failed", f"this is a bug in attrib: {type(error).__name__}: {error}"
            )


def _result_of_end(row: ExperimentResult, state: ExperimentState, reason: str) -> ExperimentResult:
    return replace(row, state=state, reason=scrub(" ".join(reason.split())))


def _progress_label(title: str, count: int, seconds: Sequence[float]) -> str:
    """`2 of 9: Export with opset 23, about 4 min left`, from the seconds that those before took."""
    text = f"{len(seconds) + 1} of {count}: {title}"
    if not seconds:
        return text
    # The first one starts the bench, and one that compiles takes minutes: most take about the median.
    left = statistics.median(seconds) * (count - len(seconds))
    return (
        f"{text}, about " + (f"{left / _MINUTE:.0f} min" if left > 2 * _MINUTE else f"{left:.0f} s") + " left"
    )
