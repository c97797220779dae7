"""Conditions of a fair comparison: each can hold, fail and be unknown."""

import pytest
from evidence_factory import MS, evidence, manifest, steady

from attrib.findings.comparability import CHECKS, checks
from attrib.model.manifest import OutputDifference


def state(name, given_manifest, outputs=(), plain=None):
    plain_ns = steady() if plain is None else plain
    found = checks(evidence(manifest=given_manifest, outputs=outputs, plain_ns=plain_ns))
    return next(check for check in found if check.check == name)


GPU = {
    "requested_providers": ("CUDAExecutionProvider",),
    "providers": ("CUDAExecutionProvider", "CPUExecutionProvider"),
}
FALLEN = {"requested_providers": ("CUDAExecutionProvider",), "providers": ("CPUExecutionProvider",)}


@pytest.mark.parametrize(
    ("name", "changes", "detail"),
    [
        ("Evaluation and inference mode", {"torch": {"settings": {"training": "true"}}}, "model.eval()"),
        (
            "Evaluation and inference mode",
            {"torch": {"settings": {"training": "False", "inference_mode": "False"}}},
            "torch.inference_mode()",
        ),
        (
            "Same precision",
            {
                "onnxruntime": {"settings": {"precision": "fp16"}},
                "torch": {"settings": {"precision": "fp32"}},
            },
            "--precision fp32",
        ),
        (
            "Same rounding of float32 products",
            {"torch": {"settings": {"matmul_precision": "high"}}},
            "highest",
        ),
        ("Same rounding of float32 products", {"onnxruntime": GPU}, "use_tf32"),
        ("Requested provider used", {"onnxruntime": FALLEN}, "attrib doctor"),
        ("Same threads", {"onnxruntime": {"threads": 4}}, "--threads"),
        ("Threads fit the usable cores", {"environment": {"usable_cores": 1.0}}, "--threads 1"),
        ("Warm-up reached", {"onnxruntime": {"warmed_up": False}}, "--warmup"),
        ("The waiting worker is idle", {"torch": {"idle_cpu_share": 0.5}}, "allow_spinning=0"),
        ("Machine not loaded", {"environment": {"load_before": 3.0}}, "stop other programs"),
    ],
)
def test_what_is_unfair_fails_with_its_cure(name, changes, detail):
    found = state(name, manifest(**changes))
    assert found.state == "failed"
    assert detail in found.fix
    assert found.effect


def test_outputs_beyond_the_tolerance_fail():
    wrong = OutputDifference(
        name="y", shape=(1,), max_abs=1.0, max_rel=0.5, cosine=0.2, tolerance=1e-3, equal=False
    )
    assert state("Outputs agree", manifest(), (wrong,)).state == "failed"


def test_drift_fails():
    rising = tuple((100 * MS + i * 5 * MS,) for i in range(12))
    assert state("No drift", manifest(), plain={"torch": rising, "onnxruntime": rising}).state == "failed"


def test_a_complete_fair_capture_passes_every_check():
    right = OutputDifference(
        name="y", shape=(1,), max_abs=0.0, max_rel=0.0, cosine=1.0, tolerance=1e-3, equal=True
    )
    wobbling = tuple((100 * MS + i % 2 * MS,) for i in range(9)) + ((102 * MS,),) * 3
    plain = {"torch": wobbling, "onnxruntime": wobbling}
    found = checks(evidence(outputs=(right,), plain_ns=plain))
    assert [(check.check, check.detail) for check in found if check.state != "passed"] == []


def test_nothing_recorded_is_unknown_and_never_passed():
    found = checks(evidence(manifest=None, outputs=(), plain_ns={}, graphs={}))
    assert {check.state for check in found} == {"unknown"}
    assert all(check.detail for check in found)
    assert len(found) == len(CHECKS)


def test_settings_that_were_not_recorded_are_unknown():
    bare = manifest(torch={"settings": {}, "threads": 0})
    for name in ("Evaluation and inference mode", "Same rounding of float32 products", "Same threads"):
        assert state(name, bare).state == "unknown"


def test_both_sides_rounding_alike_is_fair():
    both = manifest(onnxruntime=GPU, torch={"settings": {"matmul_precision": "high"}})
    assert state("Same rounding of float32 products", both).state == "passed"
    neither = manifest(onnxruntime={**GPU, "settings": {"use_tf32": "0"}})
    assert state("Same rounding of float32 products", neither).state == "passed"


def test_a_side_that_failed_is_not_judged():
    half = manifest(onnxruntime={"state": "failed", "threads": 0, "providers": ()})
    assert state("Same threads", half).state == "unknown"
    assert state("Requested provider used", half).state == "unknown"


def test_random_weights_are_declared():
    found = state("Weights declared", manifest(workload={"weights": "random, seed 0"}))
    assert found.state == "passed"
    assert "random, seed 0" in found.detail
