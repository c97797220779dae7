"""What an exception of an engine or an exporter means, on one line."""

import errno

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
