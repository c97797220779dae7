"""The options that rules and checks tell people to use exist."""

import re

import pytest

from attrib.cli.main import attrib
from attrib.rewrite.registry import REWRITES

COMMANDS = ("profile", "verify")


@pytest.fixture(scope="module")
def advice(root):
    """The source of every rule and check: advice is text in them."""
    return {path.name: path.read_text() for path in (root / "attrib" / "findings").rglob("*.py")}


def test_every_option_is_one_of_a_command(advice):
    known = {
        option
        for name in COMMANDS
        for parameter in attrib.get_command(None, name).params
        for option in parameter.opts
    }
    used = {
        (name, flag) for name, text in advice.items() for flag in re.findall(r"--[a-z][a-z-]*[a-z]", text)
    }
    assert used
    assert sorted(pair for pair in used if pair[1] not in known) == []


def test_every_rewrite_exists(advice):
    used = {
        (name, rewrite)
        for name, text in advice.items()
        for rewrite in re.findall(r"--optimize ([a-z][a-z0-9-]+)", text)
    }
    assert used
    assert sorted(pair for pair in used if pair[1] not in REWRITES) == []
