"""How a capture shows its progress; `attrib.cli.progress` draws it."""

from typing import Protocol


class Progress(Protocol):
    """A capture's progress: phases one after another, each with a share that is done.

    Attributes:
        hears_engines: Who watches wants to see what the engines print.
    """

    hears_engines: bool

    def phase(self, name: str) -> None:
        """Begin a phase; the one before it has ended."""
        ...

    def update(self, done: float, seconds_left: float | None = None) -> None:
        """Show how much of the phase is done, 0 to 1, and how long the rest takes where that is known."""
        ...

    def warn(self, message: str) -> None:
        """Show what the reader of the result should know."""
        ...

    def hear(self, engine: str, line: str) -> None:
        """Show a line that an engine's process printed; called from a thread of its own."""
        ...


class NoProgress:
    """A progress that is shown nowhere."""

    hears_engines = False

    def phase(self, name: str) -> None:
        """Do nothing."""

    def update(self, done: float, seconds_left: float | None = None) -> None:
        """Do nothing."""

    def warn(self, message: str) -> None:
        """Do nothing."""

    def hear(self, engine: str, line: str) -> None:
        """Do nothing."""
