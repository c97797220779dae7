"""What the runner guarantees, whatever a rule says."""

import dataclasses
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrib.errors import InternalError
from attrib.findings.evidence.ledger_queries import step_ns
from attrib.findings.evidence.significance import is_certain, widened
from attrib.findings.protocol import Rule, RuleResult
from attrib.findings.registry import RULES
from attrib.findings.runner import NEEDS, SPEED_RULES, examine, round_to_noise, run
from attrib.model.document import Judgement
from attrib.model.estimate import Delta
from attrib.model.manifest import EXPORTED, OPTIMIZED
from attrib.units import format_ns
from tests.findings.evidence_factory import MS, STEP_NS, FakeLedger, evidence, manifest, row


def rule(audit, *, name="some-rule", cause="layout", needs=(), direction="slower"):
    return Rule(
        id=name,
        passed="Nothing",
        failed="{} found",
        example="3 nodes",
        about="",
        cause=cause,
        needs=needs,
        direction=direction,
        audit=audit,
    )


def claim(*rows, **more):
    return lambda _: RuleResult(failed=True, rows=rows, detail="3 nodes", **more)


def one(audit, given_evidence, **kind):
    (finding,) = run(given_evidence, (rule(audit, **kind),))
    return finding


class TestStates:
    def test_a_supported_claim_is_a_finding_with_its_share(self):
        layout = row("layout", 1 * MS, 4 * MS, name="a")
        finding = one(claim("a", fix="do it"), evidence(layout))
        assert (finding.state, finding.title, finding.fix) == ("failed", "3 nodes found", "do it")
        assert finding.saving_ns == finding.explains_ns == 3 * MS
        assert finding.low_ns <= 3 * MS <= finding.high_ns

    def test_a_claim_whose_interval_holds_zero_is_lowered(self):
        layout = row("layout", 4 * MS, 5 * MS, noise=2 * MS, name="a")
        finding = one(claim("a", summary="12 nodes."), evidence(layout))
        assert (finding.state, finding.title, finding.saving_ns) == ("passed", "Nothing", 0)
        assert finding.summary.startswith("12 nodes. Checked, and not a finding: it makes +1.0 ± 2.0 ms")

    @pytest.mark.parametrize(
        ("direction", "state"), [("slower", "passed"), ("faster", "failed"), ("any", "failed")]
    )
    def test_the_direction_decides_what_time_saved_means(self, direction, state):
        layout = row("layout", 4 * MS, 1 * MS, name="a")
        finding = one(claim("a"), evidence(layout), direction=direction)
        assert finding.state == state
        assert finding.saving_ns == 0
        if state == "failed":
            assert finding.explains_ns == -3 * MS

    def test_faster_is_not_claimed_for_rows_that_are_slower(self):
        layout = row("layout", 1 * MS, 4 * MS, name="a")
        finding = one(claim("a"), evidence(layout), direction="faster")
        assert finding.state == "passed"
        assert "more in ONNX Runtime" in finding.summary

    def test_what_is_certain_but_tiny_is_no_finding(self):
        layout = row("layout", 0, 100_000, noise=10, name="a")  # 0.05 % of the step
        finding = one(claim("a"), evidence(layout))
        assert finding.state == "passed"
        assert "% of the step" in finding.summary

    def test_a_difference_between_processes_has_a_wider_margin_than_time_that_nodes_take(self):
        small = Delta(median=8 * STEP_NS // 1000, low=7 * STEP_NS // 1000, high=9 * STEP_NS // 1000)
        layout = row("layout", 4 * MS, 4 * MS + small.median, noise=10, name="a")
        assert one(claim("a"), evidence(layout)).state == "passed"
        assert one(claim("a", claim=small), evidence(layout)).state == "failed"

    def test_a_cause_without_rows_is_no_finding(self):
        assert one(claim(), evidence()).state == "passed"

    def test_rules_about_the_measurement_need_no_rows(self):
        finding = one(claim(), evidence(), cause=None)
        assert (finding.state, finding.saving_ns, finding.explains_ns) == ("failed", 0, 0)

    def test_an_exception_becomes_one_line_and_the_others_still_run(self):
        def broken(evidence):
            raise ValueError("two\nlines")

        rules = (rule(broken, name="broken"), rule(claim(), name="fine", cause=None))
        findings = {finding.id: finding for finding in run(evidence(), rules)}
        assert findings["broken"].state == "error"
        assert findings["broken"].reason.endswith("ValueError: two lines")
        assert findings["fine"].state == "failed"

    def test_a_row_that_does_not_exist_is_the_rules_error(self):
        assert one(claim("no such row"), evidence()).state == "error"

    def test_two_rules_with_one_id_are_a_bug(self):
        with pytest.raises(InternalError):
            run(evidence(), (rule(claim()), rule(claim())))


UNRELIABLE = Judgement(split_reliable=False)

LACKING = {
    "delta": lambda e: {"latency": msgspec.structs.replace(e.latency, delta_ns=None)},
    "manifest": lambda _: {"manifest": None},
    "partitions": lambda e: {"partitions": {"torch": e.partitions["torch"]}},
    "regions": lambda _: {"regions": {}},
    "exported": lambda e: {"graphs": {OPTIMIZED: e.optimized}},
    "optimized": lambda e: {"graphs": {EXPORTED: e.exported}},
    "outputs": lambda _: {"outputs": ()},
    "plain": lambda _: {"plain_ns": {"torch": (), "onnxruntime": ((),)}},
    "nodes": lambda e: {"partitions": {"torch": e.partitions["torch"]}},
    "graph": lambda e: {"graphs": {OPTIMIZED: e.optimized}},
    "tokens": lambda _: {"manifest": manifest(workload={"seq_len": 0})},
    "device": lambda e: {"partitions": e.partitions},
    "ran": lambda _: {"graphs": {}},
    "split": lambda _: {"judgement": UNRELIABLE},
}


@pytest.mark.parametrize("need", sorted(NEEDS))
def test_missing_evidence_is_named_with_how_to_record_it(need):
    full = evidence(row("layout", 0, 3 * MS, name="a"))
    poor = dataclasses.replace(full, **LACKING[need](full))
    finding = one(claim("a"), poor, needs=(need,))
    assert finding.state == "not_applicable"
    assert NEEDS[need].what in finding.reason
    assert NEEDS[need].how in finding.reason


def test_order_is_measurement_then_saving_then_what_is_explained():
    rows = [
        row("layout", 0, 2 * MS, name="two"),
        row("cast", 0, 5 * MS, name="five"),
        row("fused", 9 * MS, 0, name="nine"),
    ]
    rules = (
        rule(claim("nine"), name="gain", direction="any"),
        rule(lambda _: RuleResult(failed=False), name="passed"),
        rule(claim("two"), name="small"),
        rule(claim("five"), name="large"),
        rule(claim(), name="unfair", cause=None),
    )
    assert [f.id for f in run(evidence(*rows), rules)] == ["unfair", "large", "small", "gain", "passed"]


deltas = st.integers(-50 * MS, 50 * MS)


CAUSES = ["layout", "cast", "kernel", "fused", "decomposed", "framework", "shape_arithmetic", "unattributed"]


def busy_rows(values, noise):
    """One row a value, with a call and a node in each, so that every rule has something to look at."""
    return [
        row(
            cause,
            max(-delta, 0),
            max(delta, 0),
            noise=noise,
            region=f"region {i}",
            calls=[(f"call {i}", ("aten::gelu", "aten::scaled_dot_product_attention")[i % 2])],
            nodes=[(f"node {i}", ("Erf", "Softmax")[i % 2])],
        )
        for i, (cause, delta) in enumerate(values)
    ]


@given(values=st.lists(st.tuples(st.sampled_from(CAUSES), deltas), min_size=1), noise=st.integers(0, 5 * MS))
def test_a_saving_is_never_negative_and_never_more_than_the_rows_it_explains(values, noise):
    rows = busy_rows(values, noise)
    given_evidence = evidence(*rows)
    for _, finding, verdict in examine(given_evidence):
        assert finding.state != "error", finding.reason
        named = verdict.rows if finding.state == "failed" and verdict else ()
        total = sum(r.delta_ns for r in rows if r.id in named)
        assert 0 <= finding.saving_ns <= min(max(total, 0), step_ns(given_evidence))
        if finding.state == "failed" and finding.cause is not None:
            assert finding.low_ns <= finding.explains_ns <= finding.high_ns
            assert finding.low_ns >= 0 or finding.high_ns <= 0
            assert abs(finding.explains_ns) <= abs(total)


@given(values=st.lists(st.tuples(st.sampled_from(CAUSES), deltas), min_size=1))
def test_findings_about_speed_share_no_row(values):
    given_evidence = evidence(*busy_rows(values, 0))
    explained = [verdict for _, _, verdict in examine(given_evidence) if verdict is not None]
    named = [name for verdict in explained for name in verdict.rows]
    assert len(named) == len(set(named))


@given(median=deltas.filter(bool), half=st.integers(0, 60 * MS))
def test_rounding_never_adds_and_never_narrows(median, half):
    half = min(half, abs(median) - 1)
    exact = Delta(median=median, low=median - half, high=median + half)
    short = round_to_noise(exact)
    assert abs(short.median) <= abs(median)
    assert short.low <= exact.low
    assert short.high >= exact.high
    assert abs(short.median - median) <= max(half // 10 + 1, 1)
    assert short.low >= 0 or short.high <= 0


def test_rounding_keeps_two_digits_of_the_noise():
    assert round_to_noise(Delta(median=12_345_678, low=12_245_678, high=12_445_678)).median == 12_340_000


def test_the_same_evidence_gives_the_same_findings():
    rows = [row("layout", 0, 2 * MS), row("cast", 0, 5 * MS)]
    assert run(evidence(*rows)) == run(evidence(*rows))


def test_every_rule_is_described_for_its_reader():
    for known in RULES:
        assert known.passed
        assert known.failed
        assert known.failed != known.passed
        assert known.example
        assert "{}" in known.failed
        assert len(known.about) > 120, known.id
        assert re.fullmatch(
            rf"attrib\.findings\.rules\.[a-z]+\.{known.id.replace('-', '_')}", known.audit.__module__
        )
        assert set(known.needs) <= set(NEEDS)


def test_no_rule_blames_anything_where_nothing_differs():
    shifts = (-MS // 3, MS // 4, 0, MS // 5)
    rows = busy_rows([(cause, shift) for cause in CAUSES for shift in shifts], MS)
    assert [f.id for f in run(evidence(*rows)) if f.state == "failed"] == []


def test_the_ledger_of_the_tests_is_exact():
    ledger = FakeLedger((row("layout", 0, 3 * MS, name="a"), row("cast", 0, 4 * MS, name="b")))
    assert ledger.total(["a", "b", "a"]).median == 7 * MS


@pytest.mark.parametrize(("torch_ns", "state"), [(0, "failed"), (STEP_NS // 4, "passed")])
def test_chance_makes_differences_and_no_time_out_of_nothing(torch_ns, state):
    """3 ± 1 ms over three launches: sure of its own, and not among as many differences as there are rules."""
    layout = row("layout", torch_ns, torch_ns + 3 * MS, noise=MS, name="a")
    assert one(claim("a"), evidence(layout, launches=3)).state == state


@pytest.mark.parametrize(("half", "says"), [(4 * MS, "told from nothing"), (MS, "more launches narrow it")])
def test_a_doubt_contradicts_no_interval(half, says):
    """An interval without 0 in it is not said to hold nothing: what is asked of one of many rules is said beside it."""
    layout = row("layout", STEP_NS // 4, STEP_NS // 4 + 3 * MS, noise=half, name="a")
    passed = one(claim("a"), evidence(layout, launches=3))
    assert (passed.state, says in passed.summary) == ("passed", True)
    wide = widened(Delta(median=3 * MS, low=3 * MS - half, high=3 * MS + half), SPEED_RULES, 3)
    assert wide.low < 0 < wide.high
    assert (format_ns(wide.low, sign=True) in passed.summary) == (half == MS)


@given(
    median=st.integers(-MS, MS),
    ends=st.tuples(st.integers(0, MS), st.integers(0, MS)),
    tests=st.integers(1, 40),
    launches=st.integers(1, 8),
)
def test_an_interval_for_several_tests_holds_that_of_one(median, ends, tests, launches):
    own = Delta(median=median, low=median - ends[0], high=median + ends[1])
    wide = widened(own, tests, launches)
    assert wide.low <= own.low <= own.median <= own.high <= wide.high
    assert wide.median == own.median
    if is_certain(own, tests, launches):
        assert not wide.low <= 0 <= wide.high


class TestSplitThatIsNotReliable:
    def test_no_rule_about_time_answers(self):
        layout = row("layout", 1 * MS, 4 * MS, name="a")
        finding = one(claim("a"), evidence(layout, judgement=UNRELIABLE))
        assert finding.state == "not_applicable"
        assert "a reliable split of the step" in finding.reason
        assert finding.saving_ns == 0

    def test_what_makes_a_comparison_unfair_is_said_without_a_figure(self):
        layout = row("layout", 1 * MS, 4 * MS, name="a")
        waste = Delta(median=MS, low=MS - 1, high=MS + 1)
        given_evidence = evidence(layout, judgement=UNRELIABLE)
        finding = one(claim("a", claim=waste), given_evidence, cause=None)
        assert (finding.state, finding.saving_ns, finding.low_ns, finding.high_ns) == ("failed", 0, 0, 0)
        assert one(claim(), given_evidence, cause=None).state == "failed"  # of the graph alone

    def test_no_rule_of_attrib_claims_time(self):
        rows = busy_rows([(cause, delta) for cause in CAUSES for delta in (9 * MS, -9 * MS)], 0)
        found = run(evidence(*rows, judgement=UNRELIABLE))
        assert {f.state for f in found if f.cause is not None} == {"not_applicable"}
        assert all(f.saving_ns == f.explains_ns == 0 for f in found)


@pytest.mark.parametrize(("launches", "half"), [(1, 60), (3, 15), (5, 35)])
def test_the_fewer_launches_the_surer_one_of_many_intervals_must_be(launches, half):
    """Widened for 30 tests: 1.6 times by the normal distribution, 5.7 and 2.6 times by those of 2 and 4 degrees."""
    sure, unsure = (Delta(median=100, low=100 - its, high=100 + its) for its in (half, half + 5))
    assert is_certain(sure, 30, launches)
    assert not is_certain(unsure, 30, launches)
    assert is_certain(
        Delta(median=100, low=1, high=199), 1, launches
    )  # the only one: its own interval counts
