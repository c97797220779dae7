"""Property-based fuzzing of what lies beside the traces: graphs, manifests, and whole directories up to the report."""

import gzip
import json
from pathlib import Path

import pytest
from fuzz_seeds import SAMPLES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trace_oracle import check_file

from attrib.analysis.lineage.reader import graph_from_bytes
from attrib.traces.directory.manifest_file import read_manifest

GRAPH = (SAMPLES / "distilbert-base-uncased" / "onnx" / "optimized.onnx").read_bytes()
MANIFEST = (SAMPLES / "distilbert-base-uncased" / "manifest.json").read_bytes()
QUIET = {"suppress_health_check": [HealthCheck.function_scoped_fixture], "deadline": None}
EDITS = st.lists(
    st.tuples(st.integers(0, 60_000), st.integers(0, 8), st.binary(max_size=6)), min_size=1, max_size=4
)


def edited(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for place, length, piece in edits:
        at = place % (len(data) + 1)
        data = data[:at] + piece + data[at + length :]
    return data


@settings(max_examples=60, **QUIET)
@given(edits=EDITS)
def test_an_edited_graph_is_read_or_refused(edits):
    check_file(lambda _: graph_from_bytes(edited(GRAPH, edits), "m.onnx"), Path("m.onnx"))


@settings(max_examples=80, **QUIET)
@given(edits=EDITS)
def test_an_edited_manifest_is_read_or_refused(tmp_path, edits):
    path = tmp_path / "manifest.json"
    path.write_bytes(edited(MANIFEST, edits))
    check_file(read_manifest, path)


@pytest.mark.parametrize("trace", ["torch", "ort"])
@settings(max_examples=6, **QUIET)
@given(edits=EDITS)
def test_a_directory_with_an_edited_trace_gives_every_report_or_one_line(tmp_path, trace, edits):
    from attrib.api import load
    from attrib.report.files import render

    for path in tmp_path.iterdir():
        path.unlink()
    (tmp_path / "kineto.json").write_bytes(_torch(edits if trace == "torch" else []))
    (tmp_path / "profile.json").write_bytes(_ort(edits if trace == "ort" else []))
    (tmp_path / "m.onnx").write_bytes(GRAPH)

    def report(path: Path) -> None:
        document = load(path).document
        assert sum(row.delta_ns for row in document.ledger) == sum(
            cause.delta_ns for cause in document.causes
        )
        for kind in ("html", "json", "markdown", "terminal"):
            assert render(document, kind, static=True)

    check_file(report, tmp_path)


def _torch(edits: list[tuple[int, int, bytes]]) -> bytes:
    """The first profiled steps of the sample, damaged within one event, so that most of it still reads."""
    trace = json.loads(
        gzip.decompress((SAMPLES / "distilbert-base-uncased/torch/trace.json.gz").read_bytes())
    )
    trace["traceEvents"] = trace["traceEvents"][:1800]
    return edited(json.dumps(trace).encode(), edits)


def _ort(edits: list[tuple[int, int, bytes]]) -> bytes:
    profile = json.loads(
        gzip.decompress((SAMPLES / "distilbert-base-uncased/ort/profile.json.gz").read_bytes())
    )
    lines = ",\n".join(json.dumps(event) for event in profile[:900])
    return edited(f"[\n{lines}\n]\n".encode(), edits)
