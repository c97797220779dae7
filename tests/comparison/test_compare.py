"""Two captures: what is not the same, what forbids to compare them, and changes that sum exactly."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attrib.comparison import compare
from attrib.comparison.figures import change_of, quotient
from attrib.comparison.work import shared_work
from attrib.model.document import Judgement, LaunchState, MachineState
from attrib.model.estimate import Delta, Ratio
from attrib.model.manifest import Rewrite
from tests.report.factory import LAYER, document, ledger

MS = 1_000_000


def changed(row, **changes):
    return msgspec.structs.replace(row, **changes)


def with_side(doc, role="onnxruntime", **changes):
    return changed(doc, sides={**doc.sides, role: changed(doc.sides[role], **changes)})


def work_of(diff, module, call):
    return next(work for work in diff.work if work.module == module and call in work.calls)


class TestSums:
    def assert_exact(self, diff, before, after):
        steps = {step.role: step.change_ns.median for step in diff.steps}
        assert sum(work.onnxruntime_ns for work in diff.work) == steps["onnxruntime"]
        assert sum(work.torch_ns for work in diff.work) == steps["torch"]
        assert sum(work.change_ns.median for work in diff.work) == diff.delta_ns.median
        assert sum(cause.change_ns.median for cause in diff.causes) == diff.delta_ns.median
        held = [row for work in diff.work for side in (work.before, work.after) for row in side.rows]
        assert sorted(held) == sorted(row.id for doc in (before, after) for row in doc.ledger)

    def test_rows_of_the_same_model_sum_to_the_change(self):
        before, after = document(ledger(seed=7)), document(ledger(seed=8))
        self.assert_exact(compare(before, after), before, after)

    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_rows_of_whatever_graphs_sum_to_the_change(self, data):
        docs = []
        for _ in range(2):
            rows = list(ledger(2, seed=data.draw(st.integers(0, 9))))
            kept = data.draw(st.lists(st.sampled_from(range(len(rows))), min_size=1, unique=True))
            own = []
            for i in kept:
                region = data.draw(st.sampled_from((rows[i].region, "elsewhere", f"other {i}")))
                calls = data.draw(st.lists(st.sampled_from("abcdef"), max_size=3, unique=True))
                row = changed(rows[i], region=region, torch_calls=tuple(calls), torch_ops=tuple(calls))
                own.append(changed(row, id=f"{region}:{i}"))
            docs.append(document(tuple(own)))
        self.assert_exact(compare(*docs), *docs)


class TestSharedWork:
    def test_calls_hold_regions_of_different_graphs_together(self):
        linear, gelu = (
            next(row for row in ledger(1) if f"aten::{op}" in row.torch_ops and "intermediate" in row.module)
            for op in ("linear", "gelu")
        )
        both = changed(
            linear,
            id="one",
            region="fused",
            torch_calls=(*linear.torch_calls, *gelu.torch_calls),
            torch_ops=("aten::linear", "aten::gelu"),
        )
        (work,) = shared_work((linear, gelu), (both,))
        assert (len(work.before), len(work.after), work.calls) == (2, 1, ("gelu", "linear"))

    def test_what_has_no_call_is_the_same_by_its_name(self):
        dispatch = next(row for row in ledger(1) if row.region == "torch dispatch")
        session = next(row for row in ledger(1) if row.region == "ort session")
        assert len(shared_work((dispatch,), (dispatch, session))) == 2

    def test_a_region_of_another_capture_is_not_the_same_by_chance(self):
        own = next(row for row in ledger(1) if row.torch_calls)
        other = changed(own, torch_calls=("another/aten::linear#0",))
        assert len(shared_work((own,), (other,))) == 2


class TestChanges:
    def test_two_captures_of_one_thing_show_nothing(self):
        doc = document()
        diff = compare(doc, doc)
        assert not diff.conditions
        assert not any(one.certain for one in (*diff.steps, *diff.causes, *diff.work))
        assert {change.kind for change in diff.findings} == {"kept"}
        assert diff.remarks == ("Nothing that a capture records is different.",)

    def test_other_nodes_for_the_same_calls_are_named_and_come_first(self):
        rows = ledger()
        other = tuple(
            changed(
                row,
                onnx_ops=("Attention",),
                onnx_nodes=("a",),
                onnxruntime_ns=row.onnxruntime_ns - 400_000,
                delta_ns=row.delta_ns - 400_000,
                low_ns=row.low_ns - 400_000,
                high_ns=row.high_ns - 400_000,
            )
            if row.cause == "kernel" and "Softmax" in row.onnx_ops
            else row
            for row in rows
        )
        before = document(rows)
        after = with_side(document(other), opset=23)
        diff = compare(before, after)
        assert [(one.what, one.before, one.after) for one in diff.conditions] == [
            ("ONNX Runtime: opset", "20", "23")
        ]
        first = diff.work[0]
        assert (first.module, first.count, first.certain, first.rewritten) == (
            "encoder.layer.*.attention.self",
            12,
            True,
            True,
        )
        assert "Attention" in first.after.nodes
        assert "Softmax" in first.before.nodes
        assert first.onnxruntime_ns == -12 * 400_000
        assert first.torch_ns == 0
        assert {step.role: step.certain for step in diff.steps} == {"torch": False, "onnxruntime": True}

    def test_findings_are_new_gone_or_save_another_amount(self):
        base = document()
        churn, attention, *rest = base.findings
        larger = changed(
            churn, saving_ns=churn.saving_ns * 3, low_ns=churn.low_ns * 3, high_ns=churn.high_ns * 3
        )
        after = changed(base, findings=(larger, changed(attention, state="passed"), *rest))
        kinds = {change.id: change.kind for change in compare(base, after).findings}
        assert kinds == {"layout-churn": "changed", "decomposed-attention": "gone", "operator-fusion": "kept"}
        assert {c.id: c.kind for c in compare(after, base).findings}["decomposed-attention"] == "new"

    def test_a_change_below_what_two_processes_differ_by_is_not_certain(self):
        rows = ledger()
        slightly = tuple(
            changed(row, onnxruntime_ns=row.onnxruntime_ns + 600, delta_ns=row.delta_ns + 600, low_ns=row.delta_ns + 599,
                    high_ns=row.delta_ns + 601)
            if row.cause == "layout" else changed(row, low_ns=row.delta_ns - 1, high_ns=row.delta_ns + 1)
            for row in rows
        )  # fmt: skip
        tight = tuple(changed(row, low_ns=row.delta_ns - 1, high_ns=row.delta_ns + 1) for row in rows)
        diff = compare(document(tight), document(slightly))
        assert not any(work.certain for work in diff.work)


class TestConditions:
    def test_settings_software_and_machine_are_named(self):
        before = document()
        rewrite = Rewrite(name="drop-nan-guard", tool="attrib 0.1.0", graph="onnx/rewritten-1.onnx")
        after = with_side(before, rewrites=(rewrite,), version="1.32.0")
        env = changed(
            before.environment, packages=before.environment.packages | {"onnxruntime": "1.32.0"}, cpu="Other"
        )
        diff = compare(before, changed(after, environment=env))
        assert [(one.kind, one.what) for one in diff.conditions] == [
            ("setting", "ONNX Runtime: rewrites"),
            ("software", "ONNX Runtime: version"),
            ("software", "onnxruntime"),
            ("machine", "processor"),
        ]
        assert not diff.obstacles
        assert any("Two machines" in text for text in diff.remarks)
        assert any("4 things are different" in text for text in diff.remarks)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"batch_size": 8}, "different work (batch size: 1, then 8)"),
            ({"model": "gpt2"}, "different work (model: bert-base-uncased, then gpt2)"),
        ],
    )
    def test_other_work_cannot_be_compared(self, changes, said):
        before = document()
        diff = compare(before, changed(before, workload=changed(before.workload, **changes)))
        assert any(said in text for text in diff.obstacles)
        assert not any(one.certain for one in (*diff.steps, *diff.causes, *diff.work))

    def test_a_busy_machine_and_damaged_traces_are_obstacles(self):
        doc = document()
        assert compare(doc, changed(doc, judgement=Judgement(busy=True))).obstacles == (
            "the machine was busy in the second capture",
        )

    def test_only_like_states_of_one_machine_are_compared(self):
        docs = [
            changed(
                document(),
                state=MachineState(
                    launches=tuple(
                        LaunchState(launch=i, caches=caches, copy_ns=ns) for i, (caches, ns) in enumerate(its)
                    )
                ),
            )
            for its in (
                [("shared", 10 * MS), ("shared", 11 * MS)],
                [("apart", 10 * MS)],
                [("apart", 10 * MS), ("shared", 10 * MS)],
                [("shared", 15 * MS)],
            )
        ]  # fmt: skip
        assert "another state" in compare(docs[0], docs[1]).obstacles[0]
        assert not compare(docs[0], docs[2]).obstacles
        assert "the same copy took 10.5 ms and 15 ms" in compare(docs[0], docs[3]).obstacles[0]

    def test_states_of_two_machines_are_not_asked_to_be_alike(self):
        one = changed(document(), state=MachineState(launches=(LaunchState(launch=0, copy_ns=10 * MS),)))
        other = changed(
            document(),
            state=MachineState(launches=(LaunchState(launch=0, copy_ns=20 * MS),)),
            environment=changed(one.environment, cpu="another"),
        )
        assert not compare(one, other).obstacles

    def test_what_only_one_capture_says_of_its_machine_is_no_difference(self):
        before = document()
        silent = changed(before, environment=changed(before.environment, cpu="", usable_cores=0.0))
        assert not compare(before, silent).conditions


class TestFigures:
    def test_the_interval_of_a_change_is_the_root_of_the_squares(self):
        change = change_of(Delta(median=100, low=96, high=103), Delta(median=110, low=107, high=114))
        assert (change.median, change.low, change.high) == (10, 5, 16)

    def test_a_quotient_turns_around(self):
        one, other = Ratio(value=2.0, low=1.8, high=2.3), Ratio(value=1.0, low=0.9, high=1.1)
        there, back = quotient(one, other), quotient(other, one)
        assert there.value * back.value == pytest.approx(1)
        assert there.low * back.high == pytest.approx(1)

    def test_nothing_is_divided_by_what_may_be_nothing(self):
        assert quotient(Ratio(value=1.0, low=0.0, high=2.0), Ratio(value=1.0, low=0.9, high=1.1)) is None


def test_every_kind_of_layer_is_one_entry():
    diff = compare(document(), document(ledger(seed=9)))
    layers = [work for work in diff.work if work.module.startswith("encoder.layer.*")]
    assert {work.count for work in layers} == {12}
    assert len(layers) < len(LAYER)  # rows of one region stand together


class TestStrangersReports:
    """A report.json may hold any number."""

    def test_steps_that_are_no_measurement_are_not_compared(self):
        doc = document()
        step = changed(doc.latency.onnxruntime_ns, median=-5, low=7, high=-9)
        wrong = changed(doc, latency=changed(doc.latency, onnxruntime_ns=step))
        assert compare(doc, wrong).obstacles == ("the steps of the second capture are no measurement",)

    def test_launches_without_number_cost_no_time(self):
        doc = document()
        many = changed(doc, latency=changed(doc.latency, launches=10**15))
        assert not compare(many, many).obstacles

    def test_a_quotient_beyond_all_numbers_is_none(self):
        far = Ratio(value=1e308, low=1e-308, high=1e308)
        assert quotient(far, Ratio(value=1e-308, low=1e-308, high=1e308)) is None
