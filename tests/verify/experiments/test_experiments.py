"""Every experiment in every context: what it offers is a change that a capture accepts, and predicts no nonsense."""

import dataclasses
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from attrib.analysis.attribution.ledger.sampling import DRIFT
from attrib.analysis.provenance import Chain
from attrib.api import Analysis, load
from attrib.capture.config.options import check_options
from attrib.capture.session.request_from_manifest import recorded_options
from attrib.compress.registry import COMPRESSIONS
from attrib.errors import AttribError, UsageError
from attrib.findings.evidence.page_faults import KEEP_MEMORY
from attrib.model.capture_options import CaptureOptions
from attrib.model.capture_request import CaptureRequest
from attrib.model.document import Latency, MachineState, PageFaults
from attrib.model.estimate import Delta
from attrib.verify.baseline import context_of
from attrib.verify.experiments import EXPERIMENTS, opt_level
from attrib.verify.experiments.threads import counts
from attrib.verify.flags import flags_of
from attrib.verify.predict.prediction import step_ns
from attrib.verify.protocol import ExperimentContext, Inapplicable, Variant

SAMPLES = Path(__file__).parents[3] / "sample_traces"
NAMES = ("bert-base-uncased", "distilbert-base-uncased")
BY_ID = {experiment.id: experiment for experiment in EXPERIMENTS}

_loaded: dict[str, Analysis] = {}


def analysis(name: str) -> Analysis:
    if name not in _loaded:
        _loaded[name] = load(SAMPLES / name)
    return _loaded[name]


def context(name: str = "bert-base-uncased", **options) -> ExperimentContext:
    """What a sample says, with what its recorder did not write down yet: its model can be compressed in every way."""
    found = analysis(name)
    where = context_of(found, replace(recorded_options(found.directory.manifest), **options))
    return with_compressible(where, tuple(COMPRESSIONS))


def with_compressible(where: ExperimentContext, names: tuple[str, ...] | None) -> ExperimentContext:
    workload = replace(where.manifest.workload, compressible=names)
    return dataclasses.replace(where, manifest=replace(where.manifest, workload=workload))


def offered(where: ExperimentContext) -> dict[str, Variant]:
    """Every variant by its id."""
    found = [
        variant
        for experiment in EXPERIMENTS
        if not isinstance(variants := experiment.variants(where), Inapplicable)
        for variant in variants
    ]
    assert len({variant.id for variant in found}) == len(found)
    return {variant.id: variant for variant in found}


def predicted(where: ExperimentContext, name: str) -> tuple[int, int, int]:
    prediction = offered(where)[name].predicted
    assert prediction is not None
    return prediction.saving_ns.low, prediction.saving_ns.median, prediction.saving_ns.high


def reason(where: ExperimentContext, name: str) -> str:
    found = BY_ID[name].variants(where)
    assert isinstance(found, Inapplicable), found
    return found.reason


CHOICES = st.fixed_dictionaries({
    "exporter": st.sampled_from(["dynamo", "torchscript"]),
    "opset": st.sampled_from([None, 14, 17, 20, 23, 25]),
    "opt_level": st.sampled_from(["disabled", "basic", "extended", "all"]),
    "attention": st.sampled_from(["sdpa", "eager"]),
    "torch_mode": st.sampled_from(["eager", "compile", "jit"]),
    "device": st.sampled_from(["cpu", "cuda"]),
    "precision": st.sampled_from(["fp32", "fp16", "bf16"]),
    "dynamic_shapes": st.booleans(),
    "io_binding": st.booleans(),
    "threads": st.sampled_from([None, 1, 2, 16]),
    "optimize": st.sampled_from([(), ("onnxscript",), ("float16",), ("int8-dynamic",), ("drop-nan-guard",)]),
    "compress": st.sampled_from([(), ("prune-heads=0.5",), ("prune-heads", "int8-dynamic")]),
    "session_options": st.sampled_from([
        (), ("session.intra_op.allow_spinning=0",), ("enable_mem_pattern=0", "execution_mode=parallel"),
        ("intra_op_num_threads=3",), ("enable_mem_pattern=1",),
    ]),
    "disabled_optimizers": st.sampled_from([(), ("GeluFusion",)]),
})  # fmt: skip


@settings(max_examples=12)
@given(st.sampled_from(NAMES), CHOICES)
def test_whatever_is_offered_is_another_capture_with_a_prediction_that_makes_sense(name, choices):
    options = replace(recorded_options(analysis(name).directory.manifest), **choices)
    try:
        check_options(options)
    except UsageError:
        return  # nobody can have captured this
    where = with_compressible(context_of(analysis(name), options), tuple(COMPRESSIONS))
    for identifier, variant in offered(where).items():
        check_options(variant.options)
        assert variant.options != options
        assert re.fullmatch(r"[a-zA-Z0-9-]+", identifier), identifier
        assert variant.title
        check_prediction(where, variant)


def check_prediction(where: ExperimentContext, variant: Variant) -> None:
    """It holds its median, stays within the step, and says with figures what it rests on; or why there is none."""
    prediction = variant.predicted
    if prediction is None:
        assert variant.unpredicted, variant.id
        return
    saving = prediction.saving_ns
    role = "torch" if variant.id.startswith("torch-") else "onnxruntime"
    assert saving.low <= saving.median <= saving.high <= step_ns(where, role), variant.id
    assert prediction.kind == "estimate" or saving.low == 0
    assert re.search(r"\d", prediction.basis), prediction.basis
    assert prediction.basis.endswith("."), prediction.basis
    assert prediction.rows
    assert {row.id for row in where.evidence.ledger.rows}.issuperset(prediction.rows)


def test_a_reason_for_every_experiment_that_would_change_nothing():
    reasons = {e.id: e.variants(context()) for e in EXPERIMENTS}
    assert all(r.reason for r in reasons.values() if isinstance(r, Inapplicable))
    assert {name for name, r in reasons.items() if isinstance(r, Inapplicable)} == {
        "static-shapes", "inverse-pairs", "double-islands", "einsum", "batch-norms", "duplicates", "unused-outputs", "bf16",
        "initializer-inputs", "kept-memory", "torch-kept-memory", "arena-on",
    }  # fmt: skip


LACKING = {
    "graphs": {"graphs": {}},
    "the ONNX profile": {"work": "onnxruntime", "partitions": "onnxruntime"},
    "the PyTorch trace": {"work": "torch", "partitions": "torch"},
    "regions": {"regions": {}},
    "plain steps": {"latency": Latency(torch_ns=None, onnxruntime_ns=None, delta_ns=None, significant=False)},
}


@pytest.mark.parametrize("lacks", LACKING)
def test_evidence_that_is_lacking_leaves_something_unpredicted_and_breaks_nothing(lacks):
    where = context()
    kept = {
        name: {key: item for key, item in getattr(where.evidence, name).items() if key != value}
        if isinstance(value, str)
        else value
        for name, value in LACKING[lacks].items()
    }
    chain = Chain((), (), (), ()) if lacks == "graphs" else where.chain
    poor = ExperimentContext(
        options=where.options,
        manifest=where.manifest,
        evidence=dataclasses.replace(where.evidence, **kept),
        chain=chain,
        trails=where.trails,
    )
    found = offered(poor)
    assert found
    for variant in found.values():
        check_prediction(poor, variant)


def test_lists_say_what_each_experiment_adds_and_rests_on():
    for experiment in EXPERIMENTS:
        assert re.fullmatch(r"[a-z0-9-]+", experiment.id)
        assert experiment.title
        assert experiment.about.endswith(".")
        assert "--" in experiment.flags, experiment.id
        assert experiment.basis, experiment.id
    assert len(BY_ID) == len(EXPERIMENTS)


def test_offering_imports_no_engine():
    code = (
        "import sys, attrib.verify.experiments, attrib.verify.baseline;"
        "print([m for m in ('torch', 'onnxruntime', 'transformers', 'pandas', 'onnx_ir') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_directory_that_attrib_did_not_capture_is_no_situation(tmp_path):
    found = analysis("bert-base-uncased")
    for part in ("torch/trace.json.gz", "ort/profile.json.gz"):
        (tmp_path / part.replace("/", "-")).write_bytes((found.directory.root / part).read_bytes())
    with pytest.raises(AttribError, match="did not capture"):
        context_of(load(tmp_path), CaptureOptions(model="x"))


# What each prediction rests on


def nodes(where: ExperimentContext, *ops: str) -> int:
    """Time of the executed nodes of some ops."""
    works = where.evidence.work["onnxruntime"]
    return where.evidence.ledger.work("onnxruntime", [i for i, w in works.items() if w.op in ops]).median


def calls(where: ExperimentContext, op: str) -> int:
    """Time of PyTorch's calls of an op."""
    works = where.evidence.work["torch"]
    return where.evidence.ledger.work("torch", [i for i, w in works.items() if w.op == f"aten::{op}"]).median


def test_the_guard_is_predicted_by_its_own_nodes_and_the_executor():
    where = context()
    low, median, _ = predicted(where, "nan-guard")
    works = tuple(where.evidence.work["onnxruntime"].values())
    guards = [w.id for pair in pairwise(works) if pair[0].op == "IsNaN" for w in pair]
    own = where.evidence.ledger.work("onnxruntime", guards).median
    assert len(guards) == 24
    executor = where.manifest.sides["onnxruntime"].overhead.between_ns * 24
    assert 0 < median - own <= executor
    assert low > 0
    assert predicted(where, "attention-eager") == predicted(where, "nan-guard")


def test_beside_compiled_parts_the_guard_saves_at_least_its_own_time():
    where = context()
    works = dict(where.evidence.work["onnxruntime"])
    name, work = next((name, work) for name, work in works.items() if work.op == "Gemm")
    provider, op = "SomeExecutionProvider", "Some-EP-subgraph_1"
    works[name] = replace(work, id=f"{provider}_{op}_0", op=op, provider=provider)
    evidence = dataclasses.replace(where.evidence, work=where.evidence.work | {"onnxruntime": works})
    found, plain = offered(dataclasses.replace(where, evidence=evidence)), offered(where)
    for experiment in ("nan-guard", "attention-eager"):
        assert (found[experiment].predicted.kind, plain[experiment].predicted.kind) == (
            "at_least",
            "estimate",
        )


def test_a_slow_fused_kernel_is_found_and_its_parts_are_told_by_others():
    low, median, high = predicted(context(), "without-SkipLayerNormFusion")
    most = nodes(context(), "SkipLayerNormalization")
    assert 0 < low < median < most
    assert median < high < (1 + DRIFT) * most


def test_what_an_optimizer_saved_is_predicted_as_a_loss():
    _, median, _ = predicted(context(), "without-TransposeOptimizer")
    assert median < 0


def test_optimizers_that_gained_are_not_tried():
    assert "without-MatMulAddFusion" not in offered(context())


def test_a_lower_level_is_predicted_from_the_optimizers_that_it_leaves_out():
    where = context()
    assert "opt-level-extended" not in offered(where), "no node bears the mark of a layout optimizer"
    assert "SkipLayerNormFusion" in offered(where)["opt-level-basic"].predicted.basis


def test_from_a_lower_level_only_all_is_tried():
    found = [name for name in offered(context(opt_level="basic")) if name.startswith("opt-level")]
    assert found == ["opt-level-all"]


def test_kernels_that_a_lower_level_does_not_have_are_not_predicted(monkeypatch):
    monkeypatch.setattr(opt_level, "separate_residuals", lambda _: 25)
    found = offered(context(opt_level="basic"))["opt-level-all"]
    assert found.predicted is None
    assert "25 residual sums" in found.unpredicted


def test_optimizers_that_were_left_out_are_taken_in_again():
    found = offered(context(disabled_optimizers=("GeluFusion",)))
    assert found["with-all-optimizers"].options.disabled_optimizers == ()
    assert found["without-SkipLayerNormFusion"].options.disabled_optimizers == (
        "GeluFusion",
        "SkipLayerNormFusion",
    )


def test_fewer_threads_cost_nothing_at_best_and_double_the_split_work_at_worst():
    where = context()
    low, median, high = predicted(where, "threads-1")
    assert high == 0 > median > low >= -1.1 * step_ns(where, "onnxruntime")


def test_more_threads_save_at_most_what_perfect_scaling_does():
    where = context()
    one = replace(where.manifest.sides["onnxruntime"], threads=1)
    sides = {**where.manifest.sides, "onnxruntime": one}
    alone = ExperimentContext(
        options=replace(where.options, threads=1),
        manifest=replace(where.manifest, sides=sides),
        evidence=where.evidence,
        chain=where.chain,
        trails=where.trails,
    )
    prediction = offered(alone)["threads-2"].predicted
    assert prediction.kind == "at_most"
    assert prediction.saving_ns.median <= step_ns(where, "onnxruntime") // 2
    assert counts(alone, "onnxruntime") == (2,)


def test_pruned_heads_take_their_share_of_projections_and_products():
    where = context()
    _, median, _ = predicted(where, "compress-prune-heads")
    products = nodes(where, "FusedMatMul", "MatMul", "Softmax")
    assert products / 4 < median < (nodes(where, "Gemm", "FusedGemm") + 2 * products) / 4
    # PyTorch's: four of the six Linear layers of each of twelve blocks, the pooler apart, and the attention itself.
    _, median, _ = predicted(where, "torch-compress-prune-heads")
    attention, linears = calls(where, "scaled_dot_product_attention"), calls(where, "linear")
    assert attention / 4 < median < (attention + linears) / 4


def test_int8_saves_at_most_the_products_of_linear_layers_in_pytorch():
    where = context()
    low, median, _ = predicted(where, "torch-compress-int8-dynamic")
    assert (low, median) == (0, calls(where, "linear"))
    assert predicted(where, "torch-compress-int8-weight-only") == predicted(
        where, "torch-compress-int8-dynamic"
    )
    assert "--optimize int8-dynamic" in offered(where)["compress-int8-dynamic"].unpredicted


def test_a_model_is_compressed_only_where_the_capture_saw_layers_for_it():
    both = {"compress-prune-heads", "torch-compress-prune-heads"}
    where = with_compressible(context(), ("int8-dynamic",))
    found = {name for name in offered(where) if "compress-" in name}
    assert found == {"compress-int8-dynamic", "torch-compress-int8-dynamic"}
    assert "no attention layer of a form" in reason(where, "compress-prune-heads")
    older = with_compressible(where, None)
    assert all("does not say which layers" in reason(older, name) for name in both)


def test_what_is_offered_is_declared_to_change_the_numbers_and_says_its_flag():
    where = context(compress=("prune-heads=0.5",))
    for name, variant in offered(where).items():
        if "compress-" in name:
            assert BY_ID[name].changes_numbers
            assert flags_of(where.options, variant.options) == BY_ID[name].flags
            assert variant.options.compress[0] == "prune-heads=0.5"


def test_beside_a_graph_of_the_user_only_pytorch_is_compressed():
    where = context(onnx=Path("own.onnx"), opset=None)
    assert "file that the user brought" in reason(where, "compress-prune-heads")
    assert offered(where)["torch-compress-prune-heads"].options.onnx is None


def test_nothing_is_exported_where_the_user_brought_a_graph():
    where = context(onnx=Path("own.onnx"), opset=None)
    for name in ("exporter", "opset", "attention", "static-shapes"):
        assert "file that the user brought" in reason(where, name)


def test_a_side_that_another_engine_ran_is_left_alone():
    where = context()
    other = replace(where.manifest.sides["onnxruntime"], engine="torch")
    sides = {**where.manifest.sides, "onnxruntime": other}
    twice = ExperimentContext(
        options=where.options,
        manifest=replace(where.manifest, sides=sides),
        evidence=where.evidence,
        chain=where.chain,
        trails=where.trails,
    )
    assert {
        BY_ID[name].side for name in BY_ID if not isinstance(BY_ID[name].variants(twice), Inapplicable)
    } == {"torch"}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("onnxscript", {"optimize": ("onnxscript",)}),
        ("io-binding", {"io_binding": True}),
        ("spinning-off", {"session_options": ("session.intra_op.allow_spinning=0",)}),
        ("int8-dynamic", {"optimize": ("float16",)}),
        ("torch-compile", {"torch_mode": "compile"}),
        ("nan-guard", {"optimize": ("drop-nan-guard",)}),
    ],
)
def test_what_the_capture_did_already_is_not_tried_again(name, options):
    assert "already" in reason(context(**options), name)


def test_an_option_that_was_set_otherwise_is_set_anew():
    where = context(session_options=("enable_mem_pattern=1", "a.b=c"))
    assert offered(where)["memory-pattern-off"].options.session_options == ("a.b=c", "enable_mem_pattern=0")


def test_the_opset_is_the_users_choice_only_where_the_command_says_so():
    where = context()
    assert "opset-default" not in offered(where)
    chosen = ExperimentContext(
        options=where.options,
        manifest=replace(where.manifest, command="attrib profile --model x --opset 20"),
        evidence=where.evidence,
        chain=where.chain,
        trails=where.trails,
    )
    assert offered(chosen)["opset-default"].options.opset is None


def with_faults(share, role="torch", *, libc="glibc 2.36", env=None, options=None):
    """The sample as if page faults took a share of an engine's step."""
    where = context(env=tuple(f"{name}={value}" for name, value in (env or {}).items()))
    latency = where.evidence.latency
    step = (latency.torch_ns if role == "torch" else latency.onnxruntime_ns).median
    cost = round(share * step)
    faults = PageFaults(
        plain=cost / 1500, profiled=0, price_ns=1500,
        cost_ns=Delta(median=cost, low=cost // 2, high=cost * 3 // 2),
    )  # fmt: skip
    manifest = where.manifest
    sides = manifest.sides | {
        "onnxruntime": replace(manifest.sides["onnxruntime"], session_options=options or {})
    }
    manifest = replace(
        manifest,
        environment=replace(manifest.environment, libc=libc),
        sides=sides,
        asked=replace(manifest.asked or CaptureRequest(), env=env or {}),
    )
    machine = replace(where.evidence.machine or MachineState(), faults={role: faults})
    evidence = dataclasses.replace(where.evidence, machine=machine, manifest=manifest)
    return dataclasses.replace(where, evidence=evidence, manifest=manifest)


@pytest.mark.parametrize(("role", "name"), [("torch", "torch-kept-memory"), ("onnxruntime", "kept-memory")])
def test_memory_is_kept_where_page_faults_take_time(role, name):
    where = with_faults(0.3, role, env={"MALLOC_TRIM_THRESHOLD_": "1", "OMP_NUM_THREADS": "1"})
    found = offered(where)
    check_prediction(where, found[name])
    assert found[name].options.env == (
        "MALLOC_TRIM_THRESHOLD_=17179869184", "OMP_NUM_THREADS=1", "MALLOC_MMAP_MAX_=0",
    )  # fmt: skip
    assert "luck" in found[name].unpredicted
    assert {"torch-kept-memory", "kept-memory"} & set(found) == {name}


@pytest.mark.parametrize(
    ("where", "why"),
    [
        (lambda: with_faults(0.001), "nothing to save"),
        (lambda: with_faults(0.3, libc=""), "glibc"),
        (lambda: with_faults(0.3, env=KEEP_MEMORY), "already"),
        (lambda: with_faults(0.3, "onnxruntime"), "count and price"),
    ],
)
def test_memory_that_would_stay_as_it_is_gives_a_reason(where, why):
    assert why in reason(where(), "torch-kept-memory")


def test_the_arena_is_switched_on_where_it_was_off():
    assert "already" in reason(with_faults(0.3), "arena-on")
    where = with_faults(0.3, options={"enable_cpu_mem_arena": "0"})
    assert offered(where)["arena-on"].options.session_options == ("enable_cpu_mem_arena=1",)
