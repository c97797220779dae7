"""What a capture tells whoever watches it; `attrib.cli.progress` draws it."""

from typing import Protocol


class Progress(Protocol):
    """A capture's progress: phases one after another, each with a share that is done."""

    def phase(self, name: str) -> None:
        """A phase begins, and the one before it has ended."""
        ...

    def update(self, done: float, seconds_left: float | None = None) -> None:
        """How much of the phase is done, 0 to 1, and how long the rest takes where that is known."""
        ...

    def warn(self, message: str) -> None:
        """Something that the reader of the result should know."""
        ...


class NoProgress:
    """Tells nobody."""

    def phase(self, name: str) -> None:
        """Ignored."""

    def update(self, done: float, seconds_left: float | None = None) -> None:
        """Ignored."""

    def warn(self, message: str) -> None:
        """Ignored."""
