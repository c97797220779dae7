"""Documents for the tests of every rendering: BERT-base in shape, with sums that are exact."""

import random
from dataclasses import dataclass

import msgspec

from attrib.findings.verified import by_saving, with_verified
from attrib.model.document import (
    CauseRow,
    Check,
    Coverage,
    Delta,
    Document,
    Estimate,
    EvidenceRow,
    Finding,
    Gap,
    Latency,
    LedgerRow,
    StepTimes,
    Verified,
)
from attrib.model.experiment import ExperimentResult, Prediction
from attrib.model.manifest import Environment, InputSpec, OutputDifference, Overhead, Protocol, Side, Workload
from attrib.model.provenance import (
    RegionTrail,
    TrailCall,
    TrailMember,
    TrailNode,
    TrailRun,
    TrailStage,
    TrailStep,
)
from attrib.model.region import Match
from attrib.model.tensor import Tensor
from tests.report.timelines import device_timelines_of, timelines_of

HOSTILE = (
    "</script><script>window.pwned=1</script>",
    '<img src=x onerror="alert(1)">',
    "a'b\"c`d&e",
    "line one\nline two\r\tend",
    "abc\u202edef\u2066ghi\u200b",
    "\x1b[31mred\x07\x00\x9b",
    "L" * 10_000,
    "bad\ud800text\udfff",
    "javascript:alert(1)",
    "[click](javascript:alert(1)) @someone #1 http://example.com | cell",
    "[bold red]markup[/]",
    "{{ 7*7 }}{% raw %}",
)
"""Strings that a stranger's trace may hold; each must come out as visible, inert text."""


@dataclass(frozen=True)
class Kind:
    """One ledger row that every encoder layer has: where, what, and its mean times in nanoseconds."""

    scope: str
    region: str
    cause: str
    torch_ops: tuple[str, ...]
    onnx_ops: tuple[str, ...]
    torch_ns: int
    onnxruntime_ns: int
    method: str = "identity"
    confidence: float = 1.0


_LINEAR = ("aten::linear",)
_SDPA = ("aten::scaled_dot_product_attention",)
LAYER = (
    Kind("attention.self.query", "linear", "kernel", _LINEAR, ("Gemm",), 610_000, 402_000),
    Kind("attention.self.query", "linear", "layout", (), ("Reshape", "Transpose"), 0, 31_000),
    Kind("attention.self.key", "linear", "kernel", _LINEAR, ("Gemm",), 612_000, 399_000),
    Kind("attention.self.value", "linear", "kernel", _LINEAR, ("Gemm",), 608_000, 405_000),
    Kind(
        "attention.self",
        "transpose",
        "layout",
        ("aten::transpose",),
        ("Transpose",),
        9_000,
        52_000,
        "fx-node",
        0.95,
    ),
    Kind(
        "attention.self",
        "sdpa",
        "kernel",
        _SDPA,
        ("MatMul", "Softmax", "MatMul"),
        1_450_000,
        720_000,
        "fx-node",
        0.9,
    ),
    Kind(
        "attention.self",
        "sdpa",
        "decomposed",
        (),
        ("IsNaN", "Where", "Add", "Mul"),
        0,
        96_000,
        "fx-node",
        0.9,
    ),
    Kind("attention.self", "sdpa", "shape_arithmetic", (), ("Shape", "Gather"), 0, 7_000, "scope-order", 0.7),
    Kind("attention.output.dense", "linear", "kernel", _LINEAR, ("Gemm",), 615_000, 410_000),
    Kind(
        "attention.output.LayerNorm",
        "layer_norm",
        "fused",
        ("aten::add", "aten::layer_norm"),
        ("SkipLayerNormalization",),
        181_000,
        74_000,
    ),
    Kind("intermediate.dense", "linear", "kernel", _LINEAR, ("Gemm",), 2_390_000, 1_120_000),
    Kind(
        "intermediate.intermediate_act_fn", "gelu", "fused", ("aten::gelu",), ("BiasGelu",), 820_000, 310_000
    ),
    Kind("output.dense", "linear", "kernel", _LINEAR, ("Gemm",), 2_410_000, 1_160_000),
    Kind("output", "dropout", "missing_work", ("aten::dropout",), (), 6_000, 0, "none", 0.0),
    Kind(
        "output.LayerNorm",
        "layer_norm",
        "fused",
        ("aten::add", "aten::layer_norm"),
        ("SkipLayerNormalization",),
        179_000,
        73_000,
    ),
    Kind("output.LayerNorm", "layer_norm", "cast", (), ("Cast",), 0, 4_000, "shape-order", 0.6),
)

HEAD = (
    Kind(
        "embeddings.word_embeddings",
        "embedding",
        "kernel",
        ("aten::embedding",),
        ("Gather",),
        210_000,
        95_000,
    ),
    Kind("embeddings", "add", "kernel", ("aten::add", "aten::add"), ("Add", "Add"), 66_000, 41_000),
    Kind(
        "embeddings.LayerNorm",
        "layer_norm",
        "kernel",
        ("aten::layer_norm",),
        ("LayerNormalization",),
        120_000,
        60_000,
    ),
    Kind("", "mask", "extra_work", (), ("Expand", "Where", "Concat"), 0, 143_000, "none", 0.0),
    Kind("pooler.dense", "linear", "kernel", _LINEAR, ("Gemm",), 160_000, 88_000),
    Kind("pooler.activation", "tanh", "kernel", ("aten::tanh",), ("Tanh",), 14_000, 9_000),
)


def _row(kind: Kind, prefix: str, layer: int | None, rng: random.Random) -> LedgerRow:
    module = ".".join(part for part in (prefix, kind.scope) if part)
    region = f"{module or 'model'}/{kind.region}"
    torch_ns = round(kind.torch_ns * rng.uniform(0.93, 1.07))
    ort_ns = round(kind.onnxruntime_ns * rng.uniform(0.93, 1.07))
    half = round((torch_ns + ort_ns) * 0.02) + 1_500
    delta = ort_ns - torch_ns
    call = f"{module}/{kind.torch_ops[0]}#0" if kind.torch_ops else ""
    node_prefix = f"node_{kind.region}_{0 if layer is None else layer}"
    return LedgerRow(
        id=f"{region}/{kind.cause}",
        region=region,
        module=module,
        cause=kind.cause,
        torch_calls=(call,) if call else (),
        torch_ops=kind.torch_ops,
        onnx_nodes=tuple(f"{node_prefix}/{op}" for op in kind.onnx_ops),
        onnx_ops=kind.onnx_ops,
        exported=tuple(f"node_{op}_{layer}" for op in kind.onnx_ops),
        providers=("CPUExecutionProvider",) if kind.onnx_ops else (),
        shapes=("float[1×128×768]", "float[768×768]"),
        torch_ns=torch_ns,
        onnxruntime_ns=ort_ns,
        delta_ns=delta,
        low_ns=delta - half,
        high_ns=delta + half,
        match=Match(
            method=kind.method,
            confidence=kind.confidence,
            evidence=(f"value name {kind.region}_{layer} is in both graphs", f"scope {module} on both sides")
            if kind.confidence
            else (),
        ),
    )


def _framework(rng: random.Random) -> list[LedgerRow]:
    parts = (
        ("torch dispatch", "framework", 3_900_000, 0),
        ("ort executor", "framework", 0, 1_310_000),
        ("ort session", "framework", 0, 88_000),
        ("ort api", "framework", 0, 41_000),
        ("profiler overhead", "profiler_overhead", -2_700_000, -810_000),
        ("unattributed", "unattributed", 310_000, 120_000),
    )
    return [
        LedgerRow(
            id=name.replace(" ", "-"),
            region=name,
            module="",
            cause=cause,
            torch_ns=torch_ns,
            onnxruntime_ns=ort_ns,
            delta_ns=ort_ns - torch_ns,
            low_ns=ort_ns - torch_ns - 90_000,
            high_ns=ort_ns - torch_ns + 90_000,
            match=Match(method="none", confidence=0.0),
        )
        for name, cause, torch_ns, ort_ns in parts
    ]


def ledger(layers: int = 12, seed: int = 7) -> tuple[LedgerRow, ...]:
    """Rows of a BERT-like encoder, framework rows included."""
    rng = random.Random(seed)
    rows = [_row(kind, "", None, rng) for kind in HEAD]
    for layer in range(layers):
        rows += [_row(kind, f"encoder.layer.{layer}", layer, rng) for kind in LAYER]
    return tuple(rows + _framework(rng))


def trails_of(rows: tuple[LedgerRow, ...]) -> tuple[RegionTrail, ...]:
    """What is behind the regions of these rows; the first call of the largest region is a compiled kernel."""
    by_region: dict[str, list[LedgerRow]] = {}
    for row in rows:
        if row.torch_calls or row.onnx_nodes:
            by_region.setdefault(row.region, []).append(row)
    return tuple(_trail(region, own) for region, own in by_region.items())


def _trail(region: str, rows: list[LedgerRow]) -> RegionTrail:
    ops = [op for row in rows for op in row.onnx_ops]
    calls = tuple(TrailCall(id=i, op=row.torch_ops[0], module=row.module, ns=row.torch_ns, inputs=row.shapes,
                            members=(TrailMember(scope=row.module, op="aten::gelu", name="gelu_7"),)
                            if row.torch_ops[0] == "aten::gelu" else ())
                  for row in rows for i in row.torch_calls)  # fmt: skip
    ran = tuple(TrailRun(id=i, op=op, provider=row.providers[0], ns=row.onnxruntime_ns // len(row.onnx_ops),
                         inputs=row.shapes[:1], outputs=row.shapes[:1])
                for row in rows for i, op in zip(row.onnx_nodes, row.onnx_ops, strict=False))  # fmt: skip
    exported = tuple(TrailNode(name=i, op=op, module=rows[0].module, fx_node="fx_1") for row in rows
                     for i, op in zip(row.exported, row.onnx_ops, strict=False))  # fmt: skip
    reason = "" if calls and ran else "the other side has nothing for it"
    return RegionTrail(
        id=region,
        module=rows[0].module,
        origin="both" if not reason else "torch" if calls else "onnxruntime",
        reason=reason,
        calls=calls,
        stages=(TrailStage(name="exported", nodes=exported),) if exported else (),
        ran=ran,
        steps=(TrailStep(stage="optimized", kind="rewritten", by="MatMulAddFusion", before=rows[0].exported,
                         text=f"MatMul + Add → {', '.join(ops)} by MatMulAddFusion"),) if ops else (),
    )  # fmt: skip


def causes_of(rows: tuple[LedgerRow, ...]) -> tuple[CauseRow, ...]:
    """Sums by cause, largest first; half-widths added in quadrature."""
    by_cause: dict[str, list[LedgerRow]] = {}
    for row in rows:
        by_cause.setdefault(row.cause, []).append(row)
    sums = []
    for cause, members in by_cause.items():
        delta = sum(r.delta_ns for r in members)
        half = round(sum(((r.high_ns - r.low_ns) / 2) ** 2 for r in members) ** 0.5)
        sums.append(
            CauseRow(
                cause=cause,
                torch_ns=sum(r.torch_ns for r in members),
                onnxruntime_ns=sum(r.onnxruntime_ns for r in members),
                delta_ns=delta,
                low_ns=delta - half,
                high_ns=delta + half,
            )
        )
    return tuple(sorted(sums, key=lambda c: (-abs(c.delta_ns), c.cause)))


def _total(rows: tuple[LedgerRow, ...], cause: str) -> int:
    return sum(r.delta_ns for r in rows if r.cause == cause)


def _ids(rows: tuple[LedgerRow, ...], cause: str) -> tuple[str, ...]:
    return tuple(r.id for r in rows if r.cause == cause)


def findings_of(rows: tuple[LedgerRow, ...]) -> tuple[Finding, ...]:
    """Two findings that cost time, one that saves it, and every other state."""
    layout, fused, decomposed = (_total(rows, c) for c in ("layout", "fused", "decomposed"))
    return (
        Finding(
            id="layout-churn",
            state="failed",
            title="1.0 ms goes to layout changes in 12 attention blocks",
            cause="layout",
            explains_ns=layout,
            saving_ns=layout * 8 // 10,
            low_ns=layout * 7 // 10,
            high_ns=layout * 9 // 10,
            summary="Each attention block transposes keys and values and reshapes around Gemm.",
            evidence=(
                EvidenceRow(
                    text="24 Transpose and 24 Reshape nodes move 9.4 MB a step",
                    rows=_ids(rows, "layout"),
                    value_ns=layout,
                ),
                EvidenceRow(text="The exported graph holds the same nodes: the exporter wrote them"),
            ),
            fix="Fuse before the session does: `python -m onnxruntime.transformers.optimizer --model_type bert`",
        ),
        Finding(
            id="decomposed-attention",
            state="failed",
            title="12 attention calls became 7 nodes each",
            cause="decomposed",
            explains_ns=decomposed,
            saving_ns=decomposed,
            low_ns=decomposed - 60_000,
            high_ns=decomposed + 60_000,
            summary="scaled_dot_product_attention was exported as MatMul, Softmax, IsNaN, Where, MatMul.",
            evidence=(
                EvidenceRow(
                    text="12 IsNaN and 12 Where nodes have no use without masks",
                    rows=_ids(rows, "decomposed"),
                    value_ns=decomposed,
                ),
            ),
            fix="Keep attention whole: `attrib profile --opset 23`",
            verified=Verified(measured_ns=1_050_000, low_ns=850_000, high_ns=1_250_000, outputs_equal=True),
        ),
        Finding(
            id="operator-fusion",
            state="failed",
            title="36 fusions save time in ONNX Runtime",
            cause="fused",
            explains_ns=fused,
            summary="Add + LayerNormalization and bias + Gelu run as one node each.",
            evidence=(
                EvidenceRow(
                    text="24 SkipLayerNormalization, 12 BiasGelu", rows=_ids(rows, "fused"), value_ns=fused
                ),
            ),
        ),
        Finding(
            id="cpu-fallback",
            state="passed",
            title="All nodes run on the requested provider",
            cause="fallback",
        ),
        Finding(
            id="redundant-casts",
            state="passed",
            title="Casts cost less than the noise",
            cause="cast",
            reason="48 µs, inside ±60 µs",
        ),
        Finding(
            id="host-copies",
            state="not_applicable",
            title="Copies between host and device",
            cause="memcpy",
            reason="the run used no device",
        ),
        Finding(
            id="shape-arithmetic",
            state="error",
            title="Shape arithmetic",
            cause="shape_arithmetic",
            reason="the rule failed: KeyError 'Gather'",
        ),
    )


def plain_steps(median: int, rounds: int, iterations: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """Plain steps that scatter by a few percent."""
    rng = random.Random(seed)
    return tuple(
        tuple(round(median * rng.lognormvariate(0, 0.03)) for _ in range(iterations)) for _ in range(rounds)
    )


_PACKAGES = {
    "torch": "2.13.0",
    "onnxruntime": "1.31.1",
    "onnx": "1.20.0",
    "transformers": "5.23.0",
    "numpy": "2.4.0",
}


def _sides() -> dict[str, Side]:
    return {
        "torch": Side(
            engine="torch",
            state="complete",
            folder="torch",
            version="2.13.0+cpu",
            mode="eager",
            threads=2,
            settings={"inference_mode": "true", "training": "false", "mkldnn": "true"},
            warmup=10,
            warmed_up=True,
            overhead=Overhead(inside_ns=900.0, outside_ns=400.0, samples=2000),
        ),
        "onnxruntime": Side(
            engine="onnxruntime",
            state="complete",
            folder="ort",
            version="1.31.1",
            requested_providers=("CPUExecutionProvider",),
            providers=("CPUExecutionProvider",),
            opt_level="all",
            exporter="dynamo",
            opset=20,
            threads=2,
            warmup=10,
            warmed_up=True,
            overhead=Overhead(inside_ns=4000.0, outside_ns=3600.0, samples=2000),
        ),
    }


def _estimate(median: int, half: int, n: int) -> Estimate:
    return Estimate(median=median, low=median - half, high=median + half, n=n)


def latency_of(rows: tuple[LedgerRow, ...], half: int = 1_800_000) -> Latency:
    """The headline to which these rows sum."""
    torch_ns, ort_ns = sum(r.torch_ns for r in rows), sum(r.onnxruntime_ns for r in rows)
    delta = ort_ns - torch_ns
    return Latency(
        torch_ns=_estimate(torch_ns, 1_400_000, 60),
        onnxruntime_ns=_estimate(ort_ns, 900_000, 60),
        delta_ns=Delta(median=delta, low=delta - half, high=delta + half),
        significant=abs(delta) > half,
    )


def document(rows: tuple[LedgerRow, ...] | None = None, **changes: object) -> Document:
    """A complete, significant, faster BERT-base; `changes` replace fields."""
    rows = ledger() if rows is None else rows
    latency = latency_of(rows)
    base = Document(
        attrib_version="0.1.0",
        created="2026-11-05T10:00:00Z",
        workload=Workload(
            model="bert-base-uncased",
            source="built-in",
            task="fill-mask",
            weights="random, seed 0",
            batch_size=1,
            seq_len=128,
            attention="sdpa",
            parameters=109_482_240,
            inputs_sha256="ab" * 32,
            inputs=(
                InputSpec(name="input_ids", tensor=Tensor("int64", (1, 128))),
                InputSpec(name="attention_mask", tensor=Tensor("int64", (1, 128))),
            ),
        ),
        environment=Environment(
            cpu="Generic x86-64 at 2.6 GHz",
            logical_cores=8,
            usable_cores=2.0,
            memory_bytes=16 << 30,
            system="Linux 6.1",
            python="3.11.9",
            packages=_PACKAGES,
            load_before=0.4,
            load_after=2.1,
        ),
        sides=_sides(),
        protocol=Protocol(rounds=12, iterations=5, profiled_rounds=4, profiled_iterations=5, seed=0),
        comparability=(
            Check(check="same inputs", state="passed", detail="sha256 of both inputs agree"),
            Check(check="same outputs", state="passed", detail="largest difference 2.1e-6, tolerance 1e-4"),
            Check(check="equal threads", state="passed", detail="2 and 2 intra-op threads"),
            Check(check="warmed up", state="passed", detail="the last blocks agree within 2 %"),
            Check(check="power state", state="unknown", detail="this machine does not say"),
        ),
        outputs=(
            OutputDifference(
                name="last_hidden_state",
                shape=(1, 128, 768),
                max_abs=2.1e-6,
                max_rel=4e-7,
                cosine=1.0,
                tolerance=1e-4,
                equal=True,
            ),
        ),
        latency=latency,
        coverage=Coverage(
            ort_node_time_mapped=1.0,
            torch_call_time_mapped=0.987,
            unattributed_ns=_total(rows, "unattributed"),
            profiler_overhead_ns=_total(rows, "profiler_overhead"),
        ),
        ledger=rows,
        causes=causes_of(rows),
        findings=findings_of(rows),
        profiled={
            "torch": StepTimes(
                steps_ns=(132_000_000, 133_000_000),
                counts={"aten::linear": 74, "aten::gelu": 12},
                by_op_ns={
                    "aten::linear": 178_000_000,
                    "aten::gelu": 19_000_000,
                    "aten::scaled_dot_product_attention": 34_000_000,
                },
            ),
            "onnxruntime": StepTimes(
                steps_ns=(72_000_000, 71_500_000),
                counts={"Gemm": 74, "MatMul": 24},
                by_op_ns={"Gemm": 97_000_000, "MatMul": 17_000_000, "SkipLayerNormalization": 3_500_000},
            ),
        },
        plain_ns={
            "torch": plain_steps(latency.torch_ns.median, 12, 5, 1),
            "onnxruntime": plain_steps(latency.onnxruntime_ns.median, 12, 5, 2),
        },
        regions=trails_of(rows),
        timeline=timelines_of(rows),
        command="attrib profile --model bert-base-uncased --seq-len 128",
    )
    return msgspec.structs.replace(base, **changes)


def _tried(id_: str, title: str, saving: int | None, half: int = 0, **changes: object) -> ExperimentResult:
    """One experiment beside a baseline of the document's ONNX Runtime step; a saving of None was not measured."""
    baseline = 64_400_000
    measured = {} if saving is None else {
        "baseline_ns": _estimate(baseline, 500_000, 60),
        "variant_ns": _estimate(baseline - saving, 500_000, 60),
        "saving_ns": Delta(median=saving, low=saving - half, high=saving + half),
        "significant": abs(saving) > half,
        "outputs": (document().outputs[0],),
        "outputs_equal": True,
    }  # fmt: skip
    base: dict[str, object] = {
        "id": id_, "title": title, "side": "onnxruntime", "state": "measured" if measured else "failed"
    }  # fmt: skip
    return ExperimentResult(**(base | measured | changes))


def _predicted(kind: str, median: int, half: int) -> Prediction:
    low = 0 if kind == "at_most" else median - half
    saving = Delta(median=median, low=low, high=median + half)
    return Prediction(kind=kind, saving_ns=saving, basis="24 Transpose nodes take 1.1 ms", rows=())


SNIPPET = """import onnxruntime as ort

options = ort.SessionOptions()
options.intra_op_num_threads = 2
"""


def experiments_of() -> tuple[ExperimentResult, ...]:
    """One experiment of every kind: agreed, missed, unpredicted, declared, on PyTorch, and every way to fail."""
    apart = msgspec.structs.replace(document().outputs[0], max_abs=0.02, cosine=0.9991, equal=False)
    fused, churn = ("decomposed-attention",), ("layout-churn",)
    results = (
        _tried("best", "Best configuration", 3_900_000, 500_000, parts=("opset-23", "spinning-off"),
               flags="--opset 23 --session-option session.intra_op.allow_spinning=0", snippet=SNIPPET),
        _tried("opset-23", "Export with opset 23", 2_900_000, 650_000, findings=(*fused, *churn), agrees=True,
               flags="--opset 23", predicted=_predicted("estimate", 3_100_000, 300_000)),
        _tried("inverse-pairs", "Remove inverse pairs", 150_000, 100_000, findings=churn, agrees=False,
               flags="--optimize drop-inverse-pairs", predicted=_predicted("estimate", 900_000, 100_000),
               note="ONNX Runtime already removes them"),
        _tried("spinning-off", "Threads that do not spin", 900_000, 200_000,
               unpredicted="a profile does not hold what waiting threads cost"),
        _tried("nan-guard", "Drop the NaN guard", 80_000, 120_000, findings=fused, agrees=True,
               flags="--optimize drop-nan-guard", predicted=_predicted("at_most", 400_000, 100_000)),
        _tried("opt-level-disabled", "Optimization disabled", -41_000_000, 900_000, flags="--opt-level disabled"),
        _tried("int8-dynamic", "Dynamic int8", 21_000_000, 900_000, changes_numbers=True, outputs=(apart,),
               outputs_equal=False, flags="--precision int8"),
        _tried("torch-compile", "PyTorch compiled", 30_000_000, 1_200_000, side="torch", flags="--torch-mode compile",
               baseline_ns=_estimate(120_000_000, 900_000, 60), variant_ns=_estimate(90_000_000, 900_000, 60)),
        _tried("ort-transformers", "Offline fusion", None, findings=fused, reason="the optimizer raised KeyError",
               flags="--optimize ort-transformers"),
        _tried("onnxslim", "onnxslim", None, state="unavailable", reason="onnxslim is not installed"),
        _tried("exporter", "TorchScript export", None, state="timed_out", findings=churn, reason="no step within 600 s"),
        _tried("denormals-as-zero", "Denormals as zero", None, state="not_applicable", reason="no weight is one"),
    )  # fmt: skip
    return by_saving(results)


def tried_document(**changes: object) -> Document:
    """A document whose fixes were measured."""
    base = document()
    results = experiments_of()
    return document(**({"experiments": results, "findings": with_verified(base.findings, results)} | changes))


def hostile_experiments() -> tuple[ExperimentResult, ...]:
    """Every experiment with strings that a stranger might write, ids included."""
    picked = iter(HOSTILE * 40)

    def bad() -> str:
        return next(picked)

    def made(number: int, result: ExperimentResult) -> ExperimentResult:
        basis = result.predicted and msgspec.structs.replace(result.predicted, basis=bad(), rows=(bad(),))
        return msgspec.structs.replace(
            result,
            id=result.id if result.id == "best" else f"{bad()}{number}",
            title=bad(), findings=(*result.findings, bad()), flags=bad(), parts=(bad(), bad()), reason=bad(),
            note=bad(), unpredicted=bad(), predicted=basis, snippet=bad(),
            outputs=tuple(msgspec.structs.replace(o, name=bad(), reason=bad(), equal=False) for o in result.outputs),
        )  # fmt: skip

    return tuple(made(number, result) for number, result in enumerate(experiments_of()))


def slower_document() -> Document:
    """The two sides swapped in time: ONNX Runtime is slower."""
    swapped = tuple(
        msgspec.structs.replace(
            r,
            torch_ns=r.onnxruntime_ns,
            onnxruntime_ns=r.torch_ns,
            delta_ns=-r.delta_ns,
            low_ns=-r.high_ns,
            high_ns=-r.low_ns,
        )
        for r in ledger()
    )
    return document(swapped)


def one_sided(role: str = "torch") -> Document:
    """Only one engine came to an end; the other says why not."""
    whole = document()
    gone = "onnxruntime" if role == "torch" else "torch"
    error = "ONNX Runtime could not create the session: opset 99 is not supported"
    sides = dict(whole.sides)
    sides[gone] = msgspec.structs.replace(sides[gone], state="failed", error=error)
    estimate = whole.latency.torch_ns if role == "torch" else whole.latency.onnxruntime_ns
    return document(
        (),
        sides=sides,
        latency=Latency(
            torch_ns=estimate if role == "torch" else None,
            onnxruntime_ns=estimate if role == "onnxruntime" else None,
            delta_ns=None,
            significant=False,
        ),
        coverage=Coverage(
            ort_node_time_mapped=0.0, torch_call_time_mapped=0.0, unattributed_ns=0, profiler_overhead_ns=0
        ),
        causes=(),
        findings=(
            Finding(
                id="cpu-fallback", state="not_applicable", title="CPU fallback", reason="there is no delta"
            ),
        ),
        profiled={role: whole.profiled[role]},
        plain_ns={role: whole.plain_ns[role]},
        outputs=(),
    )


def not_significant() -> Document:
    """Large rows that cancel out, below the noise of the whole."""
    rows = ledger()
    excess = -sum(r.delta_ns for r in rows) + 210_000
    last = rows[-1]
    balanced = msgspec.structs.replace(
        last,
        id="slow-copy",
        region="slow copy",
        cause="memcpy",
        torch_ns=0,
        onnxruntime_ns=excess,
        delta_ns=excess,
        low_ns=excess - 700_000,
        high_ns=excess + 700_000,
    )
    return document((*rows, balanced), findings=())


def mismatched() -> Document:
    """Outputs that differ beyond the tolerance, and a check that failed."""
    base = document()
    wrong = OutputDifference(
        name="last_hidden_state",
        shape=(1, 128, 768),
        max_abs=0.37,
        max_rel=0.11,
        cosine=0.93,
        tolerance=1e-4,
        equal=False,
    )
    failed = Check(
        check="equal threads",
        state="failed",
        detail="PyTorch used 2 threads, ONNX Runtime 8",
        effect="the side with more threads looks faster than its code is",
        fix="pass `--threads 2`",
    )
    return document(outputs=(wrong,), comparability=(failed, *base.comparability[1:]))


def compiled() -> Document:
    """One compiled node that stands for 37 calls in three modules, as a provider that compiles whole graphs gives it."""
    rows = ledger(1)
    first = next(row for row in rows if row.torch_calls and row.onnx_nodes)
    modules = ("embeddings", "encoder.layer.0.attention.self", "encoder.layer.0.output.dense")
    calls = tuple(f"{modules[number * 3 // 37]}/aten::linear#{number}" for number in range(37))
    node = "OpenVINOExecutionProvider_OpenVINO-EP-subgraph_1_0"
    row = msgspec.structs.replace(
        first,
        id="(root)/compiled partition 1:fused",
        region="(root)/compiled partition 1",
        module="",
        cause="fused",
        torch_calls=calls,
        torch_ops=("aten::linear",) * 37,
        onnx_nodes=(node,),
        onnx_ops=("OpenVINO-EP-subgraph_1",),
        torch_ns=37 * 100_000,
        delta_ns=first.onnxruntime_ns - 37 * 100_000,
    )
    trail = RegionTrail(
        id=row.region,
        calls=tuple(
            TrailCall(
                id=i, op="aten::linear", module=i.partition("/")[0], ns=100_000, inputs=("float[1×128×768]",)
            )
            for i in calls
        ),
        stages=(
            TrailStage(
                name="exported",
                nodes=tuple(
                    TrailNode(name=f"node_MatMul_{n}", op="MatMul", module="encoder") for n in range(25)
                ),
            ),
        ),
        ran=(TrailRun(id=node, op="OpenVINO-EP-subgraph_1", ns=row.onnxruntime_ns),),
    )
    made = document((row, *(other for other in rows if other is not first)))
    others = tuple(other for other in made.regions if other.id != trail.id)
    return msgspec.structs.replace(made, regions=(trail, *others))


def on_device() -> Document:
    """Both engines on an accelerator: kernels on two streams, copies, a fallback, and a device that waits."""
    rng = random.Random(11)
    kinds = (
        Kind("embeddings", "inputs", "memcpy", ("aten::to",), ("MemcpyFromHost",), 140_000, 610_000),
        Kind("encoder", "isnan", "fallback", (), ("IsNaN", "Where"), 0, 2_300_000),
        Kind("encoder", "mask", "device_idle", ("aten::item",), ("Expand",), 5_900_000, 1_150_000),
    )
    rows = (*(_row(kind, "", None, rng) for kind in kinds), *ledger(4))
    rows = tuple(
        msgspec.structs.replace(row, providers=("CUDAExecutionProvider",)) if row.providers else row
        for row in rows
    )
    return document(rows, timeline=device_timelines_of(rows))


def huge(rows: int = 10_000) -> Document:
    """Ten thousand rows, far more than a page can show."""
    rng = random.Random(3)
    made = []
    while len(made) < rows:
        layer = len(made) // len(LAYER)
        made += [_row(kind, f"decoder.layers.{layer}", layer, rng) for kind in LAYER]
    return document(tuple(made[:rows]))


def hostile() -> Document:
    """Every free string of the document replaced by one that a stranger might write."""
    base = document(ledger(1))
    picked = iter(HOSTILE * 80)

    def bad() -> str:
        return next(picked)

    rows = tuple(
        msgspec.structs.replace(
            row,
            id=f"{bad()}{number}",
            region=bad(),
            module=bad(),
            torch_calls=(bad(), bad()),
            torch_ops=(bad(),),
            onnx_nodes=(bad(),),
            onnx_ops=(bad(),),
            exported=(bad(),),
            providers=(bad(),),
            shapes=(bad(),),
            match=msgspec.structs.replace(row.match, evidence=(bad(), bad())),
        )
        for number, row in enumerate(base.ledger)
    )
    regions = tuple(
        RegionTrail(
            id=row.region,
            module=bad(),
            origin="torch",
            reason=bad(),
            calls=(TrailCall(id=row.torch_calls[0], op=bad(), module=bad(), ns=1, inputs=(bad(),),
                             members=(TrailMember(op=bad(), name=bad(), scope=bad()),)),),
            stages=(TrailStage(name=bad(), nodes=(TrailNode(name=bad(), op=bad(), module=bad(), fx_node=bad()),)),),
            ran=(TrailRun(id=row.onnx_nodes[0], op=bad(), provider=bad(), ns=1, inputs=(bad(),), outputs=(bad(),)),),
            steps=(TrailStep(stage=bad(), kind="rewritten", by=bad(), text=bad()),),
        )
        for row in rows[: len(HOSTILE)]
    )  # fmt: skip
    findings = tuple(
        msgspec.structs.replace(
            f,
            id=bad(),
            title=bad(),
            summary=bad(),
            fix=bad(),
            reason=bad(),
            evidence=tuple(EvidenceRow(text=text, rows=(rows[0].id, "nowhere")) for text in HOSTILE),
        )
        for f in base.findings
    )
    return msgspec.structs.replace(
        base,
        created=bad(),
        command=bad(),
        warnings=HOSTILE,
        workload=msgspec.structs.replace(
            base.workload, model=bad(), weights=bad(), task=bad(), attention=bad()
        ),
        environment=msgspec.structs.replace(
            base.environment, cpu=bad(), packages={text: text for text in HOSTILE}, accelerators=HOSTILE
        ),
        sides={
            role: msgspec.structs.replace(s, version=bad(), settings={t: t for t in HOSTILE}, error=bad())
            for role, s in base.sides.items()
        },
        comparability=tuple(
            Check(check=text, state="failed", detail=text, effect=text, fix=text) for text in HOSTILE
        ),
        outputs=tuple(
            msgspec.structs.replace(base.outputs[0], name=t, equal=False, reason=t) for t in HOSTILE
        ),
        ledger=rows,
        regions=regions,
        timeline={
            role: msgspec.structs.replace(
                step,
                parts=(bad(),),
                labels=HOSTILE,
                lanes=tuple(msgspec.structs.replace(lane, name=bad()) for lane in step.lanes),
            )
            for role, step in device_timelines_of(base.ledger).items()
        },
        gaps=tuple(Gap(what=text, cost=text, how=text) for text in HOSTILE),
        findings=findings,
        experiments=tuple(
            msgspec.structs.replace(result, findings=tuple(f.id for f in findings))
            for result in hostile_experiments()
        ),
        profiled={
            role: StepTimes(
                steps_ns=t.steps_ns, by_op_ns=dict.fromkeys(HOSTILE, 5), counts=dict.fromkeys(HOSTILE, 2)
            )
            for role, t in base.profiled.items()
        },
    )
