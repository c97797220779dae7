"""`attrib doctor`: what it prints, how wide, and its exit code."""

import json

import pytest
from click.testing import CliRunner

from attrib.capture.system import doctor_checks as health
from attrib.capture.system.doctor_checks import Health, HealthCheck
from attrib.cli import main
from attrib.cli.doctor import command

LONG = (
    "libcublasLt.so.13 not found: CUDA 13 libraries are missing, and more words that make the line too long"
)
CHECKS = (
    HealthCheck(section="Software", name="PyTorch", state="ok", detail="2.13.0"),
    HealthCheck(
        section="Execution providers", name="CUDAExecutionProvider", state="warn", detail=LONG, fix=LONG
    ),
    HealthCheck(section="Execution providers", name="Odd", state="note", detail="bell \x07 [bold]x[/bold]"),
)


@pytest.fixture
def machine(monkeypatch):
    def install(*more):
        checks = (*CHECKS, *more)
        found = Health(healthy=all(c.state != "fail" for c in checks), checks=checks)
        monkeypatch.setattr(health, "examine", lambda *_: found)
        return found

    return install


def output(*args, columns="80"):
    return CliRunner(env={"COLUMNS": columns, "NO_COLOR": "1", "TERM": "xterm"}).invoke(command, args)


def test_every_line_fits_the_terminal(machine):
    machine()
    lines = output().stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(" ".join(lines).split()).count("more words that make the line too long") == 2


def test_the_state_is_a_word_and_markup_is_inert(machine):
    machine()
    text = output().stdout
    assert "  warn  CUDAExecutionProvider" in text
    assert "[bold]x[/bold]" in text
    assert "\x07" not in text
    assert "\x1b" not in text


def test_the_last_line_is_the_verdict(machine):
    machine()
    assert output().stdout.splitlines()[-1] == "attrib can profile on this machine; 1 warning above."


def test_json_holds_every_check(machine):
    found = machine()
    document = json.loads(output("--json").stdout)
    assert document["healthy"] is True
    assert [c["name"] for c in document["checks"]] == [c.name for c in found.checks]


def test_a_machine_that_cannot_work_exits_with_three(machine, capsys):
    machine(
        HealthCheck(
            section="Software", name="onnx", state="fail", detail="not installed", fix="pip install onnx"
        )
    )
    assert main.run(["doctor"]) == 3
    captured = capsys.readouterr()
    assert "attrib cannot work here: 1 of 4 checks failed." in captured.out
    assert "onnx: not installed" in captured.err
    assert "pip install onnx" in captured.err


def test_a_machine_that_can_work_exits_with_zero(machine):
    machine()
    assert main.run(["doctor", "--json"]) == 0


@pytest.mark.engines
def test_this_machine_can_work():
    result = output("--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["healthy"] is True
