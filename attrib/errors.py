"""The errors that attrib raises: each carries its exit code and, where there is one, its cure.

`AttribError` is the user's (or the machine's) error and is shown as one line. `InternalError` is a broken invariant of
attrib itself. The two trees are separate on purpose: one place, `attrib.cli.main`, turns either into an exit code.
"""

import errno


class AttribError(Exception):
    """Something outside attrib is wrong: input, environment or usage.

    Args:
        message: One line: what is wrong and where (file, byte or event number).
        hint: The command or option that mends it.
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
    """Under `--strict`: the measurement cannot answer the question."""

    exit_code = 4


class InternalError(Exception):
    """A broken invariant: a bug in attrib, never the user's mistake."""

    exit_code = 70


_LIMIT = 300
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def first_line(error: BaseException) -> str:
    """The type of an error and its text, on one line of bounded length."""
    text = " ".join(str(error).split())[:_LIMIT]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def reason(error: BaseException) -> str:
    """An exporter's own reason on one line.

    Its errors are pages long and chained: the innermost cause is what went wrong, and its first line says so.
    """
    innermost = _innermost(error)
    lines = [line.strip() for line in str(innermost).splitlines() if line.strip()]
    first = lines[0][:_LIMIT] if lines else ""
    return f"{type(innermost).__name__}: {first}" if first else type(innermost).__name__


def is_full_disk(error: BaseException) -> bool:
    """Whether there was no space left for a file, wherever in the chain of causes that is said."""
    innermost = _innermost(error)
    return isinstance(innermost, OSError) and innermost.errno in _FULL


def _innermost(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error
