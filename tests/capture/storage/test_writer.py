import errno
import gzip
import hashlib
import os
from pathlib import Path

import msgspec
import pytest

from attrib.capture.storage.writer import TraceWriter, lock_directory
from attrib.errors import AttribError, UsageError
from attrib.model.manifest import Manifest, Workload

MANIFEST = Manifest(
    attrib_version="0",
    created="2026-01-01T00:00:00Z",
    workload=Workload(model="m", source="factory", weights="w", batch_size=1, seq_len=8),
    sides={},
)


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_manifest_lists_what_is_complete_and_what_is_missing(tmp_path):
    directory = TraceWriter(tmp_path / "out")
    directory.write("torch/trace.json.gz", b"abc")
    directory.note_missing("outputs.json", "only one engine ran")
    directory.write_manifest(MANIFEST)
    manifest = msgspec.json.decode((tmp_path / "out/manifest.json").read_bytes(), type=Manifest)
    first, second = manifest.files
    assert (first.path, first.state, first.reason) == ("outputs.json", "missing", "only one engine ran")
    assert (second.path, second.sha256, second.size) == (
        "torch/trace.json.gz", hashlib.sha256(b"abc").hexdigest(), 3,
    )  # fmt: skip


def test_artifact_whose_writing_fails_leaves_nothing(tmp_path):
    directory = TraceWriter(tmp_path / "out")

    def fail():
        with directory.create("a.bin") as stream:
            stream.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert names(tmp_path) == []
    assert directory.complete_files == []


def test_artifact_is_invisible_until_it_is_complete(tmp_path):
    directory = TraceWriter(tmp_path / "out")
    with directory.create("a.bin") as stream:
        stream.write(b"half")
        assert not (tmp_path / "out/a.bin").exists()
    assert names(tmp_path / "out") == ["a.bin"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_one_line_and_keeps_what_was_complete(tmp_path, monkeypatch, number):
    directory = TraceWriter(tmp_path / "out")
    directory.write("first.bin", b"1")
    directory.write_manifest(MANIFEST)

    def full(_descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AttribError, match=r"the disk is full: second\.bin"):
        directory.write("second.bin", b"2")
    with pytest.raises(AttribError, match="the disk is full"):
        directory.write_manifest(MANIFEST)
    assert names(tmp_path / "out") == ["first.bin", "manifest.json"]
    assert msgspec.json.decode((tmp_path / "out/manifest.json").read_bytes(), type=Manifest).files


def test_gzip_holds_neither_name_nor_date(tmp_path):
    directory = TraceWriter(tmp_path / "out")
    for name in ("a", "b"):
        source = tmp_path / f"secret-{name}.json"
        source.write_bytes(b"[1]" * 100)
        os.utime(source, (0, len(name)))
        directory.write_gzip(f"{name}.gz", source)
    first, second = ((tmp_path / "out" / f"{name}.gz").read_bytes() for name in "ab")
    assert first == second
    assert b"secret" not in first
    assert gzip.decompress(first) == b"[1]" * 100


def test_existing_directory_is_refused_without_force(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty") as caught:
        TraceWriter(tmp_path)
    assert "--force" in caught.value.hint


def test_empty_directory_is_taken(tmp_path):
    TraceWriter(tmp_path).write("a.bin", b"1")
    assert names(tmp_path) == ["a.bin"]


def test_file_or_link_in_the_place_of_the_directory_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    for name in ("file", "link"):
        with pytest.raises(UsageError, match="not a directory"):
            TraceWriter(tmp_path / name, force=True)


def test_directory_that_cannot_be_made_says_why(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(AttribError, match="cannot write"):
        TraceWriter(tmp_path / "file" / "out")


def test_force_replaces_artifacts_and_nothing_else(tmp_path):
    for name in ("manifest.json", "report.html", "torch/trace.json.gz", "notes.txt", "torch/notes.txt"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("old")
    directory = TraceWriter(tmp_path, force=True)
    assert (tmp_path / "manifest.json").read_text() == "old"  # until there is something new
    directory.write("inputs.npz", b"new")
    assert names(tmp_path) == ["inputs.npz", "notes.txt", "torch/notes.txt"]


def test_directory_without_artifacts_is_taken_away_again(tmp_path):
    directory = TraceWriter(tmp_path / "out")
    directory.discard_if_empty()
    assert not (tmp_path / "out").exists()


def test_directory_of_the_user_stays(tmp_path):
    (tmp_path / "out").mkdir()
    TraceWriter(tmp_path / "out").discard_if_empty()
    assert (tmp_path / "out").exists()


def test_directory_with_artifacts_stays(tmp_path):
    directory = TraceWriter(Path(tmp_path / "out"))
    directory.write("a.bin", b"1")
    directory.discard_if_empty()
    assert names(tmp_path / "out") == ["a.bin"]


def test_artifact_is_added_to_a_directory_and_taken_out_again(tmp_path):
    first = TraceWriter(tmp_path)
    first.write("torch/trace.json.gz", b"abc")
    first.write_manifest(MANIFEST)
    before = (tmp_path / "manifest.json").read_bytes()
    manifest = msgspec.json.decode(before, type=Manifest)

    second = TraceWriter(tmp_path, existing=manifest)
    second.write("verify/a.json", b"{}")
    second.write_manifest(manifest)
    after = msgspec.json.decode((tmp_path / "manifest.json").read_bytes(), type=Manifest)
    assert [entry.path for entry in after.files] == ["torch/trace.json.gz", "verify/a.json"]
    assert after.files[0] == manifest.files[0]

    TraceWriter(tmp_path, existing=after).remove("verify/a.json", after)
    assert (tmp_path / "manifest.json").read_bytes() == before
    assert not (tmp_path / "verify/a.json").exists()


def test_new_capture_removes_the_results_of_the_old_one(tmp_path):
    first = TraceWriter(tmp_path)
    first.write("verify/a.json", b"{}")
    first.write_manifest(MANIFEST)
    (tmp_path / "mine.txt").write_text("kept")
    TraceWriter(tmp_path, force=True).write("inputs.npz", b"x")
    assert names(tmp_path) == ["inputs.npz", "mine.txt"]


def complete_entries(folder):
    """What the manifest on the disk claims at this moment, and whether it is true."""
    file = folder / "manifest.json"
    if not file.exists():
        return True
    manifest = msgspec.json.decode(file.read_bytes(), type=Manifest)
    return all(
        (folder / e.path).exists() and hashlib.sha256((folder / e.path).read_bytes()).hexdigest() == e.sha256
        for e in manifest.files
        if e.state == "complete"
    )


def test_manifest_is_true_before_and_after_every_change_of_the_disk(tmp_path, monkeypatch):
    """A new artifact, one that is replaced, one that is dropped, one that is removed."""
    seen = []

    def watched(call):
        def wrapped(*args, **kwargs):
            seen.append(complete_entries(tmp_path))
            result = call(*args, **kwargs)
            seen.append(complete_entries(tmp_path))
            return result

        return wrapped

    for name in ("replace", "unlink", "fsync"):
        monkeypatch.setattr(os, name, watched(getattr(os, name)))
    directory = TraceWriter(tmp_path)
    directory.write("a.bin", b"1")
    directory.write_manifest(MANIFEST)
    directory.write("a.bin", b"2")
    directory.write("b.bin", b"3")
    directory.write_manifest(MANIFEST)
    directory.drop(["a.bin"])
    directory.write_manifest(MANIFEST)
    directory.remove("b.bin", MANIFEST)
    TraceWriter(tmp_path, force=True).write("inputs.npz", b"x")
    assert len(seen) > 40
    assert all(seen)
    assert names(tmp_path) == ["inputs.npz"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux says which file a descriptor is")
def test_names_are_synced_with_their_directory(tmp_path, monkeypatch):
    synced = []
    fsync = os.fsync

    def noted(descriptor):
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    TraceWriter(tmp_path).write("torch/trace.json.gz", b"1")
    assert synced == [str(tmp_path / "torch/trace.json.gz.partial"), str(tmp_path / "torch")]


def test_lock_goes_with_whoever_holds_it(tmp_path):
    lock = lock_directory(tmp_path)
    with pytest.raises(AttribError, match="another attrib is writing"):
        lock_directory(tmp_path)
    lock.release()
    lock.release()
    lock_directory(tmp_path).release()
    assert names(tmp_path) == []


def test_mistake_with_force_leaves_the_old_capture_alone(tmp_path):
    TraceWriter(tmp_path).write_manifest(MANIFEST)
    TraceWriter(tmp_path, force=True).withdraw()
    assert names(tmp_path) == ["manifest.json"]
