"""Ctrl-C and SIGTERM during a capture: both stop it in good order, and neither while something must be whole."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """While this is entered, the first of either signal raises KeyboardInterrupt in the main thread.

    Later ones do nothing: the capture is ending already, and what it still does is bounded in time.
    """

    def __init__(self) -> None:
        self._deferred = 0
        self._pending = False
        self._raised = False
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
        if self._deferred:
            self._pending = True
        elif not self._raised:
            self._raised = True
            raise KeyboardInterrupt

    @contextmanager
    def defer(self, *, forget: bool = False) -> Iterator[None]:
        """Hold interruptions back until the end of the block; with `forget`, drop them (things are ending anyway)."""
        self._deferred += 1
        try:
            yield
        finally:
            self._deferred -= 1
        if self._pending and not self._deferred:
            self._pending = False
            if not (forget or self._raised):
                self._raised = True
                raise KeyboardInterrupt
