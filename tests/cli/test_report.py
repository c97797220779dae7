"""`attrib report` as a user meets it: what it writes, and what it says of a directory that it cannot use."""

import errno
import gzip
import json
import os
import shutil
from pathlib import Path

import msgspec
import pytest

from attrib.errors import AttribError
from attrib.report.files import atomic_write
from attrib.report.json_report import from_json, to_json


@pytest.fixture
def traces(sample_copy) -> Path:
    """A copy of the BERT-base sample, to be damaged."""
    return sample_copy


def edit_manifest(traces: Path, change) -> None:
    path = traces / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def rewrite(traces: Path, name: str, data: bytes) -> None:
    """Change a file and make the manifest agree with it, as a hostile author would."""
    import hashlib

    (traces / name).write_bytes(data)

    def agree(manifest):
        for entry in manifest["files"]:
            if entry["path"] == name:
                entry |= {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}

    edit_manifest(traces, agree)


def the_error(done) -> str:
    """The one error line; no traceback, and nothing on stdout."""
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("attrib: error:")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_the_default_prints_the_verdict_and_writes_both_reports(cli, traces):
    done = cli("report", traces)
    assert done.returncode == 0, done.stderr
    assert "ONNX Runtime" in done.stdout.splitlines()[0]
    assert str(traces / "report.html") in done.stdout
    assert from_json((traces / "report.json").read_bytes()).workload.model == "bert-base-uncased"


@pytest.mark.parametrize(("suffix", "start"), [("html", "<!doctype html>"), ("json", "{"), ("md", "**")])
def test_the_suffix_chooses_the_format_and_two_runs_give_the_same_bytes(cli, traces, tmp_path, suffix, start):
    made = []
    for name in ("a", "b"):
        done = cli("report", traces, "-o", tmp_path / f"{name}.{suffix}")
        assert done.returncode == 0, done.stderr
        made.append((tmp_path / f"{name}.{suffix}").read_bytes())
    assert made[0] == made[1]
    assert made[0].decode().lower().startswith(start)


def test_stdout_holds_the_result_and_nothing_else(cli, traces):
    done = cli("report", traces, "-o", "-", "--format", "json")
    report = json.loads(done.stdout)
    assert sum(row["delta_ns"] for row in report["ledger"]) == report["latency"]["delta_ns"]["median"]


def test_an_existing_output_is_kept_unless_forced(cli, traces, tmp_path):
    target = tmp_path / "mine.html"
    target.write_text("mine")
    done = cli("report", traces, "-o", target)
    assert done.returncode == 2
    assert "exists" in the_error(done)
    assert target.read_text() == "mine"
    assert cli("report", traces, "-o", target, "--force").returncode == 0
    assert target.read_text() != "mine"


def test_an_unknown_suffix_is_a_usage_error(cli, traces, tmp_path):
    done = cli("report", traces, "-o", tmp_path / "report.xls")
    assert done.returncode == 2
    assert "suffix" in the_error(done)


def truncated(traces):
    path = traces / "torch/trace.json.gz"
    path.write_bytes(path.read_bytes()[:5000])


def unreadable(traces):
    (traces / "ort/profile.json.gz").unlink()
    (traces / "ort/profile.json.gz").mkdir()


def emptied(traces):
    shutil.rmtree(traces)
    traces.mkdir()


def escaping(traces):
    edit_manifest(traces, lambda m: m["files"][0].update(path="../../etc/passwd"))


def linked(traces):
    outside = traces.parent / "outside.parquet"
    (traces / "latency.parquet").rename(outside)
    (traces / "latency.parquet").symlink_to(outside)


DAMAGE = {
    "empty directory": (emptied, "traces"),
    "newer format": (lambda t: edit_manifest(t, lambda m: m.update(format_version=2)), "format"),
    "manifest is no JSON": (lambda t: (t / "manifest.json").write_text("{"), "manifest.json"),
    "manifest of another kind": (lambda t: (t / "manifest.json").write_text("[]"), "manifest.json"),
    "missing file": (lambda t: (t / "ort/profile.json.gz").unlink(), "profile.json.gz"),
    "truncated file": (truncated, "trace.json.gz"),
    "unreadable file": (unreadable, "profile.json.gz"),
    "wrong hash": (lambda t: (t / "onnx/optimized.onnx").write_bytes(b"x" * 10), "optimized.onnx"),
    "trace is no JSON": (
        lambda t: rewrite(t, "torch/trace.json.gz", gzip.compress(b"<html>")),
        "trace.json.gz",
    ),
    "trace is no gzip": (lambda t: rewrite(t, "torch/trace.json.gz", b"\x1f\x8b rest"), "trace.json.gz"),
    "graph is no ONNX": (lambda t: rewrite(t, "onnx/exported.onnx", b"\xff\xff"), "exported.onnx"),
    "table is no Parquet": (lambda t: rewrite(t, "latency.parquet", b"PAR1"), "latency.parquet"),
    "outputs are no JSON": (lambda t: rewrite(t, "outputs.json", b"nope"), "outputs.json"),
    "path out of the directory": (escaping, "passwd"),
    "link out of the directory": (linked, "latency.parquet"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_one_line_that_names_the_place(cli, traces, damage):
    change, named = DAMAGE[damage]
    change(traces)
    before = sorted(p.name for p in traces.rglob("*"))
    done = cli("report", traces)
    assert done.returncode == 3, done.stderr
    assert named in the_error(done)
    assert "  try:" in done.stderr
    assert sorted(p.name for p in traces.rglob("*")) == before


def test_a_directory_that_is_not_there(cli, tmp_path):
    done = cli("report", tmp_path / "nothing")
    assert done.returncode == 3
    assert "does not exist" in the_error(done)


def test_an_output_that_cannot_be_written_is_one_line(cli, traces):
    done = cli("report", traces, "-o", "/proc/report.html")
    assert done.returncode == 3
    assert "cannot be written" in the_error(done)


@pytest.mark.parametrize("kind", ["device", "pipe", "directory"])
def test_what_is_no_file_is_not_replaced(cli, traces, tmp_path, kind):
    target = tmp_path / "target.html"
    if kind == "pipe":
        os.mkfifo(target)
    elif kind == "directory":
        target.mkdir()
    else:
        target.symlink_to("/dev/null")
    done = cli("report", traces, "-o", target, "--format", "html", "--force")
    assert done.returncode == 2
    assert "is no regular file" in the_error(done)
    assert not target.is_file()


def test_a_link_is_followed_and_stays_one(cli, traces, tmp_path):
    behind, link = tmp_path / "behind.md", tmp_path / "link.md"
    behind.write_text("old")
    link.symlink_to(behind)
    done = cli("report", traces, "-o", link, "--force")
    assert done.returncode == 0, done.stderr
    assert link.is_symlink()
    assert "a step" in behind.read_text()


@pytest.mark.parametrize("name", ["manifest.json", "latency.parquet", "torch/trace.json.gz"])
def test_a_file_of_the_capture_is_never_written_over(cli, traces, name):
    before = (traces / name).read_bytes()
    done = cli("report", traces, "-o", traces / name, "--format", "json", "--force")
    assert done.returncode == 2
    assert "is a file of the capture" in the_error(done)
    assert (traces / name).read_bytes() == before


def test_a_file_that_exists_is_refused_before_anything_is_read(cli, traces, tmp_path):
    (tmp_path / "report.md").write_text("mine")
    emptied(traces)
    done = cli("report", traces, "-o", tmp_path / "report.md")
    assert done.returncode == 2
    assert "exists" in the_error(done)


def test_the_mode_of_a_report_is_what_the_user_asked_for(tmp_path):
    before = os.umask(0o077)
    try:
        atomic_write(tmp_path / "private.html", b"")
        os.umask(0o022)
        atomic_write(tmp_path / "public.html", b"")
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("private.html", "public.html")]
    assert modes == [0o600, 0o644]


def test_a_report_in_place_of_its_directory_is_told_where_that_is(cli, traces):
    done = cli("report", traces / "manifest.json")
    assert done.returncode == 3
    assert "did you mean" in done.stderr
    assert "is the trace directory around it" in done.stderr


def test_a_full_disk_is_one_line_and_leaves_the_old_report(tmp_path, monkeypatch):
    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    target = tmp_path / "report.html"
    target.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AttribError, match=r"report\.html: cannot be written: No space left"):
        atomic_write(target, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert target.read_bytes() == b"old"


def test_one_engine_alone_gives_its_breakdown_and_says_why_there_is_no_delta(cli, traces):
    def only_torch(manifest):
        manifest["sides"]["onnxruntime"] |= {"state": "failed", "error": "the exporter refused"}
        for entry in manifest["files"]:
            if entry["path"].startswith(("ort/", "onnx/")):
                entry |= {"state": "missing", "reason": "the exporter refused", "sha256": "", "size": 0}

    shutil.rmtree(traces / "ort")
    shutil.rmtree(traces / "onnx")
    edit_manifest(traces, only_torch)
    done = cli("report", traces)
    assert done.returncode == 0, done.stderr
    assert "the exporter refused" in done.stdout
    assert "PyTorch" in done.stdout
    report = json.loads((traces / "report.json").read_bytes())
    assert report["latency"]["torch_ns"]["median"] > 0


def test_traces_that_attrib_did_not_capture_are_reported_with_what_they_lack(cli, traces):
    (traces / "manifest.json").unlink()
    done = cli("report", traces, "--format", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["latency"]["delta_ns"] is None
    assert report["ledger"]
    assert any("manifest" in warning for warning in report["warnings"])


HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    "quo\"te'",
    "new\nline",
    "x" * 10_000,
    "\u202ereversed",
    "\ud800",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_inert_in_every_format(sample_analysis, name):
    """The text of a document is replaced by hostile strings; every renderer must carry it as text."""
    from attrib.report.files import render

    document = sample_analysis.document
    rows = [
        msgspec.structs.replace(row, module=name, onnx_nodes=(name,), torch_ops=(name,))
        for row in document.ledger[:5]
    ]
    hostile = msgspec.structs.replace(document, ledger=(*rows, *document.ledger[5:]))
    page = render(hostile, "html", static=True).decode()
    assert "<img src=x" not in page
    assert len(page) < 1_000_000
    for format_ in ("markdown", "terminal"):
        assert "\u202e" not in render(hostile, format_).decode()
    json.loads(to_json(hostile))


def test_a_hostile_node_name_in_the_profile_reaches_no_markup(cli, traces):
    data = gzip.decompress((traces / "ort/profile.json.gz").read_bytes())
    events = json.loads(data)
    victim = next(e["name"] for e in events if e["cat"] == "Node")
    for event in events:
        if event["name"] == victim:
            event["name"] = "</script><script>alert(1)</script>_kernel_time"
    rewrite(traces, "ort/profile.json.gz", gzip.compress(json.dumps(events).encode()))
    done = cli("report", traces)
    assert done.returncode == 0, done.stderr
    assert "<script>alert(1)" not in (traces / "report.html").read_text()
