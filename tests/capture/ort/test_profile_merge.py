"""Profiles of several launches as one."""

import io
import json

from attrib.capture.ort.profile_merge import LaunchProfile, merge_profiles

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


def test_single_profile_is_copied_byte_for_byte(tmp_path):
    file = tmp_path / "broken"
    file.write_bytes(b"{]")
    assert merged((file, 0)) == b"{]"


def test_name_that_breaks_the_json_passes_as_it_is(tmp_path):
    first, second = written(tmp_path, "a", [10]), tmp_path / "b"
    second.write_bytes(b'[\n{"cat" : "Node","dur" :3,"ts" :8,"name" :"a"b"}\n]\n')
    assert merged((first, 0), (second, 1_000)).endswith(
        b',\n{"cat" : "Node","dur" :3,"ts" :9,"name" :"a"b"}\n]\n'
    )
