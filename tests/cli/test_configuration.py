"""Options from attrib.toml, pyproject.toml and the environment: which counts, what no file may set, and what is said."""

import importlib
import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import click
import pytest
from click.core import ParameterSource
from hypothesis import given, settings
from hypothesis import strategies as st

from attrib.cli.command import Command, words_from_elsewhere
from attrib.cli.configuration import (
    Configuration,
    find_configuration,
    key_of,
    may_stand_in_a_file,
    options_from,
    options_of,
)
from attrib.cli.main import COMMANDS
from attrib.errors import UsageError

OWN = [
    command
    for name in COMMANDS
    if isinstance(command := importlib.import_module(f"attrib.cli.{name}").command, Command)
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A repository's root, three folders above the working directory."""
    (tmp_path / "repo/.git").mkdir(parents=True)
    below = tmp_path / "repo/a/b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    for name in list(os.environ):
        if name.startswith("ATTRIB_"):
            monkeypatch.delenv(name)
    return tmp_path / "repo"


def context_of(command, *args):
    return command.make_context(command.name, [*args])


@pytest.fixture
def profile():
    from attrib.cli.profile import command

    return lambda *args: context_of(command, "--model", "two-linears", *args)


@pytest.mark.parametrize(
    ("name", "heading"), [("pyproject.toml", "tool.attrib.profile"), ("attrib.toml", "profile")]
)
def test_a_file_above_the_working_directory_counts(place, profile, name, heading):
    (place / name).write_text(
        f'[{heading}]\nlaunches = 4\nmax-time = 2\nno-values = true\nprovider = ["openvino", "cpu"]\ntask = "fill-mask"\n'
    )
    given = profile().params
    assert (given["launches"], given["max_time"], given["no_values"]) == (4, 2.0, True)
    assert (given["providers"], given["task"]) == (("openvino", "cpu"), "fill-mask")


def test_the_nearest_file_counts_alone_and_attrib_toml_before_pyproject(place, profile):
    (place / "attrib.toml").write_text("[profile]\nlaunches = 4\nseed = 7\n")
    (place / "a/pyproject.toml").write_text("[tool.attrib.profile]\nlaunches = 5\n")
    assert (profile().params["launches"], profile().params["seed"]) == (5, 0)
    (place / "a/attrib.toml").write_text("[profile]\nlaunches = 6\n")
    assert profile().params["launches"] == 6


def test_a_project_without_tables_of_attrib_is_passed_by_and_the_root_of_the_repository_ends_the_search(
    place, profile
):
    (place / "a/b/pyproject.toml").write_text("[tool.other]\nx = 1\n")
    (place.parent / "attrib.toml").write_text("[profile]\nlaunches = 9\n")
    assert profile().params["launches"] is None
    (place / "attrib.toml").write_text("[profile]\nlaunches = 4\n")
    assert profile().params["launches"] == 4


def test_the_command_line_comes_before_the_environment_before_the_file_before_the_default(
    place, profile, monkeypatch
):
    assert profile().params["rounds"] == 12
    (place / "attrib.toml").write_text("[profile]\nrounds = 3\n")
    assert profile().params["rounds"] == 3
    monkeypatch.setenv("ATTRIB_PROFILE_ROUNDS", "4")
    assert profile().params["rounds"] == 4
    assert profile("--rounds", "5").params["rounds"] == 5


def test_a_repeatable_option_has_a_value_on_each_line_of_its_variable(place, profile, monkeypatch):
    monkeypatch.setenv("ATTRIB_PROFILE_TEXT", "the first sentence\nthe second\n")
    assert profile().params["text"] == ("the first sentence", "the second")


def test_an_empty_variable_says_nothing(place, profile, monkeypatch):
    (place / "attrib.toml").write_text("[profile]\nrounds = 3\n")
    monkeypatch.setenv("ATTRIB_PROFILE_ROUNDS", "")
    assert profile().params["rounds"] == 3


@pytest.mark.parametrize("command", OWN, ids=lambda command: command.name)
def test_every_option_has_a_variable_of_its_own(command):
    variables = [option.envvar for option in options_of(command)]
    assert len(set(variables)) == len(variables)
    for option in options_of(command):
        assert option.envvar == f"ATTRIB_{command.name}_{key_of(option)}".upper().replace("-", "_")


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("[profile]\nlaunchs = 3", "[profile] has an unknown key 'launchs'", "did you mean launches?"),
        ("[profile]\nmax_time = 3", "has an unknown key 'max_time'", "did you mean max-time?"),
        ("[profil]\nlaunches = 3", "there is no command 'profil'", "did you mean profile?"),
        ("launches = 3", "there is no command 'launches'", "one table for each command, e.g. [profile]"),
        ("profile = 3", "[profile] is no table", ""),
        ('[profile]\nlaunches = "3"', "launches: takes a whole number", ""),
        ("[profile]\nlaunches = true", "launches: takes a whole number", ""),
        ("[profile]\nlaunches = [3]", "launches: takes a whole number", ""),
        ("[profile]\npadding = false", "padding: takes a number", ""),
        ("[profile]\nno-values = 1", "no-values: takes true or false", ""),
        ('[profile]\nprovider = "cpu"', "provider: takes a list of text", ""),
        ("[profile]\nprovider = [1]", "provider: takes a list of text", ""),
        ('[profile]\ndevice = "tpu"', "device: 'tpu' is not one of", ""),
        ("[profile", "attrib.toml: is no TOML", ""),
        ("x = " + "[" * 10_000, "attrib.toml: is no TOML", ""),
        ("#" * (1 << 20) + "\n", "is larger than", ""),
    ],
)
def test_what_makes_no_sense_in_a_file_is_bad_usage(place, profile, text, said, hint):
    (place / "a/b/attrib.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        profile()
    assert str(caught.value).startswith("attrib.toml: ")
    assert said in str(caught.value)
    assert caught.value.hint.startswith(hint)


VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(datetime(2026, 1, 1)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=100)
@given(name=st.sampled_from(OWN), data=st.data())
def test_whatever_a_file_holds_is_an_option_or_bad_usage(name, data):
    keys = st.sampled_from([key_of(option) for option in options_of(name)] + ["rules", "x"])
    table = data.draw(st.dictionaries(keys, VALUES, max_size=2) | VALUES)
    context = click.Context(name, info_name=name.name)
    try:
        options = options_from(Configuration(Path("attrib.toml"), "", {name.name: table}), context)
    except UsageError:
        return
    by_name = {option.name: option for option in options_of(name)}
    assert all(may_stand_in_a_file(by_name[one]) for one in options)


def test_a_misspelled_variable_is_bad_usage(place, profile, monkeypatch):
    monkeypatch.setenv("ATTRIB_PROFILE_LAUNCHS", "3")
    with pytest.raises(
        UsageError, match="ATTRIB_PROFILE_LAUNCHS in the environment names no option"
    ) as caught:
        profile()
    assert caught.value.hint == "did you mean ATTRIB_PROFILE_LAUNCHES?"


def test_a_value_that_no_option_takes_names_its_variable(place, profile, monkeypatch):
    monkeypatch.setenv("ATTRIB_PROFILE_ROUNDS", "many")
    with pytest.raises(
        UsageError, match="ATTRIB_PROFILE_ROUNDS in the environment: 'many' is not a valid integer"
    ):
        profile()
    monkeypatch.setenv("ATTRIB_PROFILE_ROUNDS", "3")
    with pytest.raises(click.BadParameter):
        profile("--rounds", "many")


def test_help_is_given_whatever_a_file_says(cli, tmp_path):
    (tmp_path / "attrib.toml").write_text("[profile]\nlaunchs = 3\n")
    assert cli("profile", "--help", cwd=tmp_path, quickly=False).returncode == 0
    assert cli("profile", "--model", "two-linears", cwd=tmp_path, quickly=False).returncode == 2


TAKEN_FROM_FILES = {
    "profile": {
        "attention", "autocast", "batch-size", "cache-length", "compress", "cuda-graph", "device",
        "disable-optimizer", "dynamic-shapes", "exporter", "io-binding", "iterations", "launches", "layers",
        "max-time", "no-report", "no-values", "opset", "opt-level", "optimize", "padding", "precision", "provider",
        "quiet", "rounds", "seed", "seq-len", "strict", "task", "text", "threads", "timeout", "tolerance",
        "torch-mode", "verbose", "warmup",
    },
    "report": {"format", "lenient", "quiet", "static"},
    "diff": {"format", "quiet", "strict"},
    "check": {"baseline", "format", "max-delta", "max-ratio", "quiet", "rule"},
    "export": set(),
    "verify": {
        "accept-changed-numbers", "again", "all", "best", "iterations", "json", "launches", "list", "max-time", "no-report",
        "quiet", "rounds", "text", "timeout", "tolerance", "verbose",
    },
    "explain": {"json"},
    "inspect": {"json", "lenient"},
    "doctor": {"json"},
    "rules": {"json"},
}  # fmt: skip
"""What somebody has looked at: a new option that a file may set is a decision, and stands here."""


@pytest.mark.parametrize("command", OWN, ids=lambda command: command.name)
def test_a_file_sets_what_is_listed_here_and_nothing_else(command):
    taken = {key_of(option) for option in options_of(command) if may_stand_in_a_file(option)}
    assert taken == TAKEN_FROM_FILES[command.name]


@pytest.mark.parametrize("command", OWN, ids=lambda command: command.name)
def test_what_no_file_may_set_is_refused_and_documented(place, root, command):
    documented = (root / "docs/configuration.md").read_text()
    for option in options_of(command):
        if may_stand_in_a_file(option):
            continue
        value = "true" if option.is_flag else '["x"]' if option.multiple else '"x"'
        (place / "attrib.toml").write_text(f"[{command.name}]\n{key_of(option)} = {value}\n")
        with pytest.raises(UsageError, match="is taken from no file") as caught:
            context_of(command, *("x" for one in command.params if isinstance(one, click.Argument)))
        assert str(option.envvar) in caught.value.hint
        assert option.hidden or f"`--{key_of(option)}`" in documented


def test_a_stranger_s_file_runs_and_writes_nothing(cli, tmp_path):
    (tmp_path / "evil.py").write_text("open('ran', 'w')\ndef make(): pass\n")
    (tmp_path / "attrib.toml").write_text('[profile]\nmodel = "evil.py:make"\noutput = "there"\n')
    done = cli("profile", cwd=tmp_path)
    assert done.returncode == 2
    assert "model is taken from no file" in done.stderr
    assert {one.name for one in tmp_path.iterdir()} == {"evil.py", "attrib.toml"}


def test_what_came_from_elsewhere_is_written_as_a_command_line(place, profile, monkeypatch):
    (place / "attrib.toml").write_text(
        '[profile]\nprovider = ["openvino", "cpu"]\nno-values = true\nautocast = false\nquiet = true\n'
    )
    monkeypatch.setenv("ATTRIB_PROFILE_SEED", "7")
    context = profile("--rounds", "3")
    assert context.get_parameter_source("autocast") is ParameterSource.DEFAULT_MAP
    assert words_from_elsewhere(context) == [
        "--provider", "openvino", "--provider", "cpu", "--seed", "7", "--no-values",
    ]  # fmt: skip


def test_the_command_that_a_capture_records_has_what_came_from_elsewhere(place, profile, monkeypatch):
    import attrib.capture
    from attrib.cli.capturing import run_capture

    (place / "attrib.toml").write_text("[profile]\nlaunches = 4\n")
    recorded = []

    def capture(options, *, progress):
        recorded.append((options.launches, options.command))
        return place

    monkeypatch.setattr(attrib.capture, "capture", capture)
    monkeypatch.setattr(sys, "argv", ["attrib", "profile", "--model", "two-linears"])
    context = profile()
    options = {name: context.params[name] for name in ("model", "launches")}
    assert run_capture(context, None, options, attrib.capture.NoProgress()) == (place, None)
    assert recorded == [(4, "attrib profile --model two-linears --launches 4")]


def test_a_resumed_capture_is_not_said_to_take_what_it_does_not(place, profile):
    (place / "attrib.toml").write_text("[profile]\nlaunches = 4\ntimeout = 9\n")
    from attrib.cli.profile import command

    heeded = command.heeded(context_of(command, "--resume", "traces"))
    assert "timeout" in heeded
    assert "launches" not in heeded
    assert "launches" in command.heeded(profile())


def test_a_folder_that_was_deleted_has_no_file(tmp_path):
    gone = tmp_path / "gone"
    program = f"import os; os.mkdir({str(gone)!r}); os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})\n"
    program += "from attrib.cli.configuration import find_configuration; assert find_configuration() is None"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_no_file_means_no_options(place):
    assert find_configuration() is None


def test_a_pipe_of_that_name_is_no_file(place):
    os.mkfifo(place / "attrib.toml")
    assert find_configuration() is None


def test_who_reads_a_report_is_told_which_file_gave_options(cli, sample_copy, tmp_path):
    (tmp_path / "attrib.toml").write_text("[report]\nstatic = true\n")
    done = cli("report", sample_copy, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "attrib: from attrib.toml: --static\n")
    quiet = cli("report", "-q", sample_copy, cwd=tmp_path)
    assert quiet.stderr == ""
    first, *others = quiet.stdout.splitlines()
    assert first.startswith("ONNX Runtime is ")
    assert [line.rpartition("/")[2] for line in others] == ["report.html", "report.json"]


@pytest.mark.engines
@pytest.mark.slow
def test_a_capture_says_which_file_gave_options_and_records_a_command_that_gives_it_again(cli, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "pyproject.toml").write_text(
        "[tool.attrib.profile]\niterations = 3\nno-values = true\nlaunches = 9\n"
    )
    done = cli(
        "profile", "--model", "two-linears", "-o", "out", "--no-report", cwd=tmp_path / "sub",
        env={"ATTRIB_PROFILE_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # The command line of the test has --launches.
    assert done.stderr.startswith("attrib: from ../pyproject.toml: --iterations 3 --no-values\n")
    manifest = json.loads((tmp_path / "sub/out/manifest.json").read_text())
    command = manifest["command"].split()
    assert command[-5:] == ["--threads", "1", "--iterations", "3", "--no-values"]
    assert command.count("--launches") == 1
    assert (manifest["asked"]["threads"], manifest["asked"]["iterations"]) == (1, 3)
