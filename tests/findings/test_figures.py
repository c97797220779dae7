"""No figure of any rule exceeds what it rests on: its rows in the engine that spends the time, and that engine's step."""

import functools
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from attrib.analysis.attribution.judgement import REMAINDER_LIMIT
from attrib.findings.protocol import Rule, RuleResult
from attrib.findings.registry import RULES
from attrib.findings.runner import run
from attrib.model.estimate import Delta
from attrib.units import format_ns
from tests.findings.made_analysis import (
    CPU,
    PIECES,
    Chances,
    analysis_of,
    double_in_pytorch,
    linear,
    on_the_host,
    surplus,
)

CHANCES = st.builds(
    Chances,
    seed=st.integers(0, 2**32 - 1),
    plain=st.sampled_from([0.05, 0.3, 0.8, 1.0, 1.3]),
    spread=st.sampled_from([0.1, 1.0, 3.0]),
    noise=st.sampled_from([0.0, 0.02, 0.5]),
    favor=st.sampled_from([0.2, 1.0, 5.0]),
    launches=st.sampled_from([1, 3]),
    level=st.sampled_from(["all", "basic", "disabled"]),
    threads=st.sampled_from([(2, 2), (1, 4), (4, 1)]),
    padding=st.sampled_from([0.0, 0.5]),
    on_gpu=st.booleans(),
    faults=st.sampled_from([0.0, 0.5, 1.0]),
)
MODELS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=8, unique=True)

OF_ALL_STEPS = {"first-shape-cost", "engine-rebuild", "profiler-overhead"}
"""Rules whose texts are about other steps than the plain one, or about what the profile has beyond it."""

UNITS = {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}


def judged(evidence, rules=RULES):
    """Each finding with the result of its rule; None where the rule did not answer."""
    results = {}

    def recorded(rule):
        @functools.wraps(rule.audit)
        def audit(given_evidence):
            results[rule.id] = rule.audit(given_evidence)
            return results[rule.id]

        return replace(rule, audit=audit)

    return [(found, results.get(found.id)) for found in run(evidence, tuple(map(recorded, rules)))]


def assert_held(evidence, found, result):
    """The figure and both ends of its interval lie within the rows and the steps, and have one sign."""
    own = [row for row in evidence.ledger.rows if result is not None and row.id in set(result.rows)]
    ort, torch = evidence.latency.onnxruntime_ns.median, evidence.latency.torch_ns.median
    most = min(ort, sum(max(row.onnxruntime_ns, 0) for row in own))
    least = -min(torch, sum(max(row.torch_ns, 0) for row in own))
    assert found.state != "error", found.reason
    figures = (found.low_ns, found.explains_ns, found.saving_ns, found.high_ns)
    assert all(isinstance(ns, int) and least <= ns <= most for ns in figures), (found, least, most)
    if found.saving_ns:
        assert 0 <= found.low_ns <= found.saving_ns <= found.high_ns
        assert found.explains_ns in (0, found.saving_ns)
    else:
        assert found.explains_ns <= 0
        assert found.low_ns <= found.explains_ns <= found.high_ns <= 0
    if found.state != "failed" or not evidence.judgement.split_reliable:
        assert not any(figures)
    elif (
        result.claim is not None and result.works
    ):  # a part of its rows: no more than the calls and nodes that it names
        apart = [row for row in own if not row.torch_calls and not row.onnx_nodes]
        nodes, calls = (evidence.ledger.work(role, result.works).median for role in ("onnxruntime", "torch"))
        assert found.saving_ns <= nodes + sum(row.onnxruntime_ns for row in apart) + 1
        assert -found.explains_ns <= calls + sum(row.torch_ns for row in apart) + 1


def assert_told(evidence, found):
    """No time in words exceeds the step by more than rows may where the split holds."""
    step = max(evidence.latency.onnxruntime_ns.median, evidence.latency.torch_ns.median)
    for text in (found.title, found.summary, *(line.text for line in found.evidence)):
        for number, unit in re.findall(r"(?<![\w.,])([\d,]*\.?\d+) (ns|µs|ms|s)\b", text):
            told = float(number.replace(",", "")) * UNITS[unit]
            assert told <= step * (1 + REMAINDER_LIMIT) * 1.005, (text, step)  # rounded to three digits


@given(pieces=MODELS, chances=CHANCES)
def test_no_figure_exceeds_the_rows_and_the_step_it_rests_on(pieces, chances):
    evidence = analysis_of(pieces, chances)
    for found, result in judged(evidence):
        assert_held(evidence, found, result)
        if evidence.judgement.split_reliable and found.id not in OF_ALL_STEPS:
            assert_told(evidence, found)


def test_every_rule_with_a_figure_is_among_those_that_were_tried():
    """The property above says nothing of a rule that never claims anything on such models."""
    claimed = set()
    for piece, favor, seed in itertools.product(PIECES, (0.2, 5.0), range(6)):
        chances = Chances(
            seed=seed,
            favor=favor,
            on_gpu=piece is on_the_host,
            level="disabled",
            threads=(1, 4),
            padding=0.5,
            spread=0.3,
            faults=0.5,
        )
        evidence = analysis_of((piece, linear), chances)
        for found, result in judged(evidence):
            assert_held(evidence, found, result)
            claimed |= {found.id} if found.high_ns or found.low_ns else set()
    measuring = {
        "blocked-optimization",
        "padded-tokens",
        "page-faults",
        "thread-mismatch",
    }  # they claim time that is no cause
    assert claimed == {rule.id for rule in RULES if rule.cause is not None} | measuring


def greedy(claim, *, rows=slice(0, 2)):
    """A rule that claims what it likes for some rows."""

    def audit(evidence):
        named = tuple(row.id for row in evidence.ledger.rows if row.onnx_nodes)[rows]
        return RuleResult(failed=True, rows=named, claim=claim, summary="Greed.", price="It takes {}.")

    return Rule(
        id="greed", passed="None", failed="Greed {}", example="", about="", cause="kernel", needs=(), direction="any",
        audit=audit,
    )  # fmt: skip


@pytest.mark.parametrize("sign", [1, -1])
def test_a_rule_that_claims_too_much_gets_what_its_rows_take(sign):
    evidence = analysis_of((linear, surplus), Chances(spread=0.1))
    far = Delta(median=sign * 10**12, low=sign * 10**12 - 10**9, high=sign * 10**12 + 10**9)
    ((found, result),) = judged(evidence, (greedy(far),))
    own = [row for row in evidence.ledger.rows if row.id in result.rows]
    side = "onnxruntime_ns" if sign > 0 else "torch_ns"
    spent = sum(getattr(row, side) for row in own)
    assert found.explains_ns == sign * spent
    assert (found.low_ns, found.high_ns) == (sign * spent, sign * spent)
    assert found.summary == f"Greed. It takes {format_ns(spent)}."


def test_rows_that_are_longer_than_the_plain_step_are_held_to_it():
    evidence = analysis_of((linear, surplus), Chances(spread=0.1, plain=0.85))
    assert evidence.judgement.split_reliable
    far = Delta(median=10**12, low=10**12, high=10**12)
    ((found, _),) = judged(evidence, (greedy(far, rows=slice(None)),))
    assert found.saving_ns <= evidence.latency.onnxruntime_ns.median


def test_what_is_left_of_one_side_is_no_difference():
    """The calls in double are explained; their nodes are not then slower than nothing."""
    evidence = analysis_of((double_in_pytorch, linear), Chances(spread=0.1))
    found = {finding.id: finding for finding in run(evidence)}
    assert found["double-in-pytorch"].state == "failed"
    (row,) = [row for row in evidence.ledger.rows if row.onnx_nodes == ("matmul-product_0",)]
    assert evidence.work["onnxruntime"][row.onnx_nodes[0]].provider == CPU
    told = [line for name in ("slower-kernel", "faster-kernel") for line in found[name].evidence]
    assert not [line for line in told if row.id in line.rows]
