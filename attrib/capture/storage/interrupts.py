"""Ctrl-C and SIGTERM during a capture: both stop it in good order, and neither while something must be whole."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """While this is entered, either signal raises KeyboardInterrupt in the main thread, and goes on to until one arrives.

    Once an interruption is on its way up, later signals do nothing: the capture is ending already, and what it still does is
    bounded in time. One that some library swallowed (imports of large packages do) is raised again: at the next signal, and
    where the next deferred block ends.
    """

    def __init__(self) -> None:
        self._deferred = 0
        self._asked = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                # A shell starts background jobs with SIGINT ignored, and they must stay alive then.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True
        self._raise_once()

    def _raise_once(self) -> None:
        """Raise what was asked for, unless it has to wait, or is being handled."""
        if self._asked and not self._deferred and not _is_ending():
            raise KeyboardInterrupt

    @contextmanager
    def defer(self, *, forget: bool = False) -> Iterator[None]:
        """Hold interruptions back until the end of the block; with `forget`, drop them (things are ending anyway)."""
        self._deferred += 1
        try:
            yield
        finally:
            self._deferred -= 1
        if forget:
            self._asked = False
        self._raise_once()


def _is_ending() -> bool:
    """Whether an interruption is being handled: it, or what came of it, is on its way up."""
    error = sys.exception()
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
