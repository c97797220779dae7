"""`attrib rules [ID]`: the list, one rule, and a name that is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from attrib.cli import main
from attrib.cli.rulebook import CATALOG, GROUPS, experiment_titles, rule_texts
from attrib.cli.rules import command, explanation
from attrib.findings import rules as rule_folders
from attrib.findings.registry import RULES


def output(*args):
    result = CliRunner(env={"COLUMNS": "80"}).invoke(command, args)
    assert result.exit_code == 0
    return result.stdout


def flat(text):
    """Without line ends, which fall behind hyphens, too."""
    return " ".join(text.split()).replace("- ", "-")


def test_every_rule_is_listed_once_under_a_heading():
    listed = output()
    names = [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "]
    assert sorted(names) == sorted(rule.id for rule in RULES)
    headings = [line.rstrip(":") for line in listed.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings == list(GROUPS.values())
    assert max(map(len, listed.splitlines())) <= 80


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_is_explained(rule):
    text = flat(output(rule.id))
    assert flat(rule.about) in text
    assert flat(rule.passed) in text
    assert "{}" not in text
    for entry in rule.catalog:
        assert flat(f"{entry} {CATALOG[entry]}") in text
    for name in rule.experiments:
        assert flat(f"{name} {experiment_titles()[name]}") in text
    if not rule.experiments:
        assert flat(rule.unproved) in text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_is_proved_or_says_why_it_cannot_be(rule):
    assert bool(rule.experiments) != bool(rule.unproved)
    assert set(rule.experiments) <= set(experiment_titles()), "`attrib verify` has no such experiment"
    assert set(rule.catalog) <= set(CATALOG)


def test_every_folder_of_rules_has_a_heading():
    folders = {path.parent.name for path in Path(rule_folders.__file__).parent.glob("*/__init__.py")}
    assert folders == set(GROUPS)


def test_a_rule_stands_under_the_heading_of_its_folder():
    texts = {text.id: text.group for text in rule_texts()}
    assert texts["nan-guard"] == "Graph"
    assert texts["memcpy-nodes"] == "Providers and devices"


def test_a_made_up_title_is_marked_as_an_example():
    lines = flat(output())
    for text in rule_texts():
        assert flat(f"{text.id} for example: {text.finding}") in lines
        assert flat(f"finding for example: {text.finding}") in flat(output(text.id))


def test_the_catalog_is_covered_whole():
    covered = {entry for rule in RULES for entry in rule.catalog}
    assert set(CATALOG) - covered == set()


def test_a_rule_without_an_experiment_says_why():
    bare = msgspec.structs.replace(rule_texts()[0], experiments=(), unproved="time alone cannot tell")
    said = explanation(bare)
    assert "no experiment" in said
    assert "time alone cannot tell" in said
    assert "attrib verify" not in said


def test_json_holds_what_the_text_says():
    rows = json.loads(output("--json"))
    assert [row["id"] for row in rows] == [rule.id for rule in rule_texts()]
    (one,) = json.loads(output("decomposed-attention", "--json"))
    assert one["id"] == "decomposed-attention"
    assert one["catalog"][0] == {"id": "C6", "title": CATALOG["C6"]}
    assert {experiment["id"] for experiment in one["experiments"]} >= {"attention", "opset"}
    assert all(experiment["title"] for experiment in one["experiments"])
    assert all(need["id"] and need["title"] for need in one["needs"])


def test_a_wrong_name_gets_the_nearest_one(capsys):
    assert main.run(["rules", "layout-chum"]) == 2
    error = capsys.readouterr().err
    assert "no rule is named layout-chum" in error
    assert "attrib rules layout-churn" in error


def test_no_engine_is_imported():
    code = (
        "import sys; from attrib.cli.main import run; assert run(['rules']) == 0\n"
        "heavy = {'torch', 'onnxruntime', 'transformers', 'pandas', 'plotly', 'onnx', 'onnxscript', 'onnx_ir', 'scipy'}\n"
        "loaded = heavy & set(sys.modules)\n"
        "sys.exit(f'imported {loaded}' if loaded else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
