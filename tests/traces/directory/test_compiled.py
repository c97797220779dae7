"""`compiled.json` as a trace directory gives it back, and what is refused."""

import hashlib

import msgspec
import pytest

from attrib.errors import AttribError
from attrib.model.compiled import Compiled, CompiledGraph, KernelLaunch
from attrib.model.manifest import FileEntry, Manifest, Side, Workload
from attrib.model.work import Member
from attrib.traces import open_directory

RECORD = Compiled(
    compiler="inductor",
    graphs=(
        CompiledGraph(
            region="Torch-Compiled Region: 0/0",
            launches=(KernelLaunch(kernel="k", members=(Member("a", "aten::add", "add"),)),),
            elided=(Member("a", "aten::view", "view"),),
        ),
    ),
)


def directory(root, data):
    (root / "torch").mkdir()
    (root / "torch/compiled.json").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    manifest = Manifest(
        attrib_version="0",
        created="",
        workload=Workload(model="m", source="factory", weights="random", batch_size=1, seq_len=8),
        sides={
            "torch": Side(engine="torch", state="complete", folder="torch"),
            "onnxruntime": Side(engine="onnxruntime", state="complete", folder="ort"),
        },
        files=(FileEntry(path="torch/compiled.json", state="complete", sha256=digest, size=len(data)),),
    )
    (root / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    return open_directory(root)


def test_what_was_captured_comes_back(tmp_path):
    found = directory(tmp_path, msgspec.json.encode(RECORD))
    assert found.compiled("torch") == RECORD
    assert found.compiled("onnxruntime") is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "damaged"),
        (b"\xff\xfe", "damaged"),
        (b'{"compiler": "inductor", "graphs": [{"region": 3}]}', "damaged"),
        (b"[" * 100_000, "damaged"),
        (msgspec.json.encode(msgspec.structs.replace(RECORD, format_version=99)), "format 99"),
    ],
)
def test_a_damaged_record_is_refused_in_one_line(tmp_path, data, message):
    with pytest.raises(AttribError, match=message) as caught:
        directory(tmp_path, data).compiled("torch")
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_changed_record_is_refused(tmp_path):
    found = directory(tmp_path, msgspec.json.encode(RECORD))
    (tmp_path / "torch/compiled.json").write_bytes(b"{}")
    with pytest.raises(AttribError, match=r"compiled\.json"):
        found.compiled("torch")
