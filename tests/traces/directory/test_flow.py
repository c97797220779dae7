"""`flow.json`: whose result each call reads, as the capture noted it."""

import hashlib

import msgspec
import pytest

from attrib.errors import AttribError
from attrib.model.flow import Flow, FlowCall
from attrib.model.manifest import FileEntry, Manifest, Side, Workload
from attrib.traces.directory.trace_directory import TraceDirectory

RECORD = Flow(
    calls=(FlowCall(id="/aten::arange#0", fed=False), FlowCall(id="/aten::add#0", sources=((0, 0),)))
)


def directory(root, data: bytes) -> TraceDirectory:
    (root / "torch").mkdir()
    (root / "torch/flow.json").write_bytes(data)
    entry = FileEntry(
        path="torch/flow.json", state="complete", sha256=hashlib.sha256(data).hexdigest(), size=len(data)
    )
    manifest = Manifest(
        attrib_version="0", created="", workload=Workload(model="m", source="factory", weights="w", batch_size=1, seq_len=0),
        sides={"torch": Side(engine="torch", state="complete", folder="torch")}, files=(entry,),
    )  # fmt: skip
    return TraceDirectory(root=root, manifest=manifest)


def test_the_record_is_read_back(tmp_path):
    found = directory(tmp_path, msgspec.json.encode(RECORD))
    assert found.flow("torch") == RECORD
    assert found.flow("onnxruntime") is None
    assert RECORD.input_free == {"/aten::arange#0"}


@pytest.mark.parametrize("data", [b"{", b"\xff", b'{"calls": [{"id": 3}]}', b"[" * 100_000])
def test_a_damaged_record_is_refused_in_one_line(tmp_path, data):
    with pytest.raises(AttribError, match="damaged") as caught:
        directory(tmp_path, data).flow("torch")
    assert "\n" not in str(caught.value)


def test_a_newer_record_is_refused_by_its_number(tmp_path):
    newer = msgspec.json.encode(msgspec.structs.replace(RECORD, format_version=9))
    with pytest.raises(AttribError, match="format 9"):
        directory(tmp_path, newer).flow("torch")
