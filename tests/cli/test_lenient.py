"""`--lenient`, standard input and progress, as the user meets them."""

import gzip
import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from attrib.api import load
from attrib.errors import AttribError

SAMPLE = Path(__file__).parents[2] / "sample_traces" / "distilbert-base-uncased"
EVENT = '{"ph":"X","cat":"cpu_op","name":"aten::mm","pid":1,"tid":1,"ts":1,"dur":2}'
TRACE = ('{"schemaVersion":1,"traceEvents":[' + ",".join([EVENT] * 20) + "]}").encode()
ATTRIB = [sys.executable, "-m", "attrib.cli"]


def attrib(*args, stdin=None):
    return subprocess.run(
        [*ATTRIB, *map(str, args)], input=stdin, capture_output=True, timeout=120, check=False
    )


@pytest.fixture
def cut(tmp_path):
    path = tmp_path / "cut.json"
    path.write_bytes(TRACE[: len(TRACE) // 2])
    return path


def test_inspect_refuses_a_cut_file_in_one_line(cut):
    done = attrib("inspect", cut)
    assert done.returncode == 3
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 2
    assert "event 9, byte" in lines[0]


def test_inspect_says_on_its_first_lines_what_was_lost(cut):
    done = attrib("inspect", "--lenient", cut)
    text = " ".join(done.stdout.decode().split())
    assert (done.returncode, done.stderr) == (0, b"")
    assert "is damaged at event 9, byte" in text
    assert "9 events were recovered, 1 was lost" in text
    assert text.index("is damaged") < text.index("9 events ")
    found = json.loads(attrib("inspect", "--lenient", "--json", cut).stdout)["damage"]
    assert (found["recovered"], found["lost"], found["cut"], found["event"]) == (9, 1, True, 9)


def test_inspect_of_an_intact_file_has_no_damage(tmp_path):
    path = tmp_path / "whole.json"
    path.write_bytes(TRACE)
    assert json.loads(attrib("inspect", "--lenient", "--json", path).stdout)["damage"] is None


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_dash_is_standard_input(pack):
    done = attrib("inspect", "-", stdin=pack(TRACE))
    assert (done.returncode, done.stderr) == (0, b"")
    assert "Kineto trace  standard input" in done.stdout.decode()
    assert "20 events" in done.stdout.decode()
    broken = attrib("inspect", "-", stdin=b"")
    assert (broken.returncode, broken.stdout) == (3, b"")
    assert b"standard input: the file is empty" in broken.stderr


def test_a_terminal_gives_no_trace():
    leader, follower = pty.openpty()
    done = subprocess.run(
        [*ATTRIB, "inspect", "-"], stdin=follower, capture_output=True, timeout=60, check=False
    )
    os.close(leader)
    os.close(follower)
    assert done.returncode == 2
    assert b"standard input is a terminal" in done.stderr


def test_progress_is_for_terminals(tmp_path, monkeypatch):
    from attrib.cli import reading

    with reading.reading_progress() as progress:
        assert progress is None  # stderr is a file here
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(reading, "SHOWN_AFTER", 0.0)
    with reading.reading_progress() as progress:
        assert progress is not None
        progress(1 << 20, 1 << 21)
        progress(1 << 21, 1 << 21)
    monkeypatch.setattr(reading, "SHOWN_AFTER", 3600.0)
    with reading.reading_progress() as progress:
        progress(1 << 21, 1 << 21)


@pytest.fixture
def damaged(tmp_path):
    """A capture whose profile was cut after the manifest was written."""
    folder = tmp_path / "capture"
    shutil.copytree(SAMPLE, folder)
    profile = folder / "ort" / "profile.json.gz"
    profile.write_bytes(profile.read_bytes()[: profile.stat().st_size * 2 // 3])
    return folder


def test_a_damaged_capture_is_refused(damaged):
    with pytest.raises(AttribError, match="the manifest says"):
        load(damaged)
    done = attrib("report", damaged)
    assert done.returncode == 3
    assert len(done.stderr.decode().splitlines()) == 2


def test_every_form_of_the_report_says_first_that_the_input_is_damaged(damaged):
    done = attrib("report", "--lenient", damaged)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().startswith(
        "!! The input is damaged: this report shows only what was recovered"
    )
    data = json.loads((damaged / "report.json").read_bytes())
    (damage,) = data["damage"]
    assert damage["file"] == "ort/profile.json.gz"
    assert damage["packed"]
    assert damage["recovered"] > 1000
    page = (damaged / "report.html").read_text()
    assert page.index("The input is damaged") < page.index("ort/profile.json.gz is damaged at event")
    markdown = attrib("report", "--lenient", damaged, "--format", "markdown").stdout.decode()
    assert markdown.index("The input is damaged") < markdown.index("| Cause |")


def test_a_changed_file_that_reads_well_is_damage_too(tmp_path):
    folder = tmp_path / "capture"
    shutil.copytree(SAMPLE, folder)
    trace = folder / "torch" / "trace.json.gz"
    trace.write_bytes(gzip.compress(gzip.decompress(trace.read_bytes()), compresslevel=1))
    with pytest.raises(AttribError, match="the manifest says"):
        load(folder)
    (damage,) = load(folder, lenient=True).document.damage
    assert (damage.file, damage.places, damage.lost) == ("torch/trace.json.gz", 0, 0)
    assert "changed after the capture" in damage.sentence()


def test_an_intact_capture_has_no_damage():
    assert load(SAMPLE, lenient=True).document.damage == ()
