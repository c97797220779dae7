# ruff: noqa: E501 - words
"""The seed corpus: small traces in every form that the readers know, made here and cut from the samples."""

import gzip
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parents[2] / "sample_traces"
EVENTS = 6
"""Events of a sample that go into one seed."""

TOKENS = [
    "traceEvents", "ph", "cat", "name", "pid", "tid", "ts", "dur", "args", "X", "B", "E", "M", "cpu_op", "kernel", "gpu_memcpy",
    "cuda_runtime", "user_annotation", "ac2g", "Node", "Session", "External id", "correlation", "stream", "bytes", "Input Dims",
    "Input type", "Task Type", "baseTimeNanoseconds", "deviceProperties", "distributedInfo", "op_name", "provider", "node_index",
    "input_type_shape", "output_type_shape", "parent_name", "model_run", "profile_truncated", "ProfilerStep#1", "aten::mm",
    "schemaVersion", "displayTimeUnit", "Memcpy DtoH (Device -> Pinned)", "cudaLaunchKernel", "SequentialExecutor::Execute",
]  # fmt: skip
"""Words of both formats: the dictionary of the fuzzers."""

KINETO: dict[str, Any] = {
    "schemaVersion": 1,
    "deviceProperties": [{"id": 0, "name": "GPU"}],
    "distributedInfo": {"rank": 1, "world_size": 2},
    "baseTimeNanoseconds": 1751410836000000000,
    "traceEvents": [
        {"ph": "X", "cat": "user_annotation", "name": "ProfilerStep#1", "pid": 1, "tid": 1, "ts": 0.5, "dur": 90.25},
        {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "pid": 1, "tid": 1, "ts": 1419247332972.313, "dur": 22.51,
         "args": {"External id": 2, "Input type": ["float", "Scalar"], "Input Dims": [[2, 3], []]}},
        {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 1, "tid": 1, "ts": 2, "dur": 1,
         "args": {"correlation": 9}},
        {"ph": "X", "cat": "kernel", "name": "void k<1>()", "pid": 0, "tid": 7, "ts": 5.125, "dur": 4.0,
         "args": {"correlation": 9, "stream": "0x7", "bytes": "616"}},
        {"ph": "B", "cat": "x", "name": "b", "pid": 1, "tid": 1, "ts": 3}, {"ph": "E", "pid": 1, "tid": 1, "ts": 4},
    ],
}  # fmt: skip
BROKEN_ORT = (
    b'[\n{"cat" : "Node","pid" :1,"tid" :1,"dur" :9,"ts" :20,"ph" : "X","name" :"a"b\\c\n_kernel_time","args" : {"op_name" :'
    b' "Mat"Mul","provider" : "CPU","node_index" : "0","input_type_shape" : [{"float":[1,2]},{"int64":[]}]}},\n'
    b'{"cat" : "Session","pid" :1,"tid" :1,"dur" :30,"ts" :10,"ph" : "X","name" :"model_run","args" : {}}\n]\n'
)


def kineto_seeds() -> Iterator[bytes]:
    """Kineto traces: objects, bare arrays, on one line, packed, with NaN, with old spellings."""
    yield json.dumps(KINETO).encode()
    yield json.dumps(KINETO, separators=(",", ":")).encode()
    yield json.dumps(KINETO["traceEvents"], indent=1).encode()
    yield json.dumps(KINETO).replace("4.0", "NaN").encode()
    yield b"\xef\xbb\xbf" + json.dumps({"traceEvents": [], "baseTimeNanoseconds": "12"}).encode()
    yield gzip.compress(json.dumps(KINETO).encode(), mtime=0)
    for events in _pieces("torch/trace.json.gz", "traceEvents"):
        yield json.dumps({"schemaVersion": 1, "traceEvents": events}).encode()


def ort_seeds() -> Iterator[bytes]:
    """Profiles of ONNX Runtime: as it lays them out, unescaped names, packed."""
    yield BROKEN_ORT
    yield gzip.compress(BROKEN_ORT, mtime=0)
    yield b"[\n]\n"
    for events in _pieces("ort/profile.json.gz", None):
        lines = ",\n".join(json.dumps(event, separators=(",", " :")) for event in events)
        yield f"[\n{lines}\n]\n".encode()


def _pieces(name: str, member: str | None) -> Iterator[list[Any]]:
    """A few events from several places of each sample's trace."""
    for path in sorted(SAMPLES.glob(f"*/{name}")):
        found = json.loads(gzip.decompress(path.read_bytes()))
        events = found[member] if member else found
        places = range(0, len(events), max(len(events) // 8, 1))
        for start, _ in pairwise(places):
            yield events[start : start + EVENTS]
