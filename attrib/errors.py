"""The errors that attrib raises, and what is read from the errors of others.

Each error carries its exit code and, where there is one, its cure. `AttribError` is the user's (or the machine's) error and
is shown as one line. `InternalError` is a broken invariant of attrib itself. The two trees are separate on purpose: one
place, `attrib.cli.main`, turns either into an exit code.
"""

import errno


class AttribError(Exception):
    """Something outside attrib is wrong: input, environment or usage.

    Args:
        message: One line: what is wrong and where (file, byte or event number).
        hint: The command or option that fixes it.
    """

    exit_code = 3

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(AttribError):
    """The command line asks for something that does not make sense."""

    exit_code = 2


class GateError(AttribError):
    """A check that the user asked for failed."""

    exit_code = 1


class InconclusiveError(AttribError):
    """The measurement cannot answer the question: of a gate always, elsewhere under `--strict`."""

    exit_code = 4


class InternalError(Exception):
    """A broken invariant: a bug in attrib, never the user's mistake."""

    exit_code = 70


_LONGEST_TEXT = 300
_FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def first_line(error: BaseException) -> str:
    """The type of an error and its whole text, on one line of bounded length."""
    return _named(error, " ".join(str(error).split()))


def reason(error: BaseException) -> str:
    """Why an exporter failed, on one line of bounded length.

    Its errors are pages long and chained: the innermost cause is what went wrong, and the first line of that says so.
    """
    innermost = _innermost(error)
    lines = (line.strip() for line in str(innermost).splitlines())
    return _named(innermost, next(filter(None, lines), ""))


def is_full_disk(error: BaseException) -> bool:
    """Whether there was no space left for a file, wherever in the chain of causes that is said."""
    innermost = _innermost(error)
    return isinstance(innermost, OSError) and innermost.errno in _FULL_DISK


def _named(error: BaseException, text: str) -> str:
    return f"{type(error).__name__}: {text[:_LONGEST_TEXT]}" if text else type(error).__name__


def _innermost(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error
