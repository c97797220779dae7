"""Figures in the documents come from commands of the project."""

import re
import sys


def test_the_worked_example_is_what_its_command_prints(root, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(root / "docs"), *sys.path])
    from worked_example import example

    block = re.search(r"```text worked-example\n(.*?)```", (root / "docs/method.md").read_text(), re.DOTALL)
    assert block is not None
    assert block[1] == example(), (
        "run `python docs/worked_example.py` and paste its output into docs/method.md"
    )


def test_the_readme_gives_the_commands_that_ci_runs(root):
    readme = (root / "README.md").read_text()
    ci = (root / ".ci/run").read_text().splitlines()
    installs = ".venv/bin/pip install -q -c constraints.txt '.[test]'"
    assert installs in ci
    assert f"{installs} && .venv/bin/pytest\n```" in readme
    tests = [line for line in ci if line.startswith(".venv/bin/pytest")]
    assert tests == [".venv/bin/pytest --durations=20", ".venv/bin/pytest -m slow --durations=20"]
    assert tests[-1] == ci[-1], "a test run's summary is the last that .ci/run prints"
    assert "`pytest -m slow`" in readme
    assert ".venv/bin/attrib profile --model bert-base-uncased" in readme


def test_constraints_pin_names_and_versions_only(root):
    for line in (root / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line), line
