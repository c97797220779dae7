"""The rules about session, device and measurement on traces that were really recorded."""

import shutil

import pytest

from attrib.api import load

MINE = (
    "provider-not-used",
    "different-math",
    "thread-mismatch",
    "blocked-optimization",
    "unfair-timing",
    "unstable-measurement",
    "competing-pools",
    "denormal-values",
    "first-shape-cost",
    "engine-rebuild",
    "launch-bound",
    "profiler-overhead",
    "padded-tokens",
    "fallback-nodes",
    "memcpy-nodes",
    "unbound-inputs",
    "output-mismatch",
)


@pytest.fixture
def trace(shared_traces, tmp_path):
    """A directory that holds one of the shared traces, analyzed: its findings by id."""

    def findings(name):
        shutil.copy(shared_traces / name, tmp_path)
        return {found.id: found for found in load(tmp_path).document.findings}

    return findings


@pytest.mark.rule("launch-bound", "fires")
def test_bert_small_on_an_h100_waits_for_its_host(trace):
    found = trace("kineto_bert_small_h100.json")["launch-bound"]
    assert found.state == "failed"
    assert (
        "309 µs of 4.43 ms" in found.evidence[0].text
    )  # shared/traces/README.md: 309.438 µs busy, wall 4426.114
    assert "in 60 kernels" in found.evidence[0].text


@pytest.mark.rule("first-shape-cost", "fires")
def test_the_first_run_on_cuda_took_twelve_seconds(trace):
    found = trace("ort_2023_cuda.json")
    assert found["first-shape-cost"].title == "The first run takes 12.1 s instead of 16.8 ms"
    assert found["fallback-nodes"].state == "passed"
    assert found["memcpy-nodes"].state == "passed"


@pytest.mark.rule("fallback-nodes", "fires")
def test_core_ml_leaves_two_nodes_to_the_cpu(trace):
    found = trace("ort_1.27_coreml_cpu_fallback.json")
    assert found["fallback-nodes"].title.startswith("2 nodes in ")
    assert "1 Erf, 1 Round" in found["fallback-nodes"].summary
    assert found["engine-rebuild"].state == "passed"
    assert found["first-shape-cost"].state == "passed"


@pytest.mark.parametrize("name", ["bert-base-uncased", "distilbert-base-uncased"])
def test_the_samples_are_fair_and_nothing_of_the_session_is_to_blame(root, name):
    document = load(root / "sample_traces" / name).document
    states = {found.id: found.state for found in document.findings if found.id in MINE}
    assert set(states) == set(MINE)
    assert {rule for rule, state in states.items() if state == "failed"} == set()
    assert {rule for rule, state in states.items() if state == "error"} == set()
    assert [check.check for check in document.comparability if check.state == "failed"] == []
