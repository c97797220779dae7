"""docs/robustness.md says what the code does: its limits are the constants' values, its crashes are kept."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "robustness.md").read_text(encoding="utf-8")
LIMITS = re.findall(r"^\| .* \| ([\d,]+)( [MG]iB)? \| `(attrib\.[\w.]+)\.(\w+)` \|$", TEXT, re.MULTILINE)
UNITS = {"": 1, " MiB": 1 << 20, " GiB": 1 << 30}


def test_there_are_limits():
    assert len(LIMITS) == TEXT.count("| `attrib.")


@pytest.mark.parametrize(("number", "unit", "module", "name"), LIMITS, ids=[row[3] for row in LIMITS])
def test_a_limit_in_the_document_is_the_one_in_the_code(number, unit, module, name):
    assert int(number.replace(",", "")) * UNITS[unit] == getattr(importlib.import_module(module), name)


def test_every_kept_crash_is_described():
    crashes = {path.name for path in (ROOT / "tests" / "fuzz" / "crashes").glob("*.bin")}
    assert crashes == set(re.findall(r"`([\w-]+\.bin)`", TEXT))
