"""Suggested commands, completed: what a rule knows is the change, what a reader can run is the whole capture with it."""

import re
import shlex
from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from attrib.model.document import Check, Finding
from attrib.model.manifest import Manifest

_T = TypeVar("_T", Check, Finding)

_CHANGE = re.compile(r"`attrib profile (?P<change>-[^`]*)`")
_PLACEHOLDER = re.compile(r"(?:^|[ =])[A-Z_]+(?:[ |]|$)|\.\.\.")
"""What stands for a value that only the reader knows, e.g. `--threads N`."""

_START = ("attrib", "profile")
_PLACES = {"-o": 1, "--output": 1, "--resume": 1, "--save-models": 1, "--force": 0, "--no-report": 0}
"""Options that say where a capture goes, and how many words follow: another one must not go there too."""

_LONGEST = 2_000
"""Characters of a command; a person types a tenth of it."""


def with_whole_commands(items: Iterable[_T], manifest: Manifest | None) -> tuple[_T, ...]:
    """The findings or checks, their suggested captures with what this capture was asked for.

    Args:
        items: What the rules and checks say.
        manifest: Of the capture; where it does not tell the command, nothing is changed.
    """
    base = base_words(manifest.command) if manifest else ()
    if not base:
        return tuple(items)
    return tuple(msgspec.structs.replace(item, fix=_completed(item.fix, base)) for item in items)


def base_words(command: str) -> tuple[str, ...]:
    """The words of a capture's command, without where it goes; empty where it is none."""
    try:
        words = shlex.split(command) if len(command) <= _LONGEST else []
    except ValueError:
        return ()
    if tuple(words[:2]) != _START or "`" in command or not command.isprintable():
        return ()
    kept, skipped = list[str](), 0
    for word in words:
        name, equals, _ = word.partition("=")
        if skipped:
            skipped -= 1
        elif name in _PLACES:
            skipped = 0 if equals else _PLACES[name]
        else:
            kept.append(word)
    return tuple(kept)


def _completed(text: str, base: Sequence[str]) -> str:
    def complete(found: re.Match[str]) -> str:
        change = found["change"]
        if _PLACEHOLDER.search(change):
            return found[0]
        return f"`{shlex.join(base)} {change}`"

    return _CHANGE.sub(complete, text)
