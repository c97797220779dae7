"""`attrib verify` as a process: what it lists, refuses, keeps and resumes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from attrib.cli import main
from attrib.model.experiment import ExperimentResult
from attrib.model.manifest import Manifest
from attrib.verify.results import Results

EVIL = """
from pathlib import Path
Path("ran").write_text("code of a stranger")
def run():
    Path("ran").write_text("code of a stranger")
"""


@pytest.fixture
def attrib(capsys):
    """`attrib verify` in this process: reading a sample takes longer than what is tested."""

    def run(*arguments):
        code = main.run(["verify", *map(str, arguments)])
        out, err = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=out, stderr=err)

    return run


def manifest_of(folder):
    return msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)


def write_manifest(folder, manifest):
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))


def error_of(result):
    lines = [line for line in result.stderr.splitlines() if line.startswith("attrib: error:")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


# What needs no engine


def test_list_shows_every_experiment_with_its_prediction_or_the_reason(attrib, sample_copy, monkeypatch):
    result = attrib(sample_copy, "--list", "--json")
    assert result.returncode == 0, result.stderr
    rows = json.loads(result.stdout)
    named = {row["id"]: row for row in rows}
    assert {"io-binding", "spinning-off", "nan-guard", "static-shapes"} <= set(named)
    assert named["static-shapes"]["applies"] is False
    assert "fixed sizes" in named["static-shapes"]["says"]
    assert named["nan-guard"]["predicted"]["saving_ns"]["median"] > 0
    assert all(row["says"] for row in rows)
    monkeypatch.setenv("COLUMNS", "80")
    table = attrib(sample_copy, "--list")
    lines = table.stdout.splitlines()
    assert {line.split()[0] for line in lines if line[:3].startswith("  ") and line[2:3].strip()} >= set(
        named
    )
    assert [line for line in lines if line[:1].strip()] == [
        "Named by a finding",
        "Applies too",
        "Does not apply",
    ]
    assert max(map(len, lines)) <= 80
    assert "predicted: saves" in table.stdout


def test_list_shows_only_what_is_named(attrib, sample_copy):
    rows = json.loads(attrib(sample_copy, "--list", "--json", "--experiment", "io-binding").stdout)
    assert [row["id"] for row in rows] == ["io-binding"]
    refused = attrib(sample_copy, "--list", "--experiment", "io-bindng")
    assert refused.returncode == 2
    assert "did you mean io-binding?" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--finding", "redundant-cast"), 2, "did you mean redundant-casts?"),
        (("--experiment", "io-bindng"), 2, "did you mean io-binding?"),
        (("--ablate", "no such node"), 2, "no such node"),
        (("--accept-changed-numbers",), 2, "works only with --best"),
        (("--onnx", "x.onnx"), 2, "brought no file"),
        (("--text", "hello"), 2, "without sentences"),
        (("--rounds", "1"), 2, "--rounds"),
        (("--against-ort", "nowhere/python"), 2, "--against-ort: there is no"),
        (("--against-ort", "/"), 2, "is a directory"),
        (("--against-ort", sys.executable, "--all", "--best"), 2, "leave out --all, --best"),
        (("--against-ort", "/bin/sh"), 3, "is no Python interpreter that works"),
    ],
)
def test_mistake_is_refused_before_anything_runs(attrib, sample_copy, arguments, code, says):
    before = (sample_copy / "manifest.json").read_bytes()
    result = attrib(sample_copy, *arguments)
    assert result.returncode == code
    assert says in result.stderr
    assert result.stdout == ""
    assert (sample_copy / "manifest.json").read_bytes() == before
    assert not (sample_copy / "verify").exists()


@pytest.mark.parametrize("source", ["factory", "built-in"])
def test_factory_that_a_directory_names_is_not_run(attrib, sample_copy, tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text(EVIL)
    manifest = manifest_of(sample_copy)
    write_manifest(
        sample_copy,
        replace(manifest, workload=replace(manifest.workload, model="evil.py:run", source=source)),
    )
    for arguments in (("--all",), ("--list",)):
        result = attrib(sample_copy, *arguments)
        if "--list" not in arguments:
            assert result.returncode == 2
            assert "attrib runs no model because a trace directory names it" in error_of(result)
    assert not (tmp_path / "ran").exists()


def test_directory_that_attrib_did_not_capture_is_refused(attrib, sample_copy):
    (sample_copy / "manifest.json").unlink()
    result = attrib(sample_copy)
    assert result.returncode == 3
    assert "attrib did not capture it" in error_of(result)


def test_damaged_result_is_one_line_and_gone_when_it_is_deleted(attrib, sample_copy):
    row = ExperimentResult(id="opset-23", title="t", side="onnxruntime", state="failed", reason="r")
    Results(sample_copy, manifest_of(sample_copy), ()).write(row)
    file = sample_copy / "verify/opset-23.json"
    assert attrib(sample_copy, "--list").returncode == 0
    file.write_bytes(file.read_bytes()[:-20])
    result = attrib(sample_copy, "--list")
    assert result.returncode == 3
    assert "verify/opset-23.json" in error_of(result)
    assert "delete verify/opset-23.json" in result.stderr
    file.unlink()
    assert attrib(sample_copy, "--list").returncode == 0


def test_text_of_a_stranger_is_shown_as_text(attrib, sample_copy):
    row = ExperimentResult(
        id="best",
        title="\x1b[31m[red]boo",
        side="onnxruntime",
        state="not_applicable",
        reason="\x1b]0;owned\x07[/]",
    )
    Results(sample_copy, manifest_of(sample_copy), ()).write(row)
    result = attrib(sample_copy, "--list")
    assert "\x1b" not in result.stdout + result.stderr


# With engines


@pytest.fixture
def place(two_linears, tmp_path):
    return shutil.copytree(two_linears, tmp_path / "place")


def kept(place):
    files = sorted((place / "trace/verify").glob("*.json"))
    return {r.id: r for r in (msgspec.json.decode(f.read_bytes(), type=ExperimentResult) for f in files)}


@pytest.mark.engines
def test_experiments_are_measured_kept_and_resumed(cli, place):
    arguments = ("--experiment", "io-binding", "--experiment", "nan-guard", "--rounds", "4")
    first = cli("verify", "trace", *arguments, cwd=place)
    assert first.returncode == 0, first.stderr
    assert "1 of 2: IO binding" in first.stderr
    results = kept(place)
    assert (results["io-binding"].state, results["nan-guard"].state) == ("measured", "not_applicable")
    assert results["io-binding"].outputs_equal is True
    assert results["io-binding"].saving_ns.low <= results["io-binding"].saving_ns.high
    assert "--io-binding" in first.stdout
    assert (place / "trace/report.html").exists()
    assert "IO binding" in (place / "trace/report.html").read_text()
    listed = {entry.path for entry in manifest_of(place / "trace").files}
    assert {"verify/io-binding.json", "verify/nan-guard.json", "latency.parquet"} <= listed

    second = cli("verify", "trace", *arguments, "--json", "--no-report", cwd=place)
    assert " of " not in second.stderr
    assert [row["id"] for row in json.loads(second.stdout)] == ["io-binding", "nan-guard"]
    assert kept(place) == results


@pytest.mark.slow
@pytest.mark.engines
def test_interrupted_run_keeps_what_is_done(place):
    env = os.environ | {"NO_COLOR": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-m", "attrib", "verify", "trace", "--experiment", "io-binding", "--experiment", "arena-off",
         "--rounds", "4", "--no-report"],
        cwd=place, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "2 of 2" in line:
            break
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "what was measured is kept (1 experiment)" in errors
    assert "the same command again" in errors
    assert {name: result.state for name, result in kept(place).items()} == {
        "io-binding": "measured", "arena-off": "interrupted",
    }  # fmt: skip


@pytest.mark.engines
def test_model_with_other_inputs_is_refused(cli, place):
    manifest = manifest_of(place / "trace")
    write_manifest(
        place / "trace",
        replace(manifest, workload=replace(manifest.workload, seed=1, inputs_sha256="0" * 64)),
    )
    result = cli("verify", "trace", "--experiment", "io-binding", cwd=place)
    assert result.returncode == 3
    assert "other inputs than in the capture" in error_of(result)
    assert not (place / "trace/verify").exists()


@pytest.mark.slow
@pytest.mark.engines
def test_program_of_a_configuration_runs_by_itself(place, tmp_path):
    from attrib.capture.session.request_from_manifest import options_of
    from attrib.verify.snippet import snippet_of

    options = options_of(manifest_of(place / "trace"))
    tuned = replace(
        options, io_binding=True, opt_level="basic", disabled_optimizers=("MatMulAddFusion",),
        session_options=("session.intra_op.allow_spinning=0", "enable_cpu_mem_arena=0", "execution_mode=parallel"),
    )  # fmt: skip
    outputs = []
    for number, one in enumerate((options, tuned)):
        program = tmp_path / f"best{number}.py"
        program.write_text(snippet_of(one, 2))
        done = subprocess.run(
            [sys.executable, "-I", program, place / "models/exported.onnx", place / "trace", tmp_path / f"{number}.npz"],
            capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        milliseconds = float(done.stdout.removeprefix("median step: ").split()[0])
        assert 0.001 < milliseconds < 50
        with np.load(tmp_path / f"{number}.npz") as found:
            outputs.append({name: found[name] for name in found.files})
    assert outputs[0].keys() == outputs[1].keys()
    np.testing.assert_allclose(outputs[0]["output_0"], outputs[1]["output_0"], rtol=1e-4, atol=1e-5)
