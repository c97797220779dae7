"""Captures that are killed, and what must hold of whatever they leave."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from attrib.api import load
from attrib.errors import AttribError
from attrib.model.manifest import Manifest
from attrib.traces.directory.trace_directory import open_directory

ROOT = Path(__file__).parents[2]
FAKE_OPTIONS = {"rounds": 4, "iterations": 3, "warmup": 3, "launches": 1, "max_time": 0.0, "threads": 1}
GONE_S = 60.0


class Launcher:
    """One process that starts captures, one at a time."""

    def __init__(self, folder: Path, *, fake: bool, model: str = "two-linears", **options: Any) -> None:
        self.folder, self.fake, self.model, self.options = folder, fake, model, options
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("fault_launcher.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=folder,
            env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}", "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def __enter__(self) -> "Launcher":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, act: str, place: "Place", **more: Any) -> int:
        """Start a capture or the rest of one; its pid."""
        job = {
            "act": act, "out": str(place.out), "tmp": str(place.private), "log": str(place.log), "fake": self.fake,
            "model": self.model, "options": self.options, **more,
        }  # fmt: skip
        assert self._process.stdin
        self._process.stdin.write(json.dumps(job) + "\n")
        return int(self._answer()["pid"])

    def wait(self) -> int:
        """How it ended: an exit code, negative for a signal."""
        return int(self._answer()["code"])

    def run(self, act: str, place: "Place", **more: Any) -> int:
        """Start and wait."""
        self.start(act, place, **more)
        return self.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the launcher is dead"
        return json.loads(line)


@dataclass
class Place:
    """Where one capture lies: its directory, its private TMPDIR, and what it printed."""

    folder: Path
    out: Path = field(init=False)
    private: Path = field(init=False)
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.out, self.private, self.log = self.folder / "out", self.folder / "tmp", self.folder / "log"
        self.private.mkdir()

    @property
    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def processes(self) -> dict[int, str]:
        """Processes that still run for this capture, with their command lines: they have its TMPDIR."""
        needle = f"TMPDIR={self.private}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if needle in (entry / "environ").read_bytes():
                        found[int(entry.name)] = (entry / "cmdline").read_text()
                except OSError:
                    continue
        return found

    def workers(self) -> list[int]:
        return [pid for pid, line in self.processes().items() if "watchdog" not in line]

    def wait_until_gone(self) -> None:
        deadline = time.monotonic() + GONE_S
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not left, f"processes stay behind: {left}"

    def manifest(self) -> Manifest | None:
        file = self.out / "manifest.json"
        return msgspec.json.decode(file.read_bytes(), type=Manifest) if file.exists() else None


def check_what_is_left(place: Place) -> str:
    """After a kill: the manifest is true, and `attrib report` says something or asks for --resume; what it did."""
    place.wait_until_gone()
    assert list(place.private.iterdir()) == [], "temporary files stay behind"
    manifest = place.manifest()
    if manifest is not None:
        check_hashes(place.out, manifest)
    hint = None
    try:
        document = load(place.out).document
    except AttribError as error:
        hint = error.hint
    if hint is not None:
        assert manifest is None or "--resume" in hint, hint
        return "nothing kept" if manifest is None else "nothing measured"
    return "headline" if "not profiled" in document.ledger[0].region else "whole report"


def check_hashes(root: Path, manifest: Manifest) -> None:
    for entry in manifest.files:
        if entry.state == "complete":
            data = (root / entry.path).read_bytes()
            assert len(data) == entry.size, entry.path
            assert hashlib.sha256(data).hexdigest() == entry.sha256, entry.path


def check_complete(place: Place, rounds: int, launches: int = 0, kept: int = 0) -> None:
    """A capture has all that it must have, and nothing else; the rounds that earlier launches left are theirs."""
    place.wait_until_gone()
    assert list(place.private.iterdir()) == []
    manifest = place.manifest()
    assert manifest is not None
    assert {side.state for side in manifest.sides.values()} == {"complete"}, manifest.sides
    check_hashes(place.out, manifest)
    found = {str(path.relative_to(place.out)) for path in place.out.rglob("*") if path.is_file()}
    listed = {entry.path for entry in manifest.files if entry.state == "complete"}
    assert found - {"report.html", "report.json"} == listed | {"manifest.json"}
    assert "latency.parquet" in listed
    assert not (place.out / "latency").exists()
    check_steps(place, rounds)
    measured = [launch.rounds for launch in manifest.launches]
    assert sum(measured) >= rounds, measured
    assert not launches or sum(measured[:launches]) >= kept, measured
    document = load(place.out).document
    assert document.latency.delta_ns is not None
    assert set(document.profiled) == {"torch", "onnxruntime"}


def check_steps(place: Place, rounds: int) -> None:
    """Every round of either side is there once, plain and profiled."""
    table = open_directory(place.out).latency()
    assert table is not None
    rows = list(zip(table.engine, table.phase, table.block.tolist(), table.iteration.tolist(), strict=True))
    doubled = [row for row, times in Counter(rows).items() if times > 1]
    assert not doubled, doubled[:3]
    for role in ("torch", "onnxruntime"):
        for phase in ("plain", "profiled"):
            blocks = {row[2] for row in rows if row[:2] == (role, phase)}
            assert blocks == set(range(rounds)), (role, phase, blocks)


def kept_rounds(place: Place) -> int:
    """Whole rounds that a killed capture left."""
    manifest = place.manifest()
    if manifest is None:
        return 0
    table = open_directory(place.out).latency()
    if table is None:
        return 0
    return len(set(table.blocks("torch", "plain")) & set(table.blocks("onnxruntime", "plain")))


def finish(launcher: Launcher, place: Place, rounds: int) -> str:
    """Resume what a kill left until it is whole; how that went."""
    kept, manifest = kept_rounds(place), place.manifest()
    if manifest is None:
        assert launcher.run("resume", place) == 3, place.said
        assert "attrib: error: " in place.said
        assert "Traceback" not in place.said
        return "told to begin anew"
    code = launcher.run("resume", place)
    assert code in (0, 10), place.said
    check_complete(place, rounds, len(manifest.launches), kept)
    return "was complete" if code == 10 else f"resumed with {kept} rounds"


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
