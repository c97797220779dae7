"""The errors that attrib raises: each carries its exit code and, where there is one, its cure.

`AttribError` is the user's (or the machine's) error and is shown as one line. `InternalError` is a broken invariant of
attrib itself. The two trees are separate on purpose: one place, `attrib.cli.main`, turns either into an exit code.
"""


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
