"""What turns one set of capture options into another, as flags of `attrib profile`."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from attrib.capture.system.interpreter import without_paths
from attrib.model.capture_options import OPTIONS, CaptureOptions

FLAGS: dict[str, str] = {
    declared.name: declared.flag for declared in OPTIONS if declared.option.chooses_what_runs
}
"""Field of the options -> flag, for those that bear on what runs."""


@dataclass(frozen=True, slots=True)
class Change:
    """What to do to a command line.

    Attributes:
        drop: Flags to leave out, each with its values.
        add: Words to append; of a flag that takes one value, click keeps the last.
    """

    drop: tuple[str, ...]
    add: tuple[str, ...]

    def __str__(self) -> str:
        """As a reader would do it."""
        added = shlex.join(self.add)
        dropped = f"(without {' and '.join(self.drop)})" if self.drop else ""
        return " ".join(part for part in (added, dropped) if part)


def flags_of(before: CaptureOptions, after: CaptureOptions) -> str:
    """The flags that make `after` from `before`; empty where they are the same."""
    return str(change_of(before, after))


def command_of(options: CaptureOptions) -> str:
    """The whole `attrib profile` command of these options; what lies only on this machine is left to be filled in."""
    return without_paths(shlex.join(["attrib", "profile", *change_of(CaptureOptions(model=""), options).add]))


def change_of(before: CaptureOptions, after: CaptureOptions) -> Change:
    """What to drop from the command line of `before`, and what to add, for the command line of `after`."""
    drop: list[str] = []
    add: list[str] = []
    for name, flag in FLAGS.items():
        one, other = getattr(before, name), getattr(after, name)
        if one == other:
            continue
        rest = _find_appended(one, other)
        if rest is None:
            drop.append(flag)
        add += _words(flag, other if rest is None else rest)
    return Change(tuple(drop), tuple(add))


def _find_appended(before: Any, after: Any) -> Any:
    """Find what to append for a field; None where the flag must be left out (or given from its beginning)."""
    if isinstance(after, tuple):
        return after[len(before) :] if after[: len(before)] == before else None
    return after if after or (after == 0 and after is not False) else None


def _words(flag: str, value: Any) -> Iterator[str]:
    if isinstance(value, tuple):
        for item in value:
            yield from (flag, str(item))
    elif value is True:
        yield flag
    elif value is not None and value is not False and value != "":
        yield from (flag, str(value))
