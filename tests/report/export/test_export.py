"""A report for other programs: each format as its readers want it, and nothing of a stranger's that acts."""

import csv
import io
import json
from collections import Counter, defaultdict

import msgspec
import pyarrow.parquet as pq
import pytest

from attrib.errors import AttribError
from attrib.report.export.node_data import to_node_data
from attrib.report.export.perfetto import to_perfetto
from attrib.report.export.tables import tables_of, write_tables
from attrib.report.export.trackers import to_bmf, to_github_action_benchmark
from tests.report.factory import document, hostile


def events_of(doc):
    return json.loads(to_perfetto(doc))["traceEvents"]


class TestPerfetto:
    def test_every_event_is_well_formed(self):
        for event in events_of(document()):
            assert event["ph"] in {"X", "M", "s", "f"}
            assert isinstance(event["pid"], int)
            assert isinstance(event["tid"], int)
            assert event["name"]
            if event["ph"] == "X":
                assert event["ts"] >= 0
                assert event["dur"] >= 0
                assert event["cat"]

    def test_threads_hold_as_much_as_the_timeline(self):
        doc = document()
        held = defaultdict(float)
        for event in events_of(doc):
            if event["ph"] == "X" and event["cat"] != "module":
                held[event["pid"]] += event["dur"]
        for process, role in enumerate(("torch", "onnxruntime"), start=1):
            lanes = doc.timeline[role].lanes
            assert held[process] * 1000 == pytest.approx(sum(sum(lane.durations_ns) for lane in lanes))

    def test_flows_come_in_pairs_at_the_start_of_a_slice_of_the_same_region(self):
        events = events_of(document())
        slices = {(e["pid"], e["tid"], e["ts"]): e for e in events if e["ph"] == "X" and e["cat"] != "module"}
        flows = defaultdict(dict)
        for event in events:
            if event["ph"] in "sf":
                flows[event["id"]][event["ph"]] = slices[event["pid"], event["tid"], event["ts"]]
        assert flows
        for ends in flows.values():
            assert ends["s"]["args"]["region"] == ends["f"]["args"]["region"]
            assert (ends["s"]["pid"], ends["f"]["pid"]) == (1, 2)

    def test_modules_lie_inside_each_other(self):
        for process in (1, 2):
            modules = sorted(
                (e["ts"], -e["dur"], e["args"]["module"])
                for e in events_of(document())
                if e["ph"] == "X" and e["cat"] == "module" and e["pid"] == process
            )  # fmt: skip
            assert modules
            open_ = []
            for start, less, path in modules:
                while open_ and open_[-1][0] <= start + 1e-9:
                    open_.pop()
                if open_ and path.startswith(f"{open_[-1][1]}."):
                    assert start - less <= open_[-1][0] + 1e-6
                open_.append((start - less, path))

    def test_a_capture_of_one_engine_has_one_process_and_no_flow(self):
        doc = document()
        alone = msgspec.structs.replace(doc, timeline={"torch": doc.timeline["torch"]})
        kinds = Counter(event["ph"] for event in events_of(alone))
        assert kinds["X"]
        assert not kinds["s"]

    def test_without_a_timeline_it_says_so(self):
        with pytest.raises(AttribError, match="no timeline"):
            to_perfetto(msgspec.structs.replace(document(), timeline={}))

    def test_hostile_names_are_visible(self):
        text = to_perfetto(hostile()).decode()
        assert "\u202e" not in text
        assert "\\u001b" not in text.lower()


class TestTables:
    def test_parquet_holds_the_ledger_and_sums_to_the_headline(self, tmp_path):
        doc = document()
        paths = write_tables(tables_of(doc, doc.regions), tmp_path / "new", "parquet")
        assert [path.name for path in paths] == ["ledger.parquet", "nodes.parquet", "calls.parquet"]
        table = pq.read_table(paths[0]).to_pydict()
        assert sum(table["delta_ns"]) == doc.latency.delta_ns.median
        assert table["torch_calls"][0] == list(doc.ledger[0].torch_calls)

    def test_csv_has_no_formula(self, tmp_path):
        doc = hostile()
        row = msgspec.structs.replace(doc.ledger[0], module="=1+1", region="@sum", torch_ops=("+1", "-2"))
        doc = msgspec.structs.replace(doc, ledger=(row, *doc.ledger[1:]))
        for path in write_tables(tables_of(doc, doc.regions), tmp_path, "csv"):
            for line in list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))[
                :5000
            ]:
                for name, cell in line.items():
                    assert not cell.startswith(("=", "@", "\t", "\r")), (name, cell)
                    assert not cell.startswith(("+", "-")) or cell.lstrip("-").replace(".", "").isdigit()

    def test_a_folder_that_cannot_be_made_is_one_line(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(AttribError, match="cannot be made"):
            write_tables({}, tmp_path / "file" / "inside", "csv")


class TestTrackers:
    def test_bmf_has_values_with_their_ends(self):
        found = json.loads(to_bmf(document()))
        name = "bert-base-uncased, batch 1, sequence 128, fp32, ONNX Runtime"
        step = document().latency.onnxruntime_ns
        assert found[name] == {
            "latency": {"value": step.median, "lower_value": step.low, "upper_value": step.high}
        }
        for measures in found.values():
            for metric in measures.values():
                assert metric["lower_value"] <= metric["value"] <= metric["upper_value"]

    def test_github_action_benchmark_is_a_list_of_what_should_be_small(self):
        found = json.loads(to_github_action_benchmark(document()))
        assert {tuple(sorted(entry)) for entry in found} == {("name", "range", "unit", "value")}
        assert len({entry["name"] for entry in found}) == len(found)

    @pytest.mark.parametrize("make", [to_bmf, to_github_action_benchmark])
    def test_hostile_names_are_one_visible_line(self, make):
        text = make(hostile()).decode()
        assert "\u202e" not in text
        assert "\\u001b" not in text.lower()
        json.loads(text)


def test_node_data_is_keyed_by_what_a_node_makes():
    doc = document()
    run = next(run for trail in doc.regions for run in trail.ran)
    found = json.loads(to_node_data(doc.regions, {run.id: ("value",)}))
    assert found["results"]["value"] == {"value": run.ns / 1e6}
    assert [stop["stop"] for stop in found["gradient"]] == [0, 1]
