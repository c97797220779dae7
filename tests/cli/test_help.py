"""The help of each command: every option once, under a heading, and examples that the command takes."""

import importlib
import shlex

import click
import pytest
from click.testing import CliRunner

from attrib.cli.command import Command
from attrib.cli.main import COMMANDS, EXAMPLES, attrib

COMMANDS_OF_ATTRIB = {name: importlib.import_module(f"attrib.cli.{name}").command for name in COMMANDS}
GROUPED = ("profile", "report", "verify", "check", "diff")


def help_of(command):
    return CliRunner().invoke(command, ["--help"], terminal_width=120).output


@pytest.mark.parametrize("name", GROUPED)
def test_every_option_is_listed_once_under_a_heading_of_its_own(name):
    command = COMMANDS_OF_ATTRIB[name]
    listed = [one for names in command.groups.values() for one in names]
    options = [one.name for one in command.params if isinstance(one, click.Option) and not one.hidden]
    assert sorted(listed) == sorted(options)
    shown = help_of(command)
    for heading in command.groups:
        assert f"\n{heading}:\n" in shown
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            flag = max(option.opts, key=len)
            lines = [line.split() for line in shown.splitlines() if line.startswith("  -")]
            assert sum(flag in (word.rstrip(",") for word in line[:2]) for line in lines) == 1, flag


@pytest.mark.parametrize(
    "line",
    [line for command in COMMANDS_OF_ATTRIB.values() for line, _ in getattr(command, "examples", ())]
    + [line for line, _ in EXAMPLES],
)
def test_an_example_is_a_command_that_can_be_typed(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program, name, *words = shlex.split(line)
    assert program == "attrib"
    context = COMMANDS_OF_ATTRIB[name].make_context(name, words)
    assert context.args == []


def test_examples_end_the_help():
    for name in GROUPED:
        shown = help_of(COMMANDS_OF_ATTRIB[name])
        assert COMMANDS_OF_ATTRIB[name].examples[0][0] in shown.split("\nExamples:\n")[1]
    assert EXAMPLES[0][0] in help_of(attrib).split("\nExamples:\n")[1]


def test_quiet_and_verbose_are_the_same_words_everywhere():
    have = {
        flag: {
            name
            for name, one in COMMANDS_OF_ATTRIB.items()
            if any(flag in option.opts for option in one.params)
        }
        for flag in ("-q", "--quiet", "-v", "--verbose")
    }
    assert have == {
        "-q": {*GROUPED}, "--quiet": {*GROUPED}, "-v": {"profile", "verify"}, "--verbose": {"profile", "verify"},
    }  # fmt: skip
    assert all(isinstance(COMMANDS_OF_ATTRIB[name], Command) for name in GROUPED)
