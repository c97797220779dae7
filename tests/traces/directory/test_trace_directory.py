import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from attrib.errors import AttribError
from attrib.model.latency import LATENCY_COLUMNS
from attrib.model.manifest import FileEntry, Manifest, OutputDifference, Side, Workload
from attrib.traces import open_directory

KINETO = json.dumps(
    {"traceEvents": [{"ph": "X", "cat": "cpu_op", "name": "aten::add", "ts": 1, "dur": 2}]}
).encode()
ORT = b'[\n{"cat" : "Session","pid" :1,"tid" :1,"dur" :3,"ts" :1,"ph" : "X","name" :"model_run","args" : {}}\n]\n'
LATENCY = {
    "engine": ["torch", "onnxruntime", "torch"],
    "phase": ["plain", "plain", "profiled"],
    "block": [0, 0, 1],
    "iteration": [0, 0, 0],
    "start_ns": [1751410836000000000, 1751410836000000100, 1751410836000000200],
    "wall_ns": [50, 60, 70],
}
OUTPUTS = (
    OutputDifference(
        name="logits", shape=(1, 2), max_abs=1e-6, max_rel=1e-5, cosine=1.0, tolerance=1e-4, equal=True
    ),
)


def put(root: Path, name: str, data: bytes) -> FileEntry:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return FileEntry(path=name, state="complete", sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def put_latency(root: Path, columns=LATENCY) -> FileEntry:
    parquet.write_table(pa.table(columns), root / "latency.parquet")
    return put(root, "latency.parquet", (root / "latency.parquet").read_bytes())


def manifest_of(*files, **changes) -> Manifest:
    sides = {
        "torch": Side(engine="torch", state="complete", folder="torch"),
        "onnxruntime": Side(engine="onnxruntime", state="complete", folder="ort"),
    }
    workload = Workload(model="m", source="factory", weights="random", batch_size=1, seq_len=8)
    values = {"attrib_version": "0", "created": "", "workload": workload, "sides": sides, "files": files}
    return Manifest(**(values | changes))


def write_manifest(root: Path, manifest) -> None:
    (root / "manifest.json").write_bytes(
        manifest if isinstance(manifest, bytes) else msgspec.json.encode(manifest)
    )


@pytest.fixture
def captured(tmp_path):
    """A complete trace directory."""
    files = (
        put(tmp_path, "torch/trace.json.gz", gzip.compress(KINETO)),
        put(tmp_path, "ort/profile.json.gz", gzip.compress(ORT)),
        put(tmp_path, "onnx/exported.onnx", b"exported"),
        put(tmp_path, "onnx/optimized.onnx", b"optimized"),
        put(tmp_path, "outputs.json", msgspec.json.encode(OUTPUTS)),
        put_latency(tmp_path),
        FileEntry(path="ort/device.json.gz", state="missing", reason="no GPU"),
    )
    write_manifest(tmp_path, manifest_of(*files))
    return tmp_path


READERS = {
    "torch/trace.json.gz": lambda d: d.events("torch"),
    "ort/profile.json.gz": lambda d: d.events("onnxruntime"),
    "onnx/exported.onnx": lambda d: d.graphs().get("onnx/exported.onnx"),
    "onnx/optimized.onnx": lambda d: d.graphs().get("onnx/optimized.onnx"),
    "outputs.json": lambda d: d.outputs(),
    "latency.parquet": lambda d: d.latency(),
}


def test_everything_that_was_captured_is_read(captured):
    directory = open_directory(captured)
    assert directory.events("torch").format == "kineto"
    assert directory.events("onnxruntime").format == "ort-profile"
    assert directory.graphs()["onnx/exported.onnx"] == b"exported"
    assert directory.graphs()["onnx/optimized.onnx"] == b"optimized"
    assert directory.outputs() == OUTPUTS
    latency = directory.latency()
    assert {name: list(getattr(latency, name)) for name in LATENCY_COLUMNS} == LATENCY
    assert latency.wall_ns.dtype == np.int64
    assert directory.device_events("onnxruntime") is None
    assert directory.missing == ("ort/device.json.gz: no GPU",)


def test_what_the_manifest_does_not_claim_is_absent_and_not_an_error(captured):
    write_manifest(
        captured, manifest_of(FileEntry(path="torch/trace.json.gz", state="missing", reason="interrupted"))
    )
    directory = open_directory(captured)
    assert directory.missing == ("torch/trace.json.gz: interrupted",)
    assert [READERS[name](directory) for name in READERS] == [None, None, None, None, (), None]


def test_both_sides_of_an_aa_capture_are_read_by_their_engine(tmp_path):
    files = [put(tmp_path, f"{folder}/profile.json.gz", gzip.compress(ORT)) for folder in ("a", "b")]
    sides = {
        "torch": Side(engine="onnxruntime", state="complete", folder="a"),
        "onnxruntime": Side(engine="onnxruntime", state="complete", folder="b"),
    }
    write_manifest(tmp_path, manifest_of(*files, sides=sides))
    directory = open_directory(tmp_path)
    assert directory.events("torch").format == directory.events("onnxruntime").format == "ort-profile"


def test_the_device_trace_of_the_onnx_runtime_side_is_read(captured):
    write_manifest(captured, manifest_of(put(captured, "ort/device.json.gz", gzip.compress(KINETO))))
    assert open_directory(captured).device_events("onnxruntime").format == "kineto"


@pytest.mark.parametrize("name", READERS)
def test_a_missing_file_is_named(captured, name):
    (captured / name).unlink()
    with pytest.raises(
        AttribError, match="is missing, but the manifest says that the capture completed it"
    ) as caught:
        READERS[name](open_directory(captured))
    assert name in str(caught.value)
    assert "attrib profile" in caught.value.hint
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("name", READERS)
def test_a_truncated_file_is_named(captured, name):
    (captured / name).write_bytes((captured / name).read_bytes()[:-1])
    with pytest.raises(AttribError, match="cut short or changed after the capture") as caught:
        READERS[name](open_directory(captured))
    assert name in str(caught.value)


@pytest.mark.parametrize("name", READERS)
def test_a_changed_file_is_named(captured, name):
    data = bytearray((captured / name).read_bytes())
    data[len(data) // 2] ^= 1
    (captured / name).write_bytes(data)
    with pytest.raises(AttribError, match="sha256 is not the one in the manifest") as caught:
        READERS[name](open_directory(captured))
    assert name in str(caught.value)


@pytest.mark.parametrize(
    "name", ["torch/trace.json.gz", "ort/profile.json.gz", "outputs.json", "latency.parquet"]
)
@pytest.mark.parametrize("data", [b"", b"hello", b"{}", b"\x1f\x8b", b"\xff" * 50, b"[" * 100_000])
def test_a_file_with_the_right_hash_and_the_wrong_content_is_named(captured, name, data):
    write_manifest(captured, manifest_of(put(captured, name, data)))
    with pytest.raises(AttribError) as caught:
        READERS[name](open_directory(captured))
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_wrong_format_in_a_side_is_named(captured):
    write_manifest(captured, manifest_of(put(captured, "torch/trace.json.gz", gzip.compress(ORT))))
    with pytest.raises(AttribError, match="holds an ONNX Runtime profile, not a Kineto trace"):
        open_directory(captured).events("torch")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"wall_ns": None}, "has no column wall_ns"),
        ({"engine": ["torch", "tensorflow", "torch"]}, "engine holds 'tensorflow'"),
        ({"engine": ["torch", None, "torch"]}, "engine holds None"),
        ({"phase": ["plain", "", "plain"]}, "phase holds ''"),
        ({"phase": [["plain"], [], []]}, "has no column phase of texts"),
        ({"wall_ns": [1.5, 2.5, 3.5]}, "wall_ns"),
        ({"wall_ns": [1, None, 3]}, "wall_ns"),
        ({"wall_ns": pa.array([1, 2, 1 << 63], pa.uint64())}, "wall_ns"),
    ],
)
def test_a_wrong_latency_column_is_named(captured, change, says):
    columns = {name: values for name, values in (LATENCY | change).items() if values is not None}
    write_manifest(captured, manifest_of(put_latency(captured, columns)))
    with pytest.raises(AttribError, match=r"latency\.parquet") as caught:
        open_directory(captured).latency()
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 100_000, "not a manifest"),
        (b"[]", "not a manifest of attrib: Expected `object`"),
        (b"{}", "missing required field `attrib_version`"),
        (b'{"format_version": "1"}', "$.format_version"),
        (b'{"format_version": 2}', "written by a newer attrib (format 2); this one reads up to 1"),
        (b'{"format_version": 2, "attrib_version": 5}', "written by a newer attrib"),
    ],
)
def test_a_manifest_that_cannot_be_read_says_why(captured, data, says):
    write_manifest(captured, data)
    with pytest.raises(AttribError) as caught:
        open_directory(captured)
    assert says in str(caught.value)
    assert str(captured / "manifest.json") in str(caught.value)
    assert caught.value.hint


def test_a_wrong_type_in_the_manifest_is_named_by_field(captured):
    data = json.loads((captured / "manifest.json").read_text())
    data["files"][1]["size"] = "big"
    write_manifest(captured, json.dumps(data).encode())
    with pytest.raises(AttribError, match=r"\$\.files\[1\]\.size"):
        open_directory(captured)


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "torch/../../x", "C:\\x", "c:x", "a\\b", "a\nb", "a\0b"]
)
def test_paths_that_leave_the_directory_are_refused(captured, name):
    for manifest in (
        manifest_of(FileEntry(path=name, state="complete")),
        manifest_of(sides={"torch": Side(engine="torch", state="complete", folder=name)}),
    ):
        write_manifest(captured, manifest)
        with pytest.raises(AttribError, match="names a path outside its directory") as caught:
            open_directory(captured)
        assert "\n" not in str(caught.value)


def test_links_that_leave_the_directory_are_refused(captured, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    entry = put(outside, "secret.json", b"[]")
    (captured / "outputs.json").unlink()
    (captured / "outputs.json").symlink_to(outside / "secret.json")
    write_manifest(
        captured, manifest_of(FileEntry(path="outputs.json", state="complete", sha256=entry.sha256, size=2))
    )
    with pytest.raises(AttribError, match="names a path outside"):
        open_directory(captured)


def test_a_link_that_appears_after_opening_is_refused_too(captured, tmp_path_factory):
    directory = open_directory(captured)
    outside = tmp_path_factory.mktemp("outside") / "x"
    (captured / "outputs.json").rename(outside)
    (captured / "outputs.json").symlink_to(outside)
    with pytest.raises(AttribError, match="names a path outside"):
        directory.outputs()


def test_a_link_to_itself_is_refused(captured):
    (captured / "outputs.json").unlink()
    (captured / "outputs.json").symlink_to("outputs.json")
    with pytest.raises(AttribError, match=r"outputs\.json"):
        open_directory(captured).outputs()


def test_what_is_no_directory_says_so(captured):
    with pytest.raises(AttribError, match="does not exist"):
        open_directory(captured / "absent")
    with pytest.raises(AttribError, match="is a file, not a trace directory") as caught:
        open_directory(captured / "outputs.json")
    assert "It is the trace directory around it" in caught.value.hint
    alone = captured.parent / "alone.json"
    alone.write_text("{}")
    with pytest.raises(AttribError) as caught:
        open_directory(alone)
    assert "attrib inspect alone.json" in caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_manifest_says_so(captured):
    (captured / "manifest.json").chmod(0)
    with pytest.raises(AttribError, match="cannot be read"):
        open_directory(captured)


def test_a_manifest_that_is_a_directory_says_so(tmp_path):
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(AttribError, match=r"manifest\.json: cannot be read"):
        open_directory(tmp_path)


def test_an_empty_directory_says_what_to_do(tmp_path):
    with pytest.raises(AttribError, match=r"neither a manifest\.json nor a trace") as caught:
        open_directory(tmp_path)
    assert "attrib profile" in caught.value.hint


def test_a_directory_of_others_is_recognized_by_content(tmp_path):
    put(tmp_path, "profile.txt", ORT)
    put(tmp_path, "deep/whatever", gzip.compress(KINETO))
    put(tmp_path, "notes.json", b'{"hello": [1, 2]}')
    put(tmp_path, "list.json", b"[1, 2, 3]")
    put(tmp_path, "deep/er/ignored.json", KINETO)
    put(tmp_path, "model.onnx", b"...")
    put(tmp_path, "fast.onnx", b"...com.microsoft.nchwc...")
    directory = open_directory(tmp_path)
    assert directory.manifest is None
    assert directory.events("torch").format == "kineto"
    assert directory.events("onnxruntime").format == "ort-profile"
    assert directory.graphs()["onnx/exported.onnx"] == b"..."
    assert directory.graphs()["onnx/optimized.onnx"] == b"...com.microsoft.nchwc..."
    assert directory.latency() is None
    assert directory.outputs() == ()
    assert directory.device_events("onnxruntime") is None
    assert any("no plain runs" in line for line in directory.missing)


def test_one_engine_alone_is_enough(tmp_path):
    put(tmp_path, "p.json", ORT)
    directory = open_directory(tmp_path)
    assert directory.events("torch") is None
    assert len(directory.events("onnxruntime")) == 1


def test_several_candidates_are_named(tmp_path):
    put(tmp_path, "a.json", KINETO)
    put(tmp_path, "sub/b.json", KINETO)
    with pytest.raises(AttribError, match=r"holds 2 Kineto traces: a\.json, sub/b\.json"):
        open_directory(tmp_path)


def test_several_models_are_left_out_and_said(tmp_path):
    put(tmp_path, "p.json", ORT)
    put(tmp_path, "a.onnx", b"1")
    put(tmp_path, "b.onnx", b"2")
    directory = open_directory(tmp_path)
    assert "onnx/exported.onnx" not in directory.graphs()
    assert any("2 candidates, none taken: a.onnx, b.onnx" in line for line in directory.missing)


def test_links_are_not_followed_without_a_manifest(tmp_path, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    put(outside, "t.json", KINETO)
    (tmp_path / "t.json").symlink_to(outside / "t.json")
    (tmp_path / "folder").symlink_to(outside)
    with pytest.raises(AttribError, match="neither a manifest"):
        open_directory(tmp_path)


def test_a_folder_of_very_many_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("attrib.traces.directory.recognize.MOST_FILES", 3)
    for number in range(4):
        put(tmp_path, f"{number}.txt", b"x")
    with pytest.raises(AttribError, match="holds more than 3 files"):
        open_directory(tmp_path)


def test_reading_a_directory_imports_nothing_heavy(captured):
    code = (
        "import sys; from pathlib import Path; from attrib.traces import open_directory;"
        f"d = open_directory(Path({str(captured)!r}));"
        "d.events('torch'); d.events('onnxruntime'); d.latency(); d.outputs(); d.graphs();"
        "print(*sorted({'torch', 'onnxruntime', 'onnx', 'onnx_ir', 'pandas', 'scipy', 'plotly', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("cost", [-1.0, -1e15, 1e15])
def test_an_impossible_cost_of_the_profiler_is_named(tmp_path, cost):
    side = {"state": "complete", "engine": "torch", "folder": "torch", "overhead": {"inside_ns": cost}}
    text = json.dumps({"sides": {"torch": side}})
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(AttribError, match="inside_ns"):
        open_directory(tmp_path)
