"""How the benchmark of truth scores: what counts as right, what as drift, what as blamed on the innocent, and ranks."""

from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from planted_measure import joined
from planted_score import Pair, Truth, cells_of, is_right, score, strays
from planted_table import overall
from plants.plant import Plant

from attrib.model.document import Finding, Latency, LedgerRow
from attrib.model.estimate import Delta, Estimate
from attrib.model.region import Match

PLANT = Plant(
    name="casts", kind="", place="", findings=("redundant-casts",), causes=("cast",), where=("encoder.layer.0",)
)  # fmt: skip
MATCH = Match(method="none", confidence=1.0)


def row(module: str, cause: str, ort_ns: int, node: str = "") -> LedgerRow:
    name = node or f"{module}/{cause}"
    return LedgerRow(
        id=f"{name}:{cause}", region=name, module=module, cause=cause, onnx_nodes=(name,), torch_ns=0,
        onnxruntime_ns=ort_ns, delta_ns=ort_ns, low_ns=ort_ns, high_ns=ort_ns, match=MATCH,
    )  # fmt: skip


def finding(name: str, saving: int) -> Finding:
    return Finding(
        id=name,
        state="failed",
        title="",
        cause="cast",
        saving_ns=saving,
        low_ns=saving - 50,
        high_ns=saving + 50,
    )


def report(rows, findings=(), *, ort=10_000, torch=20_000, half=0, caches=()):
    """What of an analysis the score reads; every sum of work has an interval of `half` to either side."""

    def work(_side, ids, *, drift):
        assert not drift, "the pair takes it out"
        total = sum(r.onnxruntime_ns for r in rows if set(ids) & {*r.onnx_nodes, r.region})
        return Delta(median=total, low=total - half, high=total + half)

    def estimate(value):
        return Estimate(median=value, low=value, high=value, n=1)

    latency = Latency(torch_ns=estimate(torch), onnxruntime_ns=estimate(ort), delta_ns=None, significant=True)
    document = SimpleNamespace(
        ledger=tuple(rows),
        findings=tuple(findings),
        latency=latency,
        state=SimpleNamespace(launches=[SimpleNamespace(caches=one) for one in caches]),
    )
    directory = SimpleNamespace(root=Path("nowhere"))
    return SimpleNamespace(
        document=document,
        ledger_rows=SimpleNamespace(work=work, sampling=SimpleNamespace(launches=3)),
        directory=directory,
    )


def truth(cost=1000, low=900, high=1100):
    step = Estimate(median=10_000, low=10_000, high=10_000, n=1)
    return Truth(baseline_ns=step, variant_ns=step, cost_ns=Delta(median=cost, low=low, high=high))


def scored(planted, unplanted, plant=PLANT, **cost):
    return score(Pair(plant, planted, unplanted), truth(**cost))


@pytest.mark.parametrize(
    ("module", "cause", "right"),
    [
        ("encoder.layer.0", "cast", True),
        ("encoder.layer.0.attention.self", "cast", True),
        ("encoder.layer.0.attention", "layout", False),
        ("encoder.layer.1", "cast", False),
        ("encoder.layer.01", "cast", False),
        ("", "cast", False),
    ],
)
def test_a_row_is_right_by_module_and_cause(module, cause, right):
    assert is_right(PLANT, row(module, cause, 1)) is right


def test_attributed_is_the_growth_of_the_right_rows_beyond_the_machines_drift():
    before = report([row("encoder.layer.0", "cast", 400)], torch=20_000)
    after = report([row("encoder.layer.0", "cast", 1400), row("encoder.layer.1", "cast", 5000)], torch=22_000)
    found = scored(after, before)
    assert found.drift == pytest.approx(1.1)
    assert found.attributed_ns.median == 1400 - 440
    assert found.error == pytest.approx(-0.04)


@pytest.mark.parametrize(
    ("before", "after", "unlike"),
    [
        (["shared"], ["apart"], True),
        (["shared", "apart"], ["apart"], False),
        (["shared"], [""], False),
        ([], ["apart"], False),
    ],
)
def test_captures_in_no_common_state_of_the_machine_are_unlike(before, after, unlike):
    pair = Pair(PLANT, report([], caches=after), report([], caches=before))
    assert pair.unlike is unlike


def test_growth_elsewhere_is_blamed_on_the_innocent_as_far_as_its_interval_is_from_nothing():
    before = report([row("encoder.layer.0", "kernel", 1000), row("encoder.layer.1", "kernel", 1000)], half=30)
    after = report([row("encoder.layer.0", "kernel", 1140), row("encoder.layer.1", "kernel", 1040)], half=40)
    found = scored(after, before)
    assert found.innocents == pytest.approx((140 - 50) / 10_000)  # the other one's 40 lie within 50
    assert [(cell.place, cell.right) for cell in found.worst] == [
        ("encoder.layer.0", False),
        ("encoder.layer.1", False),
    ]


def test_time_that_leaves_one_cause_for_another_is_blamed_twice():
    before = report([row("encoder.layer.1", "kernel", 500)])
    after = report([row("encoder.layer.1", "fused", 500)])
    assert scored(after, before).innocents == pytest.approx(0.1)


def test_profiler_overhead_is_no_blame():
    after = report([row("", "profiler_overhead", 700)])
    found = scored(after, report([row("", "profiler_overhead", 100)]))
    assert found.innocents == 0
    assert found.overhead == pytest.approx(0.06)
    assert not cells_of(Pair(PLANT, after, after))


def test_rank_leaves_out_what_the_unplanted_report_says_as_well():
    after = report(
        [], [finding("layout-churn", 2000), finding("slower-kernel", 900), finding("redundant-casts", 800)]
    )
    before = report([], [finding("layout-churn", 1960), finding("redundant-casts", 100)])
    found = scored(after, before)
    assert (found.named.raw_rank, found.named.rank, found.named.figure_ns) == (3, 2, 700)
    assert found.rivals == ("slower-kernel",)


def test_a_finding_that_grew_beyond_its_interval_stays_before_the_right_one():
    after = report([], [finding("layout-churn", 2000), finding("redundant-casts", 800)])
    found = scored(after, report([], [finding("layout-churn", 1000)]))
    assert found.named.rank == 2


@pytest.mark.parametrize("known", [800, 1000])
def test_a_right_finding_that_did_not_grow_names_nothing(known):
    found = scored(
        report([], [finding("redundant-casts", 800)]), report([], [finding("redundant-casts", known)])
    )
    assert found.named is None


def test_of_two_right_findings_the_one_that_grew_is_taken():
    plant = Plant(
        name="busy", kind="", place="", findings=("framework-overhead", "python-overhead"), causes=(), where=()
    )  # fmt: skip
    after = report([], [finding("framework-overhead", 900), finding("python-overhead", 500)])
    found = scored(after, report([], [finding("framework-overhead", 1000)]), plant)
    assert (found.named.finding, found.named.rank, found.named.raw_rank) == ("python-overhead", 1, 2)


def test_without_the_right_finding_there_is_no_rank():
    found = scored(report([], [finding("layout-churn", 2000)]), report([]))
    assert found.named is None
    assert overall([found]).top_3 == 0


@pytest.mark.parametrize(
    ("cost", "counts"),
    [
        ({"cost": 1000, "low": 900, "high": 1100}, True),
        ({"cost": 1000, "low": -100, "high": 2100}, False),
        ({"cost": 40, "low": 35, "high": 45}, False),
        ({"cost": 1000, "low": 600, "high": 1200}, False),
        ({"cost": -1000, "low": -1100, "high": -900}, False),
    ],
    ids=["certain", "holds 0", "below half a percent", "too wide", "a gain"],
)
def test_a_plant_counts_if_its_cost_is_above_the_noise(cost, counts):
    assert scored(report([]), report([]), **cost).counts is counts


@pytest.mark.parametrize(("half", "settled"), [(250, True), (251, False)])
def test_an_attributed_cost_that_is_known_too_roughly_is_not_settled(half, settled):
    found = scored(report([row("encoder.layer.0", "cast", 900)], half=half), report([]), cost=1000)
    assert found.counts
    assert found.settled is settled
    assert (overall([found]).plants, overall([found]).settled) == (1, settled)


def test_single_captures_are_summed_up_beside_their_median():
    found = msgspec.structs.replace(scored(report([]), report([])), errors=(-0.5, 0.1, 0.2))
    assert (overall([found]).median_capture_error, overall([found]).worst_capture_error) == (0.2, 0.5)


def test_planted_nodes_in_other_rows_are_named():
    after = report(
        [
            row("encoder.layer.1", "cast", 10, node="planted_Cast_0"),
            row("encoder.layer.0", "cast", 10, node="planted_Cast_1"),
        ]
    )
    assert strays(Pair(PLANT, after, after)) == ("planted_Cast_0 in planted_Cast_0:cast",)


def test_what_was_measured_before_and_after_the_captures_is_one_truth():
    first = joined(None, [[100, 100]] * 2, [[110, 110]] * 2, [0, 1], ["shared", ""])
    both = joined(first, [[200, 200]] * 2, [[230, 230]] * 2, [0, 1], ["apart"])
    assert (first.parts, both.parts) == (1, 2)
    assert both.launches == (0, 1, 2, 3)
    assert both.plain_ns["variant"] == ((110, 110), (110, 110), (230, 230), (230, 230))
    assert first.cost_ns.median == 10
    assert both.cost_ns.median == 20
    assert both.cost_ns.high > first.cost_ns.high
    assert (first.caches, both.caches) == (("shared",), ("apart", "shared"))


def test_a_truth_of_another_state_of_the_machine_settles_nothing():
    before = report([row("encoder.layer.0", "cast", 400)])
    after = report([row("encoder.layer.0", "cast", 1400)], caches=["shared"])
    pair = Pair(PLANT, after, before)
    assert score(pair, truth()).settled
    assert score(pair, msgspec.structs.replace(truth(), caches=("shared", "apart"))).settled
    assert not score(pair, msgspec.structs.replace(truth(), caches=("apart",))).settled
