"""`action.yml` and the workflows of docs/ci.md: they parse, name only what there is, and their scripts do what they say."""

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from attrib.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
WORKFLOWS = [
    yaml.safe_load(block)
    for block in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/ci.md").read_text(), re.DOTALL)
]
JOBS = [job["steps"] for workflow in WORKFLOWS for job in workflow["jobs"].values()]
EVERY = [ACTION["runs"]["steps"], *JOBS]
STEPS = [step for steps in EVERY for step in steps]
SCRIPTS = [step for step in STEPS if "run" in step]
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
MARKER = "<!-- attrib: attrib -->"


def commands_in(script):
    """The words of each `attrib` command of a shell script, without redirections."""
    for line in script.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split, lexer.commenters = True, "#"
        words, inside = [], False
        for word in [*lexer, ";"]:
            if re.fullmatch(r"[;|&(){}<>]+", word):
                if inside:
                    yield words
                words, inside = [], False
            elif inside:
                words.append(word)
            elif word == "attrib":
                inside = True


def step(name):
    return next(one for one in ACTION["runs"]["steps"] if one.get("name") == name)


def test_no_expression_is_expanded_within_a_script():
    assert len(SCRIPTS) > 8
    assert [one["run"] for one in SCRIPTS if "${{" in one["run"]] == []


def test_every_script_of_the_action_names_its_shell():
    assert all("shell" in one for one in ACTION["runs"]["steps"] if "run" in one)


def test_inputs_and_outputs_are_those_that_there_are():
    said = (ROOT / "action.yml").read_text()
    assert set(re.findall(r"\binputs\.([\w-]+)", said)) == set(ACTION["inputs"])
    for steps in (ACTION["runs"]["steps"], *JOBS):
        text = json.dumps([steps, ACTION["outputs"] if steps is ACTION["runs"]["steps"] else ""])
        by_id = {one["id"]: one for one in steps if "id" in one}
        for name, output in re.findall(r"steps\.(\w+)\.outputs\.([\w-]+)", text):
            source = by_id[name]
            if "run" in source:
                assert f'echo "{output}=' in source["run"]
            elif source["uses"].startswith("OWNER/attrib"):
                assert output in ACTION["outputs"]


@pytest.mark.parametrize("used", [one for one in STEPS if one.get("uses", "").startswith("OWNER/attrib@")])
def test_a_workflow_gives_the_action_inputs_that_it_takes(used):
    assert set(used["with"]) <= set(ACTION["inputs"])
    assert {name for name, one in ACTION["inputs"].items() if one.get("required")} <= set(used["with"])
    assert all(isinstance(value, str) for value in used["with"].values()), "YAML's true is no text"


@pytest.mark.parametrize("steps", JOBS)
def test_uses_in_one_job_have_names_of_their_own(steps):
    names = [
        one["with"].get("name", "attrib") for one in steps if one.get("uses", "").startswith("OWNER/attrib@")
    ]
    assert len(set(names)) == len(names)


def test_every_command_has_only_options_that_exist():
    found = [words for one in SCRIPTS for words in commands_in(one["run"])]
    outside = re.sub(r"```.*?```", "", (ROOT / "docs/ci.md").read_text(), flags=re.DOTALL)
    found += [words for line in re.findall(r"(?m)^    (attrib .*)$", outside) for words in commands_in(line)]
    assert {words[0] for words in found} == {"profile", "check", "diff", "report", "export", "verify"}
    for name, *words in found:
        importlib.import_module(f"attrib.cli.{name}").command.make_context(name, words)


def test_every_variable_for_attrib_is_that_of_an_option():
    known = {
        option.envvar
        for name in COMMANDS
        for option in importlib.import_module(f"attrib.cli.{name}").command.params
        if isinstance(option, click.Option)
    }
    text = (ROOT / "action.yml").read_text() + (ROOT / "docs/ci.md").read_text()
    named = set(re.findall(r"\bATTRIB_[A-Z_]+\b(?!\*)", text)) - {"ATTRIB_PROFILE_"}
    assert len(named) > 4
    assert named <= known


class Runner:
    """What GitHub gives a step, as far as these scripts use it: variables, files, `attrib` and `gh` on the path."""

    def __init__(self, folder, sample):
        self.folder, self.sample = folder, sample
        self.workspace, self.temp, programs = folder / "workspace", folder / "temp", folder / "programs"
        for one in (self.workspace, self.temp, programs):
            one.mkdir()
        self.output, self.summary, self.calls = (
            folder / "output",
            folder / "summary.md",
            folder / "calls.jsonl",
        )
        self.comments = folder / "comments.json"
        for one in (self.output, self.summary, self.calls):
            one.touch()
        self.comments.write_text("[]")
        self.put(programs / "attrib", ATTRIB)
        self.put(programs / "gh", GH)
        self.known = {
            "github.token": "token",
            "github.event.pull_request.number": "7",
            "steps.page.outputs.artifact-url": "https://example.org/page",
        }
        self.env = {
            "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder), "NO_COLOR": "1", "LC_ALL": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]), "SAMPLE": str(sample),
            "GITHUB_OUTPUT": str(self.output), "GITHUB_STEP_SUMMARY": str(self.summary), "RUNNER_TEMP": str(self.temp),
            "GITHUB_REPOSITORY": "them/theirs", "GITHUB_WORKSPACE": str(self.workspace), "CALLS": str(self.calls),
            "COMMENTS": str(self.comments),
        }  # fmt: skip

    @staticmethod
    def put(path, text):
        path.write_text(text)
        path.chmod(0o755)

    def run(self, one, **inputs):
        """Run a step with these inputs; the exit code and what it printed."""
        given = {name: str(its.get("default", "")) for name, its in ACTION["inputs"].items()} | {
            name.replace("_", "-"): value for name, value in inputs.items()
        }

        def value(found):
            kind, _, name = found[1].partition(".")
            return given[name] if kind == "inputs" else self.known[found[1]]

        env = {name: EXPRESSION.sub(value, str(text)) for name, text in one.get("env", {}).items()}
        script = self.folder / "script.sh"
        script.write_text(one["run"])
        self.output.write_text("")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
            cwd=self.workspace, env=self.env | env, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        for line in self.output.read_text().splitlines():
            name, _, text = line.partition("=")
            self.known[f"steps.{one.get('id')}.outputs.{name}"] = text
        return done

    def all(self, **inputs):
        """The shell steps from the capture to the result, as the action has them; the exit code of each."""
        names = ("Profile", "Check", "Summary", "Comment", "Result")
        return {name: self.run(step(name), **inputs) for name in names}

    @property
    def said(self):
        """What was sent to GitHub: the method, the address, and the body."""
        return [json.loads(line) for line in self.calls.read_text().splitlines()]


ATTRIB = f"""#!/bin/sh
# A capture is a copy of the sample; whatever else is the real command.
if [ "$1" = profile ]; then
    echo "$ATTRIB_PROFILE_MODEL" > "$(dirname "$3")/model"
    cp -r "$SAMPLE" "$3"
    echo page > "$3/report.html"
    exit
fi
exec {sys.executable} -m attrib "$@"
"""

GH = f"""#!{sys.executable}
import json, os, subprocess, sys
words = sys.argv[1:]
assert words.pop(0) == "api"
flags = {{flag: words.pop(words.index(flag) + 1) for flag in ("--jq", "-X", "-F") if flag in words}}
fields = [words.pop(n + 1) for n in reversed([n for n, word in enumerate(words) if word == "-f"])]
address = next(word for word in words if not word.startswith("-"))
if "-F" in flags:
    name, _, file = flags["-F"].partition("=@")
    call = [flags.get("-X", "POST"), address, open(file, encoding="utf-8").read()]
    open(os.environ["CALLS"], "a").write(json.dumps(call) + "\\n")
else:
    answer = open(os.environ["COMMENTS"]).read()
    if address.endswith("/pulls"):
        assert "head=stranger:$(touch pwned)" in fields, fields
        answer = '[{{"number": 8, "head": {{"sha": "other"}}}}, {{"number": 9, "head": {{"sha": "abc"}}}}]'
    sys.exit(subprocess.run(["jq", "-r", flags["--jq"]], input=answer, text=True).returncode)
"""


@pytest.fixture
def runner(tmp_path, sample):
    if not shutil.which("jq") or not shutil.which("bash"):
        pytest.skip("needs bash and jq, which GitHub's runners have")
    return Runner(tmp_path, sample)


def test_a_capture_that_keeps_its_limit_is_shown_and_commented(runner):
    done = runner.all(model="$(touch pwned)", max_ratio="0.9")
    assert {name: one.returncode for name, one in done.items()} == dict.fromkeys(done, 0), done
    assert (runner.temp / "attrib/attrib/model").read_text() == "$(touch pwned)\n"
    assert not list(runner.folder.rglob("pwned"))
    summary = runner.summary.read_text()
    assert summary.startswith("- ✅ **max-ratio** passed: ")
    assert "ONNX Runtime is 2.1× faster than PyTorch" in summary
    ((method, address, body),) = runner.said
    assert (method, address) == ("POST", "repos/them/theirs/issues/7/comments")
    assert body.startswith(f"{MARKER}\n- ✅ **max-ratio** passed: ")
    assert body.endswith("[The whole report](https://example.org/page)\n")
    assert len(body) < 65_536
    assert Path(runner.known["steps.profile.outputs.page"]).read_text() == "page\n"


def test_a_broken_limit_fails_at_the_end_and_the_bot_s_own_comment_is_updated(runner):
    runner.comments.write_text(
        json.dumps(
            [
                {"id": 1, "user": {"type": "User"}, "body": f"{MARKER} planted"},
                {"id": 2, "user": {"type": "Bot"}, "body": "another bot"},
                {"id": 3, "user": {"type": "Bot"}, "body": f"{MARKER}\nold"},
            ]
        )
    )
    done = runner.all(model="m", max_ratio="0.1")
    assert {name: one.returncode for name, one in done.items()} == dict.fromkeys(done, 0) | {"Result": 1}
    ((method, address, body),) = runner.said
    assert (method, address) == ("PATCH", "repos/them/theirs/issues/comments/3")
    assert "❌ **max-ratio** failed" in body


def test_beside_a_baseline_the_summary_is_what_changed(runner, sample):
    done = runner.all(model="m", baseline=str(sample), max_delta="50%")
    assert done["Result"].returncode == 0, done
    assert "No significant change of ONNX Runtime and PyTorch" in runner.summary.read_text()


def test_a_baseline_that_is_missing_ends_the_job_and_not_the_step(runner):
    runner.run(step("Profile"), model="m")
    given = {"baseline": "nowhere", "max_delta": "5%"}
    check = runner.run(step("Check"), **given)
    assert (check.returncode, "there is no baseline" in check.stderr) == (0, True)
    assert runner.run(step("Result"), **given).returncode == 3


@pytest.mark.parametrize(
    ("code", "inconclusive", "ends"), [("4", "fail", 4), ("4", "pass", 0), ("1", "pass", 1)]
)
def test_what_cannot_be_told_passes_only_where_that_is_wanted(runner, code, inconclusive, ends):
    runner.known["steps.check.outputs.code"] = code
    assert runner.run(step("Result"), inconclusive=inconclusive).returncode == ends


@pytest.mark.parametrize("name", ["../up", "-o", "a b", "", "$(touch pwned)"])
def test_a_name_that_could_be_a_path_or_an_option_is_refused(runner, name):
    assert runner.run(step("Profile"), model="m", name=name).returncode == 2
    assert list(runner.temp.iterdir()) == []


def test_the_comment_of_a_fork_lands_where_its_commit_is_and_nowhere_else(runner):
    (write,) = [one for one in WORKFLOWS[-1]["jobs"]["comment"]["steps"] if "run" in one]
    runner.known |= {
        "github.event.workflow_run.head_repository.owner.login": "stranger",
        "github.event.workflow_run.head_branch": "$(touch pwned)",
        "github.event.workflow_run.head_sha": "abc",
    }
    assert runner.run(write).returncode == 0  # nothing was kept
    assert runner.said == []
    secret = runner.folder / "secret"
    secret.write_text("secret")
    (runner.workspace / "comment.md").symlink_to(secret)
    assert runner.run(write).returncode == 0
    assert runner.said == []
    (runner.workspace / "comment.md").unlink()
    (runner.workspace / "comment.md").write_text("<!-- attrib: other -->\nfrom a fork " + "é" * 70_000)
    done = runner.run(write)
    assert done.returncode == 0, done.stderr
    ((method, address, body),) = runner.said
    assert (method, address) == ("POST", "repos/them/theirs/issues/9/comments")
    assert body.startswith(f"{MARKER}\n<!-- attrib: other -->\nfrom a fork é")
    assert 60_000 < len(body) < 65_000
    assert not list(runner.folder.rglob("pwned"))
