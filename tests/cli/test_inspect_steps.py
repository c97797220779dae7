"""`attrib inspect --steps` shows some steps of a trace."""

import json
from pathlib import Path

import pytest

from attrib.cli.main import run

SAMPLE = Path(__file__).parents[2] / "sample_traces" / "distilbert-base-uncased"


@pytest.fixture
def inspect(capsys):
    def inspect_file(*arguments):
        code = run(["inspect", *map(str, arguments)])
        return code, capsys.readouterr()

    return inspect_file


def test_steps_are_shown_alone(inspect):
    whole = json.loads(inspect(SAMPLE / "torch/trace.json.gz", "--json")[1].out)
    some = json.loads(inspect(SAMPLE / "torch/trace.json.gz", "--json", "--steps", "4-5")[1].out)
    assert some["steps"] == [
        step for step in whole["steps"] if step["name"] in ("attrib.step#4", "attrib.step#5")
    ]
    assert len(some["steps"]) == 2
    assert 0 < some["events"] < whole["events"]


def test_runs_are_shown_alone(inspect):
    whole = json.loads(inspect(SAMPLE / "ort/profile.json.gz", "--json")[1].out)
    some = json.loads(inspect(SAMPLE / "ort/profile.json.gz", "--json", "--steps", "2")[1].out)
    assert some["runs_us"] == whole["runs_us"][1:2]


@pytest.mark.parametrize(("steps", "code"), [("x", 2), ("5-3", 2), ("9000", 3)])
def test_steps_that_are_none_are_refused_in_one_line(inspect, steps, code):
    found, printed = inspect(SAMPLE / "torch/trace.json.gz", "--steps", steps)
    assert found == code
    assert "step" in printed.err
    assert "Traceback" not in printed.err
