"""What holds for every command: names of commands, and streams that are closed, full or of a poor encoding."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ATTRIB = (sys.executable, "-m", "attrib")


def shell(line, *args, **env):
    return subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", line, "bash", *args],
        check=False, capture_output=True, text=True, errors="replace", env={**os.environ, "NO_COLOR": "1", **env},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("profle", "did you mean `attrib profile`?"),
        ("reports", "did you mean `attrib report`?"),
        ("xyz", "one of profile, report, diff, check"),
    ],
)
def test_a_command_that_there_is_not(cli, word, said):
    done = cli(word)
    assert done.returncode == 2
    assert f"there is no command '{word}'" in done.stderr
    assert said in done.stderr


def test_a_model_without_its_option_is_told_how(cli):
    done = cli("profile", "bert-base-uncased")
    assert done.returncode == 2
    assert "did you mean `attrib profile --model bert-base-uncased`?" in done.stderr


def test_a_file_without_its_function_is_told_which_it_has(cli, tmp_path):
    (tmp_path / "big.py").write_text(
        "import sys\nsys.exit('it ran')\ndef _x(): pass\ndef helper(x): pass\ndef make(size=1): pass\n"
    )
    done = cli("profile", "--model", "big.py", cwd=tmp_path, env={"PYTHONPATH": str(Path.cwd())})
    assert done.returncode == 3
    assert "try: --model big.py:make" in done.stderr


def test_who_reads_one_line_only_has_the_report(sample_copy):
    done = shell(
        '"$1" -m attrib report "$2" | head -1 >/dev/null; exit ${PIPESTATUS[0]}', sys.executable, sample_copy
    )
    assert done.returncode in (0, 141), done.stderr  # what is printed may fit into the pipe
    assert not done.stderr
    assert (sample_copy / "report.html").is_file()
    assert (sample_copy / "report.json").is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_one_line(sample_copy):
    done = shell('"$1" -m attrib report "$2" > /dev/full', sys.executable, sample_copy)
    assert done.returncode == 3
    assert done.stderr.startswith("attrib: error: standard output: No space left on device\n")
    assert "Exception ignored" not in done.stderr
    assert (sample_copy / "report.html").is_file()


def test_a_closed_stdout_is_no_bug(sample_copy):
    done = shell('"$1" -m attrib report "$2" --format json -o - >&-', sys.executable, sample_copy)
    assert done.returncode == 3
    assert "standard output is closed" in done.stderr
    done = shell('"$1" -m attrib report "$2" >&-', sys.executable, sample_copy)
    assert (done.returncode, done.stderr) == (0, "")
    assert (sample_copy / "report.html").is_file()


@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONIOENCODING": "cp1252"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
)
def test_a_terminal_gets_what_it_can_show(sample_copy, env):
    done = shell('"$1" -m attrib report "$2"', sys.executable, sample_copy, **env)
    assert done.returncode == 0, done.stderr
    assert "a step" in done.stdout
    assert "\\u" not in done.stdout
    assert (sample_copy / "report.html").is_file()
