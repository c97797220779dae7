"""Files that survive a power cut whole or not at all, and locks that a crash releases by itself."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows: no directory can be locked there
    _LOCKS = False
else:
    _LOCKS = True

PARTIAL = ".partial"
"""What a file is called until it is complete: readers ignore it, and the next capture removes it."""


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """Write a file under a temporary name, sync it, and let it appear when `publish` is called; see `publish`.

    Where the block ends with an error, nothing is left.
    """
    partial = partial_of(target)
    try:
        with open_new(partial) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def publish(target: Path) -> None:
    """Give a synced file its name, and sync the directory: a rename that is not on the disk is undone by a power cut."""
    partial = partial_of(target)
    try:
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    sync_directory(target.parent)


def partial_of(target: Path) -> Path:
    """The temporary name of a file."""
    return target.with_name(target.name + PARTIAL)


def open_new(partial: Path) -> BinaryIO:
    """Open a new file, never what a link of that name points to: a directory to add to may come from a stranger."""
    partial.unlink(missing_ok=True)
    return partial.open("xb")


def sync_directory(folder: Path) -> None:
    """Put the names in a directory on the disk, where the system can (Windows and some network disks cannot)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class DirectoryLock:
    """An exclusive lock on a directory itself: no file is left behind, and the system releases it with its process."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, folder: Path) -> "DirectoryLock | None":
        """Lock a directory.

        Returns:
            None where another process holds it. Where the system cannot lock directories, a lock that locks nothing.

        Raises:
            OSError: There is no such directory.
        """
        if not _LOCKS:
            return cls(None)
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:  # a network disk without locks
            os.close(descriptor)
            return cls(None)
        return cls(descriptor)

    @property
    def holds(self) -> bool:
        """Whether anything is locked."""
        return self._descriptor is not None

    def release(self) -> None:
        """Release the lock; can be called twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
