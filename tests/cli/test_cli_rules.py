"""`attrib rules [ID]`: the list, one rule, and a name that is wrong."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from attrib.cli import main
from attrib.cli.rules import command
from attrib.findings import RULES


def output(*args):
    result = CliRunner(env={"COLUMNS": "80"}).invoke(command, args)
    assert result.exit_code == 0
    return result.stdout


def test_every_rule_is_listed():
    listed = output()
    assert all(rule.id in listed for rule in RULES)
    assert max(map(len, listed.splitlines())) <= 80


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_is_explained(rule):
    text = " ".join(output(rule.id).split())
    assert " ".join(rule.about.split()) in text
    assert rule.passed in text
    assert "{}" not in text


def test_json():
    rows = json.loads(output("--json"))
    assert [row["id"] for row in rows] == [rule.id for rule in RULES]
    (one,) = json.loads(output("layout-churn", "--json"))
    assert one["id"] == "layout-churn"


def test_a_wrong_name_gets_the_nearest_one(capsys):
    assert main.run(["rules", "layout-chum"]) == 2
    error = capsys.readouterr().err
    assert "no rule is named layout-chum" in error
    assert "attrib rules layout-churn" in error


def test_no_engine_is_imported():
    code = (
        "import sys; from attrib.cli.main import run; assert run(['rules']) == 0\n"
        "loaded = {'torch', 'onnxruntime', 'transformers', 'pandas', 'plotly', 'onnx'} & set(sys.modules)\n"
        "sys.exit(f'imported {loaded}' if loaded else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
