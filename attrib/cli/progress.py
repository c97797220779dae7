"""Progress of a capture on stderr: a live line at a terminal, one plain line per phase anywhere else."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from attrib.capture.config.progress import NoProgress, Progress
from attrib.cli.command import is_quiet, is_verbose
from attrib.report.view.text import one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars

PHASES: dict[str, str] = {
    "load": "Loading the model",
    "export": "Exporting to ONNX",
    "sessions": "Creating the sessions",
    "warm-up": "Warming up",
    "measure": "Measuring, plain and profiled",
    "outputs": "Comparing the outputs",
    "calibrate": "Calibrating the profilers",
    "values": "Comparing what both compute",
    "write": "Writing the traces",
    "report": "Explaining the difference",
}
"""Phase -> what the user reads."""


SAID_EVERY = 30.0
"""Seconds after which the reader of a log wonders."""


class OnlyWarnings(NoProgress):
    """What `-q` leaves of the progress."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def warn(self, message: str) -> None:
        """Print a warning."""
        print(f"attrib: warning: {one_line(message)}", file=self._stream, flush=True)


class PlainProgress:
    """Progress for logs and pipes: one line per phase, and one every half a minute of a long one."""

    def __init__(self, stream: TextIO, *, hears_engines: bool = False) -> None:
        self._stream = stream
        self.hears_engines = hears_engines
        self._begin = self._said = time.monotonic()
        self._name = ""

    def phase(self, name: str) -> None:
        """Print which phase begins, and when."""
        self._name = PHASES.get(name, name)
        self._say(self._name)

    def update(self, done: float, seconds_left: float | None = None) -> None:
        """Print how far a long phase is."""
        if time.monotonic() - self._said >= SAID_EVERY:
            left = "" if seconds_left is None else f", at most {seconds_left:.0f} s left"
            self._say(f"{self._name}: {done:.0%}{left}")

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        self._print(f"[{self._said - self._begin:5.1f} s] {text}")

    def warn(self, message: str) -> None:
        """Print a warning on a line of its own."""
        self._print(f"attrib: warning: {one_line(message)}")

    def hear(self, engine: str, line: str) -> None:
        """Print what an engine said, with its name."""
        self._print(f"{engine}: {one_line(line)}")

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class LiveProgress:
    """Progress for a terminal: finished phases with their times, and a bar with the time left for the current one."""

    def __init__(self, console: "Console", bars: "Bars", *, hears_engines: bool = False) -> None:
        self._console = console
        self._bars = bars
        self.hears_engines = hears_engines
        self._task: int | None = None
        self._name = ""
        self._begin = 0.0

    def phase(self, name: str) -> None:
        """Turn the ended phase into a line, and show the new one with a bar."""
        self.finish()
        self._name, self._begin = PHASES.get(name, name), time.monotonic()
        self._task = int(self._bars.add_task(self._name, total=None, left=""))

    def update(self, done: float, seconds_left: float | None = None) -> None:
        """Move the bar."""
        if self._task is not None:
            left = "" if seconds_left is None else f"{seconds_left:.0f} s left"
            self._bars.update(self._task, total=1.0, completed=done, left=left)  # type: ignore[arg-type]

    def warn(self, message: str) -> None:
        """Print a warning above the bar."""
        from rich.text import Text

        self._console.print(Text(f"warning: {one_line(message)}", style="yellow"))

    def hear(self, engine: str, line: str) -> None:
        """Print what an engine said above the bar, with its name."""
        from rich.text import Text

        self._console.print(Text(f"{engine}: {one_line(line)}", style="dim"))

    def finish(self) -> None:
        """End the phase that is shown: its bar becomes a line with its time."""
        if self._task is None:
            return
        from rich.text import Text

        self._bars.remove_task(self._task)  # type: ignore[arg-type]
        seconds = time.monotonic() - self._begin
        self._console.print(Text(f"{self._name:32} {seconds:6.1f} s", style="dim"))
        self._task = None


@contextmanager
def show_progress() -> Iterator[Progress]:
    """Show progress in the form that fits stderr: live at a terminal, plain lines elsewhere; with `-q` only warnings."""
    if is_quiet() or not sys.stderr.isatty():
        yield (
            OnlyWarnings(sys.stderr) if is_quiet() else PlainProgress(sys.stderr, hears_engines=is_verbose())
        )
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", markup=False),
    )
    # Drawing takes processor time from the engines: twice a second is enough.
    with Bars(*columns, console=console, transient=True, refresh_per_second=2) as bars:
        live = LiveProgress(console, bars, hears_engines=is_verbose())
        try:
            yield live
        finally:
            live.finish()
