"""Environment variables that the user gives to the engines' processes: `NAME=VALUE`."""

import re
from collections.abc import Iterable, Mapping

from attrib.errors import UsageError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_OWN = ("TMPDIR", "TORCHINDUCTOR_CACHE_DIR")
"""Variables by which attrib finds again what a worker writes."""

_NUMBERS = frozenset({
    "MALLOC_ARENA_MAX", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_TRIM_THRESHOLD_",
    "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "MKL_NUM_THREADS", "OMP_NUM_THREADS",
})  # fmt: skip
"""Variables whose value is a number, so that a trace directory may set them. Another one may name a file, or code."""


def variables_of(pairs: Iterable[str]) -> dict[str, str]:
    """Parse and check `NAME=VALUE` strings; where a name is given twice the last one holds.

    Raises:
        UsageError: One of them is none, or is for attrib itself to set.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not _NAME.fullmatch(name) or "\0" in value:
            raise UsageError(
                f"--env {pair!r} is no NAME=VALUE",
                hint="for example --env MALLOC_TRIM_THRESHOLD_=17179869184",
            )
        if name in _OWN:
            raise UsageError(f"--env cannot set {name}: attrib sets it for each process that it starts")
        found[name] = value
    return found


def recorded_variables(recorded: Mapping[str, str]) -> tuple[str, ...]:
    """The variables of a capture that need not be named again: numbers, which open no file and load no code."""
    return tuple(f"{name}={value}" for name, value in recorded.items() if _is_number(name, value))


def take_variables(recorded: Mapping[str, str], named: Iterable[str]) -> tuple[str, ...]:
    """Take all variables of a capture: those recorded, with those that the user names.

    Raises:
        UsageError: One has to be named, or the capture had none of that name.
    """
    given = variables_of(named)
    for name in given:
        if name not in recorded:
            raise UsageError(f"--env: the capture set no {name}")
    for name, value in recorded.items():
        if name not in given and not _is_number(name, value):
            raise UsageError(
                f"the capture set the variable {name}, which attrib does not take from a trace directory: it may name a"
                " file or code",
                hint=f"name it yourself: --env {name}=VALUE",
            )
    return tuple(f"{name}={given.get(name, value)}" for name, value in recorded.items())


def _is_number(name: str, value: str) -> bool:
    return name in _NUMBERS and value.isascii() and value.isdecimal()
