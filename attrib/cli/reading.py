"""How far the reading of a large trace is, on the terminal."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from attrib.cli.command import is_quiet

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from attrib.traces.io.source import Progress

SHOWN_AFTER = 1.0
"""Seconds after which a reader wonders; most traces are read by then."""

SHOWN_EVERY = 0.1


@contextmanager
def reading_progress() -> "Iterator[Progress | None]":
    """What to hand to a reader of traces; None with `-q`, and where stderr is no terminal: pipes and logs stay clean."""
    if is_quiet() or not sys.stderr.isatty():
        yield None
        return
    shown = _LateBar()
    try:
        yield shown.update
    finally:
        shown.close()


class _LateBar:
    """A bar on stderr that appears late and leaves nothing behind."""

    def __init__(self) -> None:
        self._next = time.monotonic() + SHOWN_AFTER
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def update(self, done: int, size: int | None) -> None:
        """Show that so many bytes of the file have been read."""
        now = time.monotonic()
        if now < self._next and (done != size or self._bar is None):
            return
        if self._bar is None or self._task is None:
            self._bar, self._task = self._start(size)
        self._next = now + SHOWN_EVERY
        self._bar.update(self._task, completed=done, total=size, refresh=True)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

    @staticmethod
    def _start(size: int | None) -> "tuple[Bar, TaskID]":
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        bar = Bar(
            TextColumn("reading"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            auto_refresh=False,
        )
        bar.start()
        return bar, bar.add_task("", total=size)
