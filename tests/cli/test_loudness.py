"""`-q` and `-v`: what is left of the output, and what the engines' processes say."""

import io

import click
import pytest

from attrib.cli import progress
from attrib.cli.command import Command, is_quiet, is_verbose
from attrib.model.experiment import ExperimentResult


@pytest.fixture
def said(monkeypatch, tmp_path):
    """What a command with both switches makes of its arguments."""
    monkeypatch.chdir(tmp_path)

    def run(*args, then=lambda: None):
        seen = []

        @click.command("talk", cls=Command, quiet="Say less.", verbose=True)
        def talk():
            seen.append((is_quiet(), is_verbose()))
            then()

        talk.main([*args], standalone_mode=False)
        return seen[0]

    return run


def test_the_command_line_decides_between_the_two(said, monkeypatch, tmp_path):
    assert said() == (False, False)
    assert said("-q") == (True, False)
    assert said("-v") == (False, True)
    monkeypatch.setenv("ATTRIB_TALK_QUIET", "1")
    assert said() == (True, False)
    assert said("-v") == (False, True)


def test_a_file_that_wants_quiet_is_told_all_the_same(said, tmp_path, capsys):
    (tmp_path / "attrib.toml").write_text("[talk]\nquiet = true\n")
    assert said() == (True, False)
    assert capsys.readouterr().err == "attrib: from attrib.toml: --quiet\n"
    assert said("-v") == (False, True)
    assert said("-q") == (True, False)
    assert capsys.readouterr().err == "", "the command line says otherwise, or the same"


def test_both_at_once_make_no_sense(cli):
    done = cli("profile", "-q", "-v", "--model", "two-linears")
    assert done.returncode == 2
    assert "-q and -v contradict each other" in done.stderr


def test_nothing_is_quiet_outside_a_command():
    assert (is_quiet(), is_verbose()) == (False, False)


def test_quiet_leaves_warnings():
    stream = io.StringIO()
    shown = progress.OnlyWarnings(stream)
    shown.phase("measure")
    shown.update(0.5, 3.0)
    shown.hear("torch", "a line")
    shown.warn("the machine is busy")
    assert stream.getvalue() == "attrib: warning: the machine is busy\n"


def test_a_line_of_an_engine_is_shown_with_its_name_and_controls_nothing():
    stream = io.StringIO()
    progress.PlainProgress(stream, hears_engines=True).hear("onnxruntime", "\x1b[31mred\x1b[0m")
    assert stream.getvalue() == "onnxruntime: \\x1b[31mred\\x1b[0m\n"


def test_quiet_leaves_the_results_of_experiments_without_their_notes(said, tmp_path, capsys):
    from attrib.cli.verify_output import show_results

    row = ExperimentResult(
        id="opset-23",
        title="Opset 23",
        side="onnxruntime",
        state="failed",
        reason="no kernel",
        note="a long story",
    )
    for args in ((), ("-q",)):
        said(*args, then=lambda: show_results([row], as_json=False, root=tmp_path))
        out = capsys.readouterr().out
        assert "failed: no kernel" in out
        assert ("a long story" in out) == (args == ())


SPEAKING = """
import logging, warnings, torch
def make():
    print("printed by the model")
    logging.getLogger("mine").warning("logged by the model")
    return torch.nn.Linear(4, 4), (torch.randn(2, 4),)
"""


@pytest.mark.engines
@pytest.mark.slow
def test_verbose_shows_what_the_model_prints_and_quiet_nothing(cli, tmp_path):
    (tmp_path / "mine.py").write_text(SPEAKING)
    options = ("--model", "mine.py:make", "--iterations", "3", "--no-values", "--no-report")
    loud = cli("profile", *options, "-o", "loud", "-v", cwd=tmp_path)
    assert (loud.returncode, loud.stdout) == (0, "loud\n"), loud.stderr
    lines = loud.stderr.splitlines()
    assert "torch: printed by the model" in lines
    assert "torch: logged by the model" in lines
    assert any(line.startswith("[") and line.endswith("Loading the model") for line in lines)
    quiet = cli("profile", *options, "-o", "quiet", "-q", cwd=tmp_path)
    assert (quiet.returncode, quiet.stdout) == (0, "quiet\n")
    assert [line for line in quiet.stderr.splitlines() if not line.startswith("attrib: warning:")] == []
