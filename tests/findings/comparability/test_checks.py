"""Conditions of a fair comparison: each can hold, fail and be unknown."""

import pytest
from msgspec.structs import replace

from attrib.findings.comparability.checks import CHECKS, checks
from attrib.model.disturbance import UNSEEN_NAMES
from attrib.model.document import Judgement, MachineState
from attrib.model.manifest import EXPORTED, OutputDifference, Rewrite
from attrib.report.view.verdict import alerts_of
from tests.findings.evidence_factory import MS, evidence, graph, manifest, steady, tensor
from tests.report.factory import document


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
        ("The waiting worker is idle", {"onnxruntime": {"idle_cpu_share": 0.5}}, "allow_spinning=0"),
        ("Machine not loaded", {"environment": {"load_before": 3.0}}, "stop other programs"),
        ("Machine not loaded", {"environment": {"load_after": 2.0}}, "stop other programs"),
        ("No autocast on one side", {"torch": {"settings": {"autocast": "bf16"}}}, "--autocast"),
        ("Engines not held back", {"onnxruntime": {"opt_level": "basic"}}, "--opt-level all"),
        ("Engines not held back", {"torch": {"settings": {"mkldnn": "false"}}}, "mkldnn"),
        (
            "Attention implementation declared",
            {
                "torch": {"settings": {"attention": "sdpa"}},
                "onnxruntime": {"settings": {"attention": "eager"}},
            },
            "--attention sdpa",
        ),
        (
            "Same rounding of float32 products",
            {"onnxruntime": {"session_options": {"mlas.enable_gemm_fastmath_arm64_bfloat16": "1"}}},
            "mlas.enable_gemm_fastmath",
        ),
        ("No throttling", {"environment": {"stolen_share": 0.2}}, "quieter machine"),
        ("No throttling", {"environment": {"throttled_seconds": 1.5}}, "fewer threads"),
        ("No throttling", {"environment": {"thermal_throttles": 4}}, "cooler"),
        (
            "No denormal weights",
            {"torch": {"settings": {"denormal_weights": "50000"}}},
            "set_denormal_as_zero=1",
        ),
        (
            "Same precision",
            {
                "onnxruntime": {
                    "rewrites": (Rewrite(name="fp16", tool="onnxruntime", graph="onnx/fp16.onnx"),)
                }
            },
            "without `--optimize fp16`",
        ),
    ],
)
def test_what_is_unfair_fails_with_its_cure(name, changes, detail):
    found = state(name, manifest(**changes))
    assert found.state == "failed"
    assert detail in found.fix
    assert found.effect


@pytest.mark.parametrize(
    ("cold", "says"),
    [
        (("torch",), "PyTorch looks slower"),
        (("torch", "onnxruntime"), "PyTorch and ONNX Runtime look slower"),
    ],
)
def test_a_short_warm_up_names_whom_it_makes_look_slower(cold, says):
    found = state("Warm-up reached", manifest(**{role: {"warmed_up": False} for role in cold}))
    assert found.effect.startswith(f"{says}: ")


def test_outputs_beyond_the_tolerance_fail():
    wrong = OutputDifference(
        name="y", shape=(1,), max_abs=1.0, max_rel=0.5, cosine=0.2, tolerance=1e-3, equal=False
    )
    assert state("Outputs agree", manifest(), (wrong,)).state == "failed"


def test_drift_fails():
    rising = tuple((100 * MS + i * 5 * MS,) for i in range(12))
    assert state("No drift", manifest(), plain={"torch": rising, "onnxruntime": rising}).state == "failed"


def test_every_condition_has_a_title_for_either_outcome():
    titles = [title for condition in CHECKS for title in (condition.name, condition.failed)]
    assert all(titles)
    assert len(set(titles)) == len(titles)


def test_a_failed_check_is_shown_under_its_failing_title_and_keeps_its_name():
    rising = tuple((100 * MS + i * 5 * MS,) for i in range(12))
    found = checks(evidence(plain_ns={"torch": rising, "onnxruntime": rising}))
    drift = next(check for check in found if check.check == "No drift")
    assert (drift.state, drift.title) == ("failed", "The step times drifted")
    assert all(check.title == check.check for check in found if check.state != "failed")
    shown = [
        line.text for alert in alerts_of(replace(document(), comparability=found)) for line in alert.lines
    ]
    assert any(text.startswith("The step times drifted: ") for text in shown)
    assert not any(text.startswith("No drift") for text in shown)


def test_a_complete_fair_capture_passes_every_check():
    right = OutputDifference(
        name="y", shape=(1,), max_abs=0.0, max_rel=0.0, cosine=1.0, tolerance=1e-3, equal=True
    )
    wobbling = tuple((100 * MS + i % 2 * MS,) for i in range(9)) + ((102 * MS,),) * 3
    plain = {"torch": wobbling, "onnxruntime": wobbling}
    found = checks(evidence(outputs=(right,), plain_ns=plain, machine=MachineState(watched=48)))
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


def test_bfloat16_units_are_stated_where_the_flags_were_recorded():
    fast = manifest(environment={"cpu_flags": ("avx512f", "amx_bf16")})
    assert "the processor has amx_bf16" in state("Same rounding of float32 products", fast).detail
    slow = manifest(torch={"settings": {"matmul_precision": "medium"}}, environment={"cpu_flags": ("avx2",)})
    assert "no bfloat16 units" in state("Same rounding of float32 products", slow).effect


def test_the_engine_that_looks_slower_is_named():
    assert state("Same threads", manifest(torch={"threads": 1})).effect.startswith(
        "PyTorch looks slower, by up to 2"
    )
    waiting = state("The waiting worker is idle", manifest(torch={"idle_cpu_share": 0.5}))
    assert waiting.effect.startswith("ONNX Runtime looks slower")


def test_what_limits_the_cores_is_named():
    limited = manifest(environment={"usable_cores": 1.5, "affinity": 8, "cpu_quota": 1.5, "logical_cores": 8})
    assert (
        "affinity 8, cgroup quota 1.5, 8 in the machine"
        in state("Threads fit the usable cores", limited).detail
    )


@pytest.mark.parametrize(
    ("torch_steps", "effect"),
    [
        ((100, 150), "Both engines drifted alike"),
        ((100, 480), "Both engines drifted, but not alike"),
        ((150, 100), "Both engines drifted, but not alike"),
        ((150, 150), "Only ONNX Runtime drifted"),
    ],
)
def test_drift_of_both_cancels_and_drift_of_one_does_not(torch_steps, effect):
    def blocks(first, last):
        return tuple((step * MS,) * 3 for step in [first] * 6 + [last] * 6)

    plain = {"torch": blocks(*torch_steps), "onnxruntime": blocks(100, 150)}
    assert effect in state("No drift", manifest(), plain=plain).effect


def test_an_optimizer_that_was_left_out_is_declared():
    found = state("Engines not held back", manifest(onnxruntime={"disabled_optimizers": ("GeluFusion",)}))
    assert found.state == "passed"
    assert "without GeluFusion" in found.detail


def test_steps_that_attrib_did_not_time_are_unknown():
    import msgspec

    foreign = msgspec.structs.replace(manifest(), protocol=None)
    for name in ("Session creation not timed", "Engines interleaved"):
        assert state(name, foreign).state == "unknown"


@pytest.mark.parametrize(
    ("graphs", "says"),
    [
        ({EXPORTED: graph(values={"x": tensor(-1, 128)})}, "sizes of x are free"),
        ({EXPORTED: graph(values={"x": tensor(1, 128)})}, "fixed sizes"),
    ],
)
def test_free_dimensions_are_declared(graphs, says):
    found = next(c for c in checks(evidence(graphs=graphs)) if c.check == "Shapes declared")
    assert found.state == "passed"
    assert says in found.detail


def test_every_failed_check_says_what_it_does_to_the_result():
    for given in (manifest(), None, manifest(torch={"settings": {}, "threads": 0})):
        for check in checks(evidence(manifest=given, plain_ns={}, graphs={})):
            assert check.state != "failed" or (check.effect and check.fix)


def test_only_who_did_not_capture_with_attrib_is_told_to():
    foreign = checks(evidence(manifest=None, plain_ns={}, graphs={}))
    assert all(check.fix for check in foreign if check.state == "unknown")
    own = checks(evidence(manifest=manifest(), plain_ns={}, graphs={}))
    assert [check.fix for check in own if "record with `attrib profile`" in check.fix] == []


BUSY = Judgement(busy=True, disturbed={"others": 30})
STAYED = (
    "30 of 48 blocks were disturbed (other programs used the processors) and measured again",
    "9 of 12 stayed",
)
NOTED = ("3 of 51 blocks were disturbed (other programs used the processors) and measured again",)


@pytest.mark.parametrize(
    ("machine", "judgement", "answer", "says"),
    [
        (None, Judgement(), "unknown", "not recorded"),
        (MachineState(), Judgement(), "unknown", "not recorded"),
        (MachineState(watched=48), Judgement(), "passed", "no block was disturbed"),
        (MachineState(watched=48, unseen=("the clock",)), Judgement(), "passed", "does not show the clock"),
        (
            MachineState(watched=51, disturbances=NOTED),
            Judgement(disturbed={"others": 3}),
            "passed",
            "3 of 51 blocks",
        ),
        (MachineState(watched=48, disturbances=STAYED), BUSY, "failed", "9 of 12 stayed"),
    ],
)
def test_a_machine_is_quiet_busy_or_not_watched(machine, judgement, answer, says):
    found = next(
        c for c in checks(evidence(machine=machine, judgement=judgement)) if c.check == "Quiet machine"
    )
    assert found.state == answer
    assert says in found.detail
    assert (found.title == "The machine was busy") == (answer == "failed")


@pytest.mark.parametrize(
    ("name", "changes", "field"),
    [
        ("Machine not loaded", {"load_before": 3.0}, "others_ns"),
        ("No throttling", {"stolen_share": 0.2}, "stolen_ns"),
    ],
)
def test_what_was_counted_beside_each_block_is_not_held_against_the_whole_capture(name, changes, field):
    loaded = manifest(environment=changes)

    def found(machine):
        return next(c for c in checks(evidence(manifest=loaded, machine=machine)) if c.check == name).state

    assert found(MachineState(watched=48)) == "passed"
    assert found(MachineState(watched=48, unseen=(UNSEEN_NAMES[field],))) == "failed"
    assert found(MachineState()) == "failed"


def test_launches_that_differ_are_no_drift_and_a_drift_inside_each_is():
    launches = dict.fromkeys(("torch", "onnxruntime"), (0,) * 4 + (1,) * 4 + (2,) * 4)

    def found(*levels):
        steps = tuple((level * MS,) * 3 for level in levels)
        given = evidence(plain_ns={"torch": steps, "onnxruntime": steps}, block_launches=launches, launches=3)
        return next(c for c in checks(given) if c.check == "No drift")

    assert found(100, 100, 100, 101, *[150] * 4, *[200] * 4).state == "passed"
    warming = found(*[100, 110, 120, 130] * 3)
    assert warming.state == "failed"
    assert "of a launch" in warming.detail
