"""A small capture that can be tampered with: its manifest is sealed again, so that tampering reaches the parsers."""

import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

SAMPLE = Path(__file__).parents[2] / "sample_traces" / "distilbert-base-uncased"
STEPS = 4
"""Profiled steps kept: two rounds of two."""

Outcome = Literal["error", "report", "either"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One attack.

    Attributes:
        name: What is wrong, for the reader of a failure.
        tamper: Does it to a fresh capture.
        outcome: What attrib must answer with: one line and exit code 3, a report, or either of them.
        says: What the error or the report must hold.
        never: What no output may hold.
        args: The command; `{dir}` stands for the directory.
    """

    name: str
    tamper: Callable[["Capture"], None]
    outcome: Outcome = "error"
    says: str = ""
    never: tuple[str, ...] = ()
    args: tuple[str, ...] = ("report", "{dir}", "--static")


@dataclass
class Capture:
    """A trace directory of the attacker, and a folder beside it that nobody may read."""

    root: Path
    outside: Path
    manifest: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.manifest = json.loads((self.root / "manifest.json").read_bytes())

    def put(self, name: str, data: bytes) -> None:
        """Write a file, gzip where its name says so."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data, 1, mtime=0) if name.endswith(".gz") else data)
        self.claim(name)

    def put_json(self, name: str, value: object) -> None:
        """Write a value as JSON."""
        self.put(name, json.dumps(value).encode())

    def json(self, name: str) -> Any:
        """A file of the capture that holds JSON, packed or not."""
        data = (self.root / name).read_bytes()
        return json.loads(gzip.decompress(data) if name.endswith(".gz") else data)

    def claim(self, name: str, **changes: object) -> None:
        """Enter a file into the manifest, with its true hash and size where none are given."""
        entry = self.entry(name)
        if entry is None:
            entry = {"path": name, "state": "complete", "reason": ""}
            self.manifest["files"].append(entry)
        path = self.root / name
        if path.is_file() and not changes:
            data = path.read_bytes()
            changes = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        entry |= changes

    def entry(self, name: str) -> dict[str, Any] | None:
        """The manifest's entry of a file."""
        return next((e for e in self.manifest["files"] if e["path"] == name), None)

    def drop(self, *names: str) -> None:
        """Delete files and what the manifest says of them."""
        for name in names:
            (self.root / name).unlink()
        self.manifest["files"] = [e for e in self.manifest["files"] if e["path"] not in names]

    def link(self, name: str, target: str | Path) -> None:
        """Replace a file by a symbolic link; the manifest goes on claiming it."""
        path = self.root / name
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
        self.claim(name)

    def foreign(self) -> None:
        """Make it a directory that attrib did not write."""
        self.manifest = {}
        (self.root / "manifest.json").unlink()
        (self.root / "latency.parquet").unlink()

    def seal(self) -> None:
        """Write the manifest, unless there is none or a file stands in its place."""
        if self.manifest:
            (self.root / "manifest.json").write_text(json.dumps(self.manifest))


def small_capture(target: Path) -> None:
    """The sample with its first profiled steps only, so that hundreds of attacks take seconds."""
    target.mkdir(parents=True)
    for path in sorted(SAMPLE.rglob("*")):
        if path.is_file():
            copy = target / path.relative_to(SAMPLE)
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(path.read_bytes())
    capture = Capture(target, target)
    kineto = capture.json("torch/trace.json.gz")
    kineto["traceEvents"] = _first_steps(kineto["traceEvents"], "attrib.step#", STEPS)
    capture.put_json("torch/trace.json.gz", kineto)
    profile = _first_steps(capture.json("ort/profile.json.gz"), "model_run", 3 + STEPS)
    lines = ",\n".join(map(json.dumps, profile))
    capture.put("ort/profile.json.gz", f"[\n{lines}\n]\n".encode())
    capture.seal()


def _first_steps(events: list[dict[str, Any]], name: str, count: int) -> list[dict[str, Any]]:
    steps = sorted((e for e in events if e["name"].startswith(name)), key=lambda e: e["ts"])
    end = steps[count - 1]["ts"] + steps[count - 1]["dur"]
    return [event for event in events if event.get("ts", 0) <= end]
