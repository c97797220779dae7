"""Profiles of several launches as one."""

import gzip
import io
import json

from attrib.capture.ort.profile_merge import LaunchProfile, merge_profiles
from attrib.capture.session.artifacts import SideProfiles, write_profiles
from attrib.capture.storage.writer import TraceWriter

STARTUP = {"cat": "Session", "name": "session_initialization", "ts": 4, "dur": 100}


def written(folder, name, times, *, lines=True):
    events = [STARTUP, *({"cat": "Node", "name": f"n{ts}", "dur": 3, "ts": ts, "ph": "X"} for ts in times)]
    text = ",\n".join(json.dumps(event, separators=(",", " :")) for event in events)
    file = folder / name
    file.write_text(f"[\n{text}\n]\n" if lines else json.dumps(events))
    return file


def merged(*profiles):
    stream = io.BytesIO()
    merge_profiles([LaunchProfile(*profile) for profile in profiles], stream)
    return stream.getvalue()


def test_times_of_later_launches_count_from_the_zero_of_the_first(tmp_path):
    first, second = written(tmp_path, "a", [10, 20]), written(tmp_path, "b", [7, 9])
    events = json.loads(merged((first, 1_000_000), (second, 3_000_400)))
    assert [event["ts"] for event in events] == [4, 10, 20, 2007, 2009]
    assert [event["name"] for event in events].count("session_initialization") == 1


def test_profile_on_one_line_is_read_as_well(tmp_path):
    first, second = written(tmp_path, "a", [10], lines=False), written(tmp_path, "b", [7, 9])
    events = json.loads(merged((first, 0), (second, 5_000)))
    assert [event["ts"] for event in events] == [4, 10, 12, 14]


def test_single_profile_stays_as_it_is_byte_for_byte(tmp_path):
    file = tmp_path / "broken"
    file.write_bytes(b"{]")
    directory = TraceWriter(tmp_path / "out")
    write_profiles(directory, "ort", SideProfiles("onnxruntime", (), [LaunchProfile(file, 0)]))
    assert gzip.decompress((tmp_path / "out/ort/profile.json.gz").read_bytes()) == b"{]"


def test_profiles_without_events_are_an_empty_array(tmp_path):
    files = [tmp_path / name for name in ("a", "b")]
    files[0].write_bytes(b"")
    files[1].write_bytes(b"[\n]\n")
    assert json.loads(merged(*((file, 0) for file in files))) == []


def test_node_that_is_named_like_a_startup_event_in_its_arguments_stays(tmp_path):
    first, second = written(tmp_path, "a", [10]), tmp_path / "b"
    second.write_bytes(b'[\n{"name" :"n","ts" :8,"args" :{"op_name" :"session_initialization"}}\n]\n')
    assert len(json.loads(merged((first, 0), (second, 0)))) == 3


def test_name_that_breaks_the_json_passes_as_it_is(tmp_path):
    first, second = written(tmp_path, "a", [10]), tmp_path / "b"
    second.write_bytes(b'[\n{"cat" : "Node","dur" :3,"ts" :8,"name" :"a"b"}\n]\n')
    assert merged((first, 0), (second, 1_000)).endswith(
        b',\n{"cat" : "Node","dur" :3,"ts" :9,"name" :"a"b"}\n]\n'
    )
