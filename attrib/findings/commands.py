"""Suggested commands, completed: what a rule knows is the change, what a reader can run is the whole capture with it."""

import re
import shlex
from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from attrib.model.capture_options import OPTIONS
from attrib.model.document import Check, Finding
from attrib.model.manifest import Manifest

_T = TypeVar("_T", Check, Finding)

_CHANGE = re.compile(r"`attrib profile(?P<change> -[^`]*)?`(?: (?:without|in place of) `(?P<gone>--[^`]+)`)?")
"""A capture with other options: "`attrib profile --opset 23`"; or without some: "`attrib profile` without `--autocast`"."""

_PLACEHOLDER = re.compile(r"(?:^|[ =])[A-Z_]+(?:[ |]|$)|\.\.\.")
"""What stands for a value that only the reader knows, e.g. `--threads N`."""

UNKNOWN_BASE = ("attrib", "profile", "--model", "MODEL")
"""How a command begins where nobody says what was captured."""

_FLAGS = {name: option for option in OPTIONS for name in (option.flag, option.option.short) if name}

_START = ("attrib", "profile")
_PLACES = {
    "-o": 1, "--output": 1, "--resume": 1, "--save-models": 1, "--force": 0, "--no-report": 0, "--open": 0, "-q": 0,
    "--quiet": 0, "-v": 0, "--verbose": 0,
}  # fmt: skip
"""Options that say where a capture goes, and how many words follow: another one must not go there too; and those that say
what is shown of it."""

_LONGEST = 2_000
"""Characters of a command; a person types a tenth of it."""


def with_whole_commands(items: Iterable[_T], manifest: Manifest | None) -> tuple[_T, ...]:
    """The findings or checks, their suggested captures with what this capture was asked for.

    Args:
        items: What the rules and checks say.
        manifest: Of the capture; where it does not tell the command, the reader names the model.
    """
    base = (base_words(manifest.command) if manifest else ()) or UNKNOWN_BASE
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
        added, gone = shlex.split(found["change"] or ""), shlex.split(found["gone"] or "")
        if not (added or gone) or _PLACEHOLDER.search(found["change"] or ""):
            return found[0]
        kept = _without(base, gone) if gone else tuple(base)
        if gone and kept == tuple(base):  # nobody knows what was captured, or it was set in another way
            return found[0]
        for word in added:
            option = _FLAGS.get(word.partition("=")[0])
            if option is not None and not option.is_repeatable:
                kept = _without(kept, [option.flag])
        return f"`{shlex.join((*kept, *added))}`"

    return _CHANGE.sub(complete, text)


def _without(words: Sequence[str], gone: Sequence[str]) -> tuple[str, ...]:
    """The words of a command without an option: wherever it is given, or only with the value that is named."""
    option, left, waiting = _FLAGS.get(gone[0]), [], list(words)
    while waiting:
        word = waiting.pop(0)
        name, equals, value = word.partition("=")
        if option is None or _FLAGS.get(name) is not option:
            left.append(word)
            continue
        own = [word]
        if option.type is not bool and not equals and waiting:
            value = waiting.pop(0)
            own.append(value)
        if gone[1:] and value != gone[1]:
            left += own
    return tuple(left)
