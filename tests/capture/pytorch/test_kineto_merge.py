import io
import json

import pytest

from attrib.capture.pytorch.kineto_merge import merge_kineto

BASE = 1_790_857_026_000_000_000


def kineto(path, steps, base=BASE, **top):
    events = [
        {"ph": "M", "name": "process_name", "ts": 1.5, "pid": 7, "tid": 0, "args": {"name": "secret-tool"}},
        {"ph": "M", "name": "process_labels", "ts": 1.5, "pid": 7, "tid": 0, "args": {"labels": "secret"}},
        {"ph": "M", "name": "thread_name", "ts": 1.5, "pid": 7, "tid": 7, "args": {"name": "thread 7"}},
        {"ph": "M", "name": "unknown", "pid": 7, "args": {"secret": 1}},
        *(
            {"ph": "X", "cat": "user_annotation", "name": f"attrib.step#{n}", "pid": 7, "tid": 7,
             "ts": 1000.125 + n, "dur": 0.5, "args": {"External id": n}}
            for n in steps
        ),
        {"ph": "X", "cat": "Trace", "name": "PyTorch Profiler (0)", "pid": "Spans", "ts": 0, "dur": 9},
        {"ph": "i", "s": "g", "name": "Record Window End", "pid": "", "tid": "", "ts": 9},
    ]  # fmt: skip
    document = {
        "schemaVersion": 1, "deviceProperties": [], "host_name": "secret-host", "username": "secret-user",
        "baseTimeNanoseconds": base, "metadata": {"TOKEN": "secret"}, "traceEvents": events,
        "traceName": "/secret/path.json",
    } | top  # fmt: skip
    path.write_text(json.dumps(document, indent=2))
    return path


def merged(*files):
    stream = io.BytesIO()
    merge_kineto(files, stream)
    return json.loads(stream.getvalue()), stream.getvalue()


def named(document, prefix="attrib.step"):
    return {e["name"]: e for e in document["traceEvents"] if e["name"].startswith(prefix)}


def test_steps_of_every_block_are_in_one_valid_file(tmp_path):
    document, _ = merged(kineto(tmp_path / "a", [0, 1]), kineto(tmp_path / "b", [2]))
    assert list(named(document)) == ["attrib.step#0", "attrib.step#1", "attrib.step#2"]
    assert document["baseTimeNanoseconds"] == BASE


def test_nothing_personal_is_left(tmp_path):
    _, data = merged(kineto(tmp_path / "a", [0]))
    assert b"secret" not in data


@pytest.mark.parametrize("category", ["user_annotation", "gpu_user_annotation"])
def test_the_words_of_a_models_own_ranges_are_left_out(tmp_path, category):
    kept = ["module: encoder.layer.0", "Torch-Compiled Region: 0/0", "ProfilerStep#3"]
    file = kineto(tmp_path / "a", [0])
    document = json.loads(file.read_text())
    for name in ("load /home/jane/x.pt", "batch of jane", *kept):
        document["traceEvents"].append(
            {"ph": "X", "cat": category, "name": name, "pid": 7, "tid": 7, "ts": 1, "dur": 1}
        )
    file.write_text(json.dumps(document))
    found, data = merged(file)
    assert b"jane" not in data
    names = [event["name"] for event in found["traceEvents"] if event.get("cat") == category]
    assert names.count("(range)") == 2
    assert set(kept) <= set(names)


def test_events_are_copied_unread(tmp_path):
    document, _ = merged(kineto(tmp_path / "a", [3]))
    event = named(document)["attrib.step#3"]
    assert (event["ts"], event["dur"], event["args"]) == (1003.125, 0.5, {"External id": 3})


def test_metadata_and_profiler_spans_do_not_repeat(tmp_path):
    document, _ = merged(kineto(tmp_path / "a", [0]), kineto(tmp_path / "b", [1]))
    names = [event["name"] for event in document["traceEvents"]]
    assert names.count("thread_name") == 1
    assert not {"PyTorch Profiler (0)", "Record Window End", "unknown"} & set(names)


def test_another_base_time_is_shifted_to_the_first(tmp_path):
    document, _ = merged(kineto(tmp_path / "a", [0]), kineto(tmp_path / "b", [1], base=BASE + 2_000_500))
    steps = named(document)
    assert steps["attrib.step#1"]["ts"] == 1001.125 + 2000.5
    assert steps["attrib.step#0"]["ts"] == 1000.125
