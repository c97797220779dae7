"""The temporary folder of a capture, which goes with it, whatever ends it.

While the capture runs it holds a lock on the folder. A watchdog removes the folder of a parent that was killed; where
everything was killed at once, the next capture finds a folder that nobody holds, and removes it.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from attrib.capture.storage.atomic_io import DirectoryLock
from attrib.errors import AttribError

PREFIX = "attrib-work-"
_MARK = ".attrib-temporary"
"""A file by which such a folder is known: nothing else is ever removed."""

_WATCHDOG = Path(__file__).with_name("watchdog.py")
_END_S = 5.0


class TemporaryFolder:
    """A folder for one capture, which a lock and a watchdog guard; see the module."""

    def __init__(self) -> None:
        try:
            remove_stale(Path(tempfile.gettempdir()))
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
            self._lock = DirectoryLock.take(self.path)
            # Marked after it is locked: what is marked and not locked has no owner.
            (self.path / _MARK).touch()
        except OSError as error:
            raise AttribError(
                f"there is no place for temporary files: {error.strerror or error}",
                hint="free some space, or name another disk: TMPDIR=/path attrib profile ...",
            ) from error
        self._watchdog: subprocess.Popen[bytes] | None = None
        with contextlib.suppress(OSError):  # a system that is out of processes can still measure
            self._watchdog = subprocess.Popen(  # noqa: S603  (this interpreter, a file of this package)
                [sys.executable, "-I", "-S", str(_WATCHDOG), str(self.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )

    def note_started(self, pid: int) -> None:
        """Tell the watchdog that a worker runs, the leader of its process group."""
        self._tell(f"+{pid}\n")

    def note_stopping(self, pid: int) -> None:
        """Tell the watchdog that a worker is going to be stopped; its number may belong to another process soon."""
        self._tell(f"-{pid}\n")

    def _tell(self, line: str) -> None:
        if self._watchdog is not None and self._watchdog.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self._watchdog.stdin.write(line.encode())
                self._watchdog.stdin.flush()

    def remove(self) -> None:
        """Remove the folder and let the watchdog go; can be called twice."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._watchdog is not None:
            with contextlib.suppress(OSError):
                self._watchdog.stdin.close()  # type: ignore[union-attr]
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._watchdog.wait(_END_S)
        if self._lock is not None:
            self._lock.release()


def remove_stale(place: Path) -> None:
    """Remove the folders of captures that were killed together with their watchdogs; never one that is in use."""
    own = os.getuid() if hasattr(os, "getuid") else 0
    for folder in sorted(place.glob(f"{PREFIX}*")):
        with contextlib.suppress(OSError):
            if not (folder / _MARK).is_file() or folder.stat().st_uid != own:
                continue
            lock = DirectoryLock.take(folder)
            if lock is not None and lock.holds:
                shutil.rmtree(folder, ignore_errors=True)
                lock.release()
