"""Whatever happens to the bytes of a trace, it gives a table or one clear error, and nothing else."""

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attrib.errors import AttribError
from attrib.traces import read_trace
from attrib.traces.inspection.summary import summarize

KINETO = json.dumps({
    "schemaVersion": 1,
    "deviceProperties": [{"id": 0, "name": "NVIDIA H100"}],
    "baseTimeNanoseconds": 1751410836000000000,
    "traceEvents": [
        {"ph": "X", "cat": "user_annotation", "name": "ProfilerStep#1", "pid": 1, "tid": 1, "ts": 0.5, "dur": 90.25},
        {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": "python"}},
        {
            "ph": "X", "cat": "cpu_op", "name": "aten::mm", "pid": 1, "tid": 1, "ts": 1419247332972.313, "dur": 22.51,
            "args": {"External id": 2, "Input type": ["float", "Scalar"], "Input Dims": [[2, 3], []]},
        },
        {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "ts": 2, "dur": 1, "args": {"correlation": 9}},
        {
            "ph": "X", "cat": "kernel", "name": "void k<1>()", "pid": 0, "tid": 7, "ts": 5.125, "dur": 4.0,
            "args": {"correlation": 9, "stream": "0x7", "bytes": "616"},
        },
    ],
}).encode()  # fmt: skip
ORT = b"""[
{"cat" : "Session","pid" :1,"tid" :1,"dur" :5,"ts" :1,"ph" : "X","name" :"session_initialization","args" : {}},
{"cat" : "Node","pid" :1,"tid" :1,"dur" :9,"ts" :20,"ph" : "X","name" :"a_kernel_time","args" : {"op_name" : "MatMul",\
"provider" : "CUDAExecutionProvider","node_index" : "0","input_type_shape" : [{"float":[1,2]},{"int64":[]}]}},
{"cat" : "Session","pid" :1,"tid" :1,"dur" :30,"ts" :10,"ph" : "X","name" :"model_run","args" : {}}
]
"""

INTERESTING = b'"\\{}[],:.-+eE0919\x00\x1f\x7f\x80\xc3\xff \n\rntfNI'
edit = st.tuples(
    st.sampled_from(["replace", "insert", "delete", "cut", "repeat"]),
    st.integers(0, 2000),
    st.integers(0, 40),
    st.one_of(st.sampled_from([bytes([b]) for b in INTERESTING]), st.binary(min_size=1, max_size=8)),
)


def mutate(data, edits):
    for kind, place, length, piece in edits:
        at = place % (len(data) + 1)
        end = at + length
        data = {
            "replace": data[:at] + piece + data[at + len(piece) :],
            "insert": data[:at] + piece + data[at:],
            "delete": data[:at] + data[end:],
            "cut": data[:at],
            "repeat": data[:end] + data[at:],
        }[kind]
    return data


def read_or_refuse(path):
    try:
        table = read_trace(path)
    except AttribError as refusal:
        error = refusal
    else:
        check(table)
        return
    assert str(path) in str(error)
    assert "\n" not in str(error)


def check(table):
    assert len(table.inputs) == len(table.outputs) == len(table.start_ns) == len(table.track) == len(table)
    for row in range(len(table)):
        table.input_tensors(row)
        table.output_tensors(row)
    found = summarize(table)
    assert found.events == len(table)
    assert found.gpu is None or found.gpu.busy_us <= found.gpu.sum_us


@pytest.mark.parametrize("original", [KINETO, ORT], ids=["kineto", "ort"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=400)
@given(edits=st.lists(edit, min_size=1, max_size=4))
def test_a_mutated_trace_is_a_table_or_an_error(tmp_path, original, edits):
    path = tmp_path / "trace.json"
    path.write_bytes(mutate(original, edits))
    read_or_refuse(path)


@pytest.mark.parametrize("original", [KINETO, ORT], ids=["kineto", "ort"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(edits=st.lists(edit, min_size=1, max_size=2))
def test_a_mutated_gzip_trace_is_a_table_or_an_error(tmp_path, original, edits):
    path = tmp_path / "trace.json.gz"
    path.write_bytes(mutate(gzip.compress(original), edits))
    read_or_refuse(path)


@pytest.mark.parametrize("original", [KINETO, ORT], ids=["kineto", "ort"])
def test_every_cut_of_a_trace_is_refused(tmp_path, original):
    path = tmp_path / "trace.json"
    for length in range(len(original.rstrip())):
        path.write_bytes(original[:length])
        with pytest.raises(AttribError):
            read_trace(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ["ph", "cat", "name", "pid", "tid", "ts", "dur", "args"]
ARGUMENTS = [
    "correlation", "External id", "stream", "bytes", "Input Dims", "Input type",
    "op_name", "provider", "node_index", "input_type_shape", "output_type_shape",
]  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(
    fields=st.dictionaries(st.sampled_from(FIELDS), json_values),
    arguments=st.dictionaries(st.sampled_from(ARGUMENTS), json_values),
    facts=st.dictionaries(
        st.sampled_from(["baseTimeNanoseconds", "deviceProperties", "schemaVersion"]), json_values
    ),
    category=st.sampled_from(["Node", "Session", "kernel", "cpu_op", "user_annotation"]),
)
def test_values_of_any_type_in_any_field_are_survived(tmp_path, fields, arguments, facts, category):
    good = {"ph": "X", "cat": category, "name": "model_run", "ts": 1, "dur": 2, "args": arguments}
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({**facts, "traceEvents": [good, good | fields, good]}))
    table = read_trace(path)
    assert len(table) >= 2
    read_or_refuse(path)
