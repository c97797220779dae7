"""Options that stand in a file: `[tool.attrib.COMMAND]` of pyproject.toml, or `[COMMAND]` of attrib.toml.

The file is found by walking up from the working directory, so that nobody has named it: it may be a stranger's. It sets
figures and choices; what decides which code runs, what is written and what is opened is taken from nowhere but the command
line and the environment.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any

import click

from attrib.errors import UsageError

FILES = (("attrib.toml", ()), ("pyproject.toml", ("tool", "attrib")))
"""Files of a folder, the first that has tables counts, and where the tables of commands lie in each."""

LARGEST_FILE = 1 << 20

_TEXTS = frozenset({
    "baseline", "compress", "disabled_optimizers", "max_delta", "optimize", "providers", "rules", "text",
})  # fmt: skip
"""Options that take any text, and from a file too: names that attrib looks up, limits, sentences, a report to read. Any
other text may name a program, a library, a model or a file to write."""

_ACTING = frozenset({"force", "open_page"})
"""Switches that overwrite a file, or start a program."""

_OTHER_KEYS = {"rules": "rule"}
"""Key of a file -> the option's own name, where a table reads better."""


_KINDS: dict[str, type | UnionType] = {
    "true or false": bool, "a whole number": int, "a number": int | float, "text": str,
}  # fmt: skip
"""What an option takes, in words -> what TOML gives then."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """One file and the tables of commands in it.

    Attributes:
        file: Where it lies, as a reader in the working directory would call it.
        prefix: What comes before the name of a command in the heading of its table.
        tables: The tables, unchecked.
    """

    file: Path
    prefix: str
    tables: Mapping[str, Any]


def find_configuration() -> Configuration | None:
    """The nearest file with tables of attrib: from the working directory up to the root of its repository, or of the disk.

    Raises:
        UsageError: A file on the way cannot be read, or is no TOML.
    """
    try:
        start = Path.cwd()
    except OSError:  # it was deleted
        return None
    for folder in (start, *start.parents):
        for name, keys in FILES:
            path = folder / name
            if path.is_file():
                found = Path(os.path.relpath(path, start))
                tables = _read(found, keys)
                if tables is not None:
                    return Configuration(found, "".join(f"{key}." for key in keys), tables)
        if (folder / ".git").exists():
            return None
    return None


def _read(path: Path, keys: Iterable[str]) -> Mapping[str, Any] | None:
    """What lies under the keys of a TOML file; None where nothing does."""
    import tomllib

    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise UsageError(f"{path}: is larger than {LARGEST_FILE:,} bytes")
        found: Any = tomllib.loads(content.decode())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, or nested without an end
        raise UsageError(f"{path}: is no TOML: {error}") from error
    for key in keys:
        if isinstance(found, dict) and key not in found:
            return None
        found = found[key] if isinstance(found, dict) else found
    if not isinstance(found, dict):
        raise UsageError(f"{path}: {'.'.join(keys)} is no table")
    return found


def options_from(found: Configuration, context: click.Context) -> dict[str, Any]:
    """The options of the context's command that the file sets, by name of the parameter.

    Raises:
        UsageError: The file names what there is not or what no file may set, or a value has another type.
    """
    name, group = context.command.name or "", context.find_root().command
    commands = group.list_commands(context) if isinstance(group, click.Group) else [name]
    for table in found.tables:
        if table not in commands:
            raise UsageError(
                f"{found.file}: {found.prefix}{table}: there is no command {table!r}",
                hint=nearest(table, commands, f"one table for each command, e.g. [{found.prefix}profile]"),
            )
    where = f"{found.file}: [{found.prefix}{name}]"
    table = found.tables.get(name, {})
    if not isinstance(table, dict):
        raise UsageError(f"{where} is no table")
    known = {key_of(option): option for option in options_of(context.command)}
    open_to_files = sorted(key for key, option in known.items() if may_stand_in_a_file(option))
    options = {}
    for key, value in table.items():
        own_key = _OTHER_KEYS.get(key, key)
        if own_key not in known:
            listed = ", ".join(open_to_files)
            raise UsageError(f"{where} has an unknown key {key!r}", hint=nearest(key, open_to_files, listed))
        option = known[own_key]
        if not may_stand_in_a_file(option):
            raise UsageError(
                f"{where} {key} is taken from no file, because it bears on what is run or written",
                hint=f"{option.opts[-1]} on the command line, or {option.envvar} in the environment",
            )
        if option.name in options:
            raise UsageError(f"{where} has {key_of(option)} twice", hint=f"leave out {key}")
        options[str(option.name)] = _value(option, value, f"{where} {key}", found.file.parent, context)
    return options


def options_of(command: click.Command) -> list[click.Option]:
    """A command's own options."""
    return [parameter for parameter in command.params if isinstance(parameter, click.Option)]


def key_of(option: click.Option) -> str:
    """What a file calls an option: its long flag without the dashes."""
    return max(option.opts, key=len).lstrip("-")


def may_stand_in_a_file(option: click.Option) -> bool:
    """Whether a file that nobody has named may set an option: numbers, choices, switches and some texts."""
    if option.hidden or option.name in _ACTING:
        return False
    return (
        option.is_flag or isinstance(option.type, click.Choice) or _is_number(option) or option.name in _TEXTS
    )


def nearest(word: str, known: Iterable[str], otherwise: str) -> str:
    """What was meant, or how to find out."""
    similar = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {similar[0]}?" if similar else otherwise


def _is_number(option: click.Option) -> bool:
    return isinstance(option.type, click.types.IntParamType | click.types.FloatParamType)


def _value(option: click.Option, value: Any, where: str, folder: Path, context: click.Context) -> Any:
    """A value of a file as click would have it of the command line.

    Raises:
        UsageError: It has another type, or is none that the option takes.
    """
    if option.multiple and isinstance(value, dict) and all(isinstance(one, str) for one in value.values()):
        value = [
            f"{name}={one}" for name, one in value.items()
        ]  # a table says the same as a list of NAME=VALUE
    words = "text"
    if option.is_flag:
        words = "true or false"
    elif _is_number(option):
        words = "a whole number" if isinstance(option.type, click.types.IntParamType) else "a number"
    each = value if option.multiple and isinstance(value, list) else [value]
    if isinstance(value, list) != option.multiple or not all(isinstance(one, _KINDS[words]) for one in each):
        raise UsageError(f"{where}: takes {f'a list of {words}' if option.multiple else words}")
    if not option.is_flag and any(
        isinstance(one, bool) for one in each
    ):  # which Python counts among the numbers
        raise UsageError(f"{where}: takes {words}")
    if isinstance(option.type, click.Path):
        value = os.fspath(folder / value)
    try:
        return option.type_cast_value(context, value)
    except click.BadParameter as error:
        raise UsageError(f"{where}: {error.message}") from error
