"""Attacks run by the table: one process for all cases of a module, one fresh capture for each."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hostile_capture import Capture, Case, small_capture
from hostile_judge import SECRET, Result

BATCH = Path(__file__).with_name("hostile_batch.py")

Attack = Callable[[Iterable[Case]], dict[str, Result]]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The capture that every case starts from."""
    folder = tmp_path_factory.mktemp("small") / "capture"
    small_capture(folder)
    return folder


@pytest.fixture(scope="module")
def attack(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Attack:
    """Run cases, all in one process, and return each one's result by name."""

    def run(cases: Iterable[Case]) -> dict[str, Result]:
        folder = tmp_path_factory.mktemp("attack")
        outside = folder / "outside"
        outside.mkdir()
        shutil.copytree(small, outside / "capture")
        (outside / "secret.json").write_text(json.dumps([SECRET]))
        jobs = [_prepared(case, folder / str(number), small, outside) for number, case in enumerate(cases)]
        (folder / "jobs.json").write_text(json.dumps(jobs))
        env = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100"}
        done = subprocess.run(
            [sys.executable, BATCH, folder / "jobs.json"],
            capture_output=True, text=True, timeout=240, check=False, env=env, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        ended = {line["name"]: line for line in lines if "name" in line}
        assert len(ended) == len(jobs), f"ended by {lines[-1:]}: code {done.returncode}, {done.stderr[-500:]}"
        return {job["name"]: _result(ended[job["name"]], Path(job["folder"]), outside) for job in jobs}

    return run


@pytest.fixture(scope="module")
def results(attack: Attack, request: pytest.FixtureRequest) -> dict[str, Result]:
    """How attrib answered each of the module's cases, by their names."""
    module = request.module
    return attack(getattr(module, "EVERY_CASE", None) or module.CASES)


def _prepared(case: Case, folder: Path, small: Path, outside: Path) -> dict[str, object]:
    root = folder / "capture"
    shutil.copytree(small, root)
    capture = Capture(root, outside)
    case.tamper(capture)
    capture.seal()
    args = [arg.replace("{dir}", str(root)) for arg in case.args]
    return {"name": case.name, "args": args, "folder": str(folder)}


def _result(line: dict[str, object], folder: Path, outside: Path) -> Result:
    return Result(
        code=line["code"],
        seconds=line["seconds"],
        memory=line["memory"],
        opened=tuple(line["opened"]),
        stdout=(folder / "stdout").read_text(errors="replace"),
        stderr=(folder / "stderr").read_text(errors="replace"),
        root=folder / "capture",
        outside=outside,
    )
