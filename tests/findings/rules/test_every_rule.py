"""Every rule: a case in which it fires, one in which it passes, one in which it cannot answer."""

import dataclasses

import msgspec
import pytest

from attrib.findings.evidence.executed_graph import executed_graph
from attrib.findings.evidence.unfused_patterns import separate_residuals
from attrib.findings.registry import RULES
from attrib.findings.rules.graph.inverse_transposes import undoes_axes
from attrib.findings.rules.graph.redundant_casts import inverse_casts
from attrib.findings.runner import run
from attrib.model.manifest import EXPORTED, OPTIMIZED, OutputDifference
from attrib.model.work import Work
from tests.findings.evidence_factory import (
    MS,
    STEP_NS,
    evidence,
    graph,
    manifest,
    node,
    partition,
    row,
    steady,
    tensor,
)
from tests.findings.graph_evidence import Ran, given

SDPA = "aten::scaled_dot_product_attention"


def finding(name, given_evidence):
    return next(f for f in run(given_evidence) if f.id == name)


def texts(found):
    return " | ".join(line.text for line in found.evidence)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_without_its_evidence_a_rule_does_not_apply(rule):
    empty = dataclasses.replace(
        evidence(),
        manifest=None,
        partitions={},
        regions={},
        outputs=(),
        plain_ns={},
        graphs={},
    )
    found = finding(rule.id, empty)
    assert found.state == "not_applicable"
    assert found.reason
    assert found.title == rule.passed


def attention_row(i, torch_ns, ort_ns, **more):
    ops = ("MatMul", "Add", "Softmax", "IsNaN", "Where", "MatMul")
    return row(
        "decomposed",
        torch_ns,
        ort_ns,
        module=f"encoder.layer.{i}.attention.self",
        calls=[(f"sdpa {i}", SDPA)],
        nodes=[(f"{op} {i}.{j}", op) for j, op in enumerate(ops)],
        **more,
    )


def guard_graph(layers):
    nodes = []
    for i in range(layers):
        nodes += [
            node("IsNaN", [f"soft{i}"], [f"nan{i}"], name=f"IsNaN {i}.3"),
            node("Where", [f"nan{i}", "zero", f"soft{i}"], [f"safe{i}"], name=f"Where {i}.4"),
            node("Where", ["mask", "a", "b"], [f"other{i}"], name=f"mask {i}"),
        ]
    return graph(*nodes)


class TestDecomposedAttention:
    @pytest.mark.rule("decomposed-attention", "fires")
    def test_blocks_nodes_and_the_guard_are_counted(self):
        rows = [attention_row(i, 2 * MS, 5 * MS) for i in range(12)]
        found = finding("decomposed-attention", evidence(*rows, graphs={OPTIMIZED: guard_graph(12)}))
        assert found.state == "failed"
        assert found.title == "12 attention blocks run as separate nodes"
        assert found.saving_ns == 36 * MS
        assert "6 nodes instead of one call" in found.summary
        assert "--opset 23" in found.fix

    @pytest.mark.rule("decomposed-attention", "passes")
    def test_attention_that_is_faster_apart_passes_with_the_figure(self):
        found = finding(
            "decomposed-attention", evidence(*[attention_row(i, 5 * MS, 2 * MS) for i in range(12)])
        )
        assert found.state == "passed"
        assert "12" not in found.title
        assert "−36.0" in found.summary

    def test_an_attention_node_is_whole(self):
        whole = row("kernel", 2 * MS, 5 * MS, calls=[("s", SDPA)], nodes=[("m", "MultiHeadAttention")])
        optimized = graph(node("MultiHeadAttention", ["x"], ["y"]))
        found = finding("decomposed-attention", evidence(whole, graphs={OPTIMIZED: optimized}))
        assert found.state == "passed"
        assert "whole, in 1 node" in found.summary

    def test_eager_attention_is_left_to_the_kernels(self):
        optimized = graph(
            node("MatMul", ["q", "k"], ["s"]),
            node("Add", ["s", "mask"], ["m"]),
            node("Softmax", ["m"], ["p"]),
            node("MatMul", ["p", "v"], ["y"]),
        )
        eager = row("kernel", 2 * MS, 5 * MS, calls=[("m", "aten::matmul")], nodes=[("n", "MatMul")])
        found = finding("decomposed-attention", evidence(eager, graphs={OPTIMIZED: optimized}))
        assert found.state == "passed"
        assert "1 attention block of separate nodes" in found.summary

    def test_layout_around_it_is_mentioned_and_not_claimed(self):
        parts = [
            attention_row(0, 2 * MS, 5 * MS, region="r", name="compute"),
            row("layout", 0, 3 * MS, region="r", name="move", nodes=[("t", "Transpose")]),
        ]
        found = finding("decomposed-attention", evidence(*parts))
        assert found.saving_ns == 3 * MS
        assert "counted under layout-churn" in texts(found)

    def test_an_opset_that_has_attention_is_not_recommended_again(self):
        found = finding(
            "decomposed-attention",
            evidence(attention_row(0, 2 * MS, 5 * MS), manifest=manifest(onnxruntime={"opset": 23})),
        )
        assert "--opset" not in found.fix


class TestUnfusedLayers:
    def gelu(self, torch_ns, ort_ns):
        nodes = [(f"{op} g", op) for op in ("Div", "Erf", "Add", "Mul")]
        return row("decomposed", torch_ns, ort_ns, calls=[("gelu", "aten::gelu")], nodes=nodes)

    def test_layers_are_named_and_weighed(self):
        norm = row(
            "decomposed",
            MS,
            3 * MS,
            module="norm",
            calls=[("ln", "aten::layer_norm")],
            nodes=[("rm", "ReduceMean"), ("sq", "Sqrt")],
        )
        linear = row(
            "decomposed",
            4 * MS,
            9 * MS,
            module="fc",
            calls=[("fc", "aten::linear")],
            nodes=[("mm", "MatMul"), ("add", "Add")],
        )
        found = finding("unfused-layers", evidence(self.gelu(MS, 4 * MS), norm, linear))
        assert found.title == "Not fused: 1 GELU, 1 LayerNorm, 1 linear bias"
        assert found.saving_ns == 10 * MS
        assert "--optimize onnxscript" in found.fix

    def test_the_optimization_level_comes_first(self):
        low = manifest(onnxruntime={"opt_level": "basic"})
        found = finding("unfused-layers", evidence(self.gelu(MS, 4 * MS), manifest=low))
        assert "--opt-level all" in found.fix

    def test_apart_and_not_slower_passes(self):
        assert finding("unfused-layers", evidence(self.gelu(4 * MS, MS))).state == "passed"

    def test_fused_layers_pass_with_their_counts(self):
        fused = row("fused", 4 * MS, 2 * MS, calls=[("g", "aten::gelu")], nodes=[("b", "BiasGelu")])
        nodes = [node("BiasGelu", ["x"], [f"g{i}"]) for i in range(12)]
        found = finding("unfused-layers", evidence(fused, graphs={OPTIMIZED: graph(*nodes)}))
        assert found.state == "passed"
        assert "12 BiasGelu" in found.summary

    def test_attention_has_a_rule_of_its_own(self):
        assert finding("unfused-layers", evidence(attention_row(0, MS, 9 * MS))).state == "passed"

    def test_residuals_that_could_be_fused_are_counted(self):
        apart = graph(
            node("MatMul", ["x", "w"], ["a"]),
            node("MatMul", ["x", "v"], ["b"]),
            node("Add", ["a", "b"], ["sum"]),
            node("LayerNormalization", ["sum", "scale"], ["y"]),
        )
        read_twice = graph(*apart.nodes, node("Relu", ["sum"], ["z"]))
        assert separate_residuals(apart) == 1
        assert separate_residuals(read_twice) == 0


class TestKernels:
    def linears(self, torch_ns, ort_ns, count=12, noise=0.05 * MS):
        return [
            row(
                "kernel",
                torch_ns,
                ort_ns,
                noise=noise,
                module=f"layer.{i}",
                calls=[(f"linear {i}", "aten::linear")],
                nodes=[(f"gemm {i}", "Gemm")],
                shapes=("float[128×768]", "float[3072×768]"),
            )
            for i in range(count)
        ]

    def works(self, count=12):
        calls = {
            f"linear {i}": Work(
                id=f"linear {i}",
                engine="torch",
                op="aten::linear",
                inputs=(tensor(1, 128, 768), tensor(3072, 768), tensor(3072)),
            )
            for i in range(count)
        }
        nodes = {
            f"gemm {i}": Work(
                id=f"gemm {i}",
                engine="onnxruntime",
                op="Gemm",
                inputs=(tensor(128, 768), tensor(768, 3072), tensor(3072)),
                outputs=(tensor(128, 3072),),
            )
            for i in range(count)
        }
        return {"torch": calls, "onnxruntime": nodes}

    @pytest.mark.rule("slower-kernel", "fires")
    def test_a_slower_kernel_is_named_with_both_rates(self):
        found = finding("slower-kernel", evidence(*self.linears(3 * MS, 6 * MS), works=self.works()))
        assert found.state == "failed"
        assert found.saving_ns == 36 * MS
        # 2·128·768·3072 operations in 6 ms and in 3 ms
        assert "(101 GFLOP/s) in ONNX Runtime" in texts(found)
        assert "(201 GFLOP/s) in PyTorch" in texts(found)

    @pytest.mark.rule("faster-kernel", "fires")
    def test_a_faster_kernel_explains_and_saves_nothing(self):
        amd = manifest(environment={"cpu": "AMD EPYC"})
        found = finding(
            "faster-kernel", evidence(*self.linears(6 * MS, 3 * MS), works=self.works(), manifest=amd)
        )
        assert (found.state, found.saving_ns, found.explains_ns) == ("failed", 0, -36 * MS)
        assert "Intel MKL" in texts(found)

    def test_a_group_with_nothing_on_one_side_is_no_comparison(self):
        alone = [
            row("kernel", 6 * MS, 0, calls=[(f"l{i}", "aten::linear")], region=f"r{i}") for i in range(3)
        ]
        assert finding("faster-kernel", evidence(*alone)).state == "passed"
        alone = [row("kernel", 0, 6 * MS, nodes=[(f"g{i}", "Gemm")], region=f"r{i}") for i in range(3)]
        assert finding("slower-kernel", evidence(*alone)).state == "passed"

    def test_each_direction_leaves_the_other_rule_passed(self):
        given_evidence = evidence(*self.linears(6 * MS, 3 * MS))
        assert finding("slower-kernel", given_evidence).state == "passed"

    @pytest.mark.rule("slower-kernel", "passes")
    @pytest.mark.rule("faster-kernel", "passes")
    def test_positive_rows_are_not_picked_out_of_noise(self):
        rows = [
            row(
                "kernel",
                5 * MS,
                5 * MS + (3 * MS if i % 2 else -3 * MS),
                noise=MS,
                module=f"layer.{i}",
                calls=[(f"c{i}", "aten::linear")],
                nodes=[(f"n{i}", "Gemm")],
            )
            for i in range(20)
        ]
        given_evidence = evidence(*rows)
        assert finding("slower-kernel", given_evidence).state == "passed"
        assert finding("faster-kernel", given_evidence).state == "passed"

    def test_the_interval_is_widened_for_the_number_of_groups(self):
        def groups(count):
            return [
                row(
                    "kernel",
                    9 * MS,
                    (12 if i == 0 else 9) * MS,
                    noise=1.7 * MS,
                    module=f"m{i}",
                    calls=[(f"c{i}", "aten::add")],
                    nodes=[(f"n{i}", "Add")],
                    shapes=(f"float[{i + 1}]",),
                )
                for i in range(count)
            ]

        assert finding("slower-kernel", evidence(*groups(1))).state == "failed"
        assert finding("slower-kernel", evidence(*groups(400))).state == "passed"


class TestFusedOperators:
    def skip(self, torch_ns, ort_ns):
        calls = [("add", "aten::add"), ("ln", "aten::layer_norm")]
        return row("fused", torch_ns, ort_ns, calls=calls, nodes=[("skip", "SkipLayerNormalization")])

    @pytest.mark.rule("fused-operators", "fires")
    @pytest.mark.rule("slower-fusion", "passes")
    def test_a_gain_is_explained(self):
        found = finding("fused-operators", evidence(self.skip(4 * MS, MS)))
        assert found.title == "1 fused node is faster than the PyTorch calls for the same work"
        assert finding("slower-fusion", evidence(self.skip(4 * MS, MS))).state == "passed"
        assert (found.saving_ns, found.explains_ns) == (0, -3 * MS)
        assert "aten::add + aten::layer_norm → SkipLayerNormalization" in texts(found)

    @pytest.mark.rule("slower-fusion", "fires")
    def test_a_fusion_that_costs_time_can_be_switched_off(self):
        given_evidence = evidence(self.skip(MS, 4 * MS))
        found = finding("slower-fusion", given_evidence)
        assert found.title == "1 fused node takes longer than the calls that they cover"
        assert (found.saving_ns, found.explains_ns) == (3 * MS, 3 * MS)
        assert "--disable-optimizer SkipLayerNormFusion" in found.fix
        assert "'optimization.disable_specified_optimizers', 'SkipLayerNormFusion'" in found.fix

    def test_what_a_slow_fusion_explains_is_not_explained_again(self):
        gelu = row(
            "fused", 9 * MS, MS, module="act", calls=[("l", "aten::linear"), ("g", "aten::gelu")], nodes=[("b", "BiasGelu")]
        )  # fmt: skip
        given_evidence = evidence(self.skip(MS, 4 * MS), gelu)
        assert finding("slower-fusion", given_evidence).explains_ns == 3 * MS
        assert finding("fused-operators", given_evidence).explains_ns == -8 * MS

    @pytest.mark.rule("fused-operators", "passes")
    def test_nothing_fused(self):
        assert finding("fused-operators", evidence(row("layout", 0, MS))).state == "passed"


class TestLayoutChurn:
    @pytest.mark.rule("layout-churn", "fires")
    def test_modules_are_listed_with_their_layers_folded(self):
        rows = [
            row("layout", 0, MS, module=f"encoder.layer.{i}.attention", nodes=[(f"t{i}", "Transpose")])
            for i in range(12)
        ]
        rows.append(row("layout", 0, 2 * MS, module="pooler", nodes=[("r", "Reshape")]))
        found = finding("layout-churn", evidence(*rows))
        assert found.title == "13 nodes only move data"
        assert found.saving_ns == 14 * MS
        assert found.evidence[0].text.startswith("encoder.layer.*.attention: 12 Transpose")
        assert len(found.evidence[0].rows) == 12

    @pytest.mark.rule("layout-churn", "passes")
    def test_cheap_layout_passes(self):
        noisy = row("layout", MS, 2 * MS, noise=2 * MS, nodes=[("t", "Transpose")])
        assert finding("layout-churn", evidence(noisy)).state == "passed"

    @pytest.mark.parametrize(
        ("first", "second", "undone"),
        [
            ("0,2,1,3", "0,2,1,3", True),
            ("1,2,0", "2,0,1", True),
            ("1,2,0", "1,2,0", False),
            ("0,1", "0,1,2", False),
            ("a,b", "0,1", False),
            ("0,9", "9,0", False),
            ("0,-9", "0,-9", False),
            ("0,1", "0,1", False),
        ],
    )
    def test_transposes_that_undo_each_other(self, first, second, undone):
        inner, outer = (node("Transpose", ["x"], ["t"], perm=perm) for perm in (first, second))
        assert undoes_axes(inner, outer) is undone

    def test_reversing_twice_undoes_itself(self):
        assert undoes_axes(node("Transpose", ["x"], ["t"]), node("Transpose", ["t"], ["y"]))


class TestRedundantCasts:
    @pytest.mark.rule("redundant-casts", "fires")
    def test_casts_that_the_runtime_put_in_point_to_the_type(self):
        casts = row("cast", 0, 3 * MS, nodes=[("InsertedPrecisionFreeCast_1", "Cast"), ("own", "Cast")])
        found = finding("redundant-casts", evidence(casts))
        assert found.title == "2 casts convert element types"
        assert "1 of them put in by ONNX Runtime" in found.summary
        assert "a provider that has them" in found.fix

    @pytest.mark.parametrize(("result", "pairs"), [("float", 1), ("float16", 0)])
    def test_pairs_that_go_back_to_the_same_type(self, result, pairs):
        half, whole = tensor(4, dtype="float16"), tensor(4)
        ran = (
            Ran(node("Cast", ["x"], ["h"]), MS, result=half, reads=(whole,), cause="cast"),
            Ran(node("Cast", ["h"], ["y"]), MS, result=tensor(4, dtype=result), reads=(half,), cause="cast"),
        )
        assert inverse_casts(executed_graph(given(*ran))) == (("Cast:h", "Cast:y"),) * pairs
        assert ("the pairs take 2 ms" in texts(finding("redundant-casts", given(*ran)))) is bool(pairs)

    @pytest.mark.rule("redundant-casts", "passes")
    def test_no_cast_no_finding(self):
        found = finding("redundant-casts", evidence())
        assert (found.state, found.summary) == ("passed", "ONNX Runtime converts no element types.")

    def test_the_cost_of_a_cast_must_be_measured(self):
        assert (
            finding("redundant-casts", evidence(row("cast", 0, 0, nodes=[("c", "Cast")]))).state == "passed"
        )


class TestAdviceOnLayout:
    def test_attention_is_spoken_of_only_where_there_is_one(self):
        moved = row("layout", 0, 3 * MS, nodes=[("t", "Transpose")])
        alone = finding("layout-churn", evidence(moved))
        assert "attention" not in alone.fix
        assert "--opset" not in alone.fix
        beside = finding("layout-churn", evidence(moved, attention_row(0, 2 * MS, 2 * MS)))
        assert "--opset 23" in beside.fix


class TestShapeArithmetic:
    @pytest.mark.rule("shape-arithmetic", "fires")
    def test_nodes_and_time(self):
        shapes = row("shape_arithmetic", 0, 2 * MS, nodes=[("s", "Shape"), ("g", "Gather")])
        found = finding("shape-arithmetic", evidence(shapes))
        assert found.title == "2 nodes compute shapes at run time"
        assert "--optimize onnxslim" in found.fix

    def test_only_free_sizes_are_to_be_fixed(self):
        shapes = row("shape_arithmetic", 0, 2 * MS, nodes=[("s", "Shape"), ("g", "Gather")])
        free = graph(values={"x": tensor(-1, 128)})
        found = finding("shape-arithmetic", evidence(shapes, graphs={EXPORTED: free, OPTIMIZED: free}))
        assert "add_free_dimension_override_by_name" in found.fix
        assert "without `--dynamic-shapes`" in found.fix
        assert "dynamic-shapes" not in finding("shape-arithmetic", evidence(shapes)).fix

    @pytest.mark.rule("shape-arithmetic", "passes")
    def test_static_shapes_pass(self):
        assert "constant of the graph" in finding("shape-arithmetic", evidence()).summary


class TestFrameworkOverhead:
    def frameworks(self, torch_ns, ort_ns):
        rows = (row("framework", torch_ns, ort_ns),)
        parts = {
            "torch": partition("torch", (), (), ("torch dispatch",), (torch_ns,)),
            "onnxruntime": partition(
                "onnxruntime", (), (), ("ort executor", "ort api"), (ort_ns // 4, ort_ns * 3 // 4)
            ),
        }
        return evidence(*rows, partitions=parts)

    @pytest.mark.rule("framework-overhead", "fires")
    def test_more_overhead_in_onnx_runtime_names_the_part(self):
        found = finding("framework-overhead", self.frameworks(2 * MS, 8 * MS))
        assert (found.title, found.saving_ns) == ("ONNX Runtime spends more time outside operators", 6 * MS)
        assert "ONNX Runtime spends 4.00× as much" in found.summary
        assert "ort api: 6 ms" in texts(found)
        assert "--io-binding" in found.fix

    def test_less_overhead_explains_a_faster_runtime(self):
        found = finding("framework-overhead", self.frameworks(8 * MS, 2 * MS))
        assert (found.state, found.saving_ns, found.explains_ns) == ("failed", 0, -6 * MS)
        assert "less" in found.title

    @pytest.mark.rule("framework-overhead", "passes")
    def test_equal_overhead_passes(self):
        assert finding("framework-overhead", self.frameworks(2 * MS, 2 * MS)).state == "passed"


class TestThreadMismatch:
    @pytest.mark.rule("thread-mismatch", "fires")
    def test_different_threads(self):
        found = finding("thread-mismatch", evidence(manifest=manifest(torch={"threads": 1})))
        assert found.state == "failed"
        assert "1 (PyTorch) and 2 (ONNX Runtime)" in found.title
        assert "--threads 2" in found.fix

    @pytest.mark.rule("thread-mismatch", "fires")
    def test_more_threads_than_the_quota_allows(self):
        small = manifest(environment={"usable_cores": 1.5})
        found = finding("thread-mismatch", evidence(manifest=small))
        assert "2 threads share 1.5 usable cores" in found.title
        assert "--threads 1" in found.fix

    @pytest.mark.rule("thread-mismatch", "passes")
    def test_one_thread_on_half_a_core_is_the_least_there_is(self):
        small = manifest(torch={"threads": 1}, onnxruntime={"threads": 1}, environment={"usable_cores": 0.5})
        assert finding("thread-mismatch", evidence(manifest=small)).state == "passed"

    @pytest.mark.rule("thread-mismatch", "passes")
    def test_equal_threads_pass(self):
        assert finding("thread-mismatch", evidence()).state == "passed"


class TestOutputMismatch:
    def output(self, equal, **more):
        values = {"max_abs": 0.5, "max_rel": 0.1, "cosine": 0.99, "tolerance": 1e-3, **more}
        return OutputDifference(name="logits", shape=(1, 2), equal=equal, **values)

    @pytest.mark.rule("output-mismatch", "fires")
    def test_a_difference_is_the_first_finding(self):
        rows = [row("layout", 0, 50 * MS, nodes=[("t", "Transpose")])]
        found = run(evidence(*rows, outputs=(self.output(False), self.output(True))))[0]
        assert (found.id, found.title) == ("output-mismatch", "1 of 2 outputs differ between the engines")
        assert "0.1 of the largest value" in texts(found)

    @pytest.mark.parametrize(
        ("settings", "why", "fix"),
        [
            ({}, "may not do the same work", "check precision, TF32"),
            (
                {"changed_state": "seen, total"},
                "changes the model itself (seen, total)",
                "an input and an output",
            ),
            ({"changed_outputs": "logits"}, "draws random numbers", "Draw them outside"),
        ],
    )
    def test_what_the_capture_saw_is_the_reason(self, settings, why, fix):
        told = manifest(torch={"settings": settings})
        found = finding("output-mismatch", evidence(manifest=told, outputs=(self.output(False),)))
        assert why in found.summary
        assert fix in found.fix

    def test_the_fast_path_of_encoders_is_other_work(self):
        call = Work(id="c", engine="torch", op="aten::_nested_tensor_from_mask", scope="encoder")
        given_evidence = dataclasses.replace(
            evidence(outputs=(self.output(False),)), work={"torch": {"c": call}, "onnxruntime": {}}
        )
        found = finding("output-mismatch", given_evidence)
        assert "leaves padded tokens out" in found.summary
        assert "set_fastpath_enabled(False)" in found.fix
        assert "TF32" not in found.fix

    def test_a_reason_stands_for_itself(self):
        found = finding("output-mismatch", evidence(outputs=(self.output(False, reason="NaN in both"),)))
        assert texts(found) == "logits: NaN in both"

    def test_what_only_onnx_runtime_returns_is_no_other_number(self):
        surplus = self.output(False, reason="PyTorch has no such output")
        assert finding("output-mismatch", evidence(outputs=(self.output(True), surplus))).state == "passed"
        found = finding("output-mismatch", evidence(outputs=(self.output(False), surplus)))
        assert found.title == "1 of 1 output differ between the engines"

    @pytest.mark.rule("output-mismatch", "passes")
    def test_equal_outputs_pass(self):
        assert finding("output-mismatch", evidence(outputs=(self.output(True),))).state == "passed"


def blocks_of(*medians):
    blocks = tuple((m * MS,) * 3 for m in medians)
    return {"torch": steady()["torch"], "onnxruntime": blocks}


class TestUnstableMeasurement:
    @pytest.mark.rule("unstable-measurement", "fires")
    @pytest.mark.parametrize(
        ("changes", "says", "helps"),
        [
            ({"plain_ns": blocks_of(*[150, 260] * 6)}, "blocks of ONNX Runtime scatter", "--iterations"),
            ({"plain_ns": blocks_of(*[200] * 6, *[240] * 6)}, "drifted by +20", "--warmup"),
            ({"manifest": manifest(torch={"warmed_up": False})}, "PyTorch had not warmed up", "--warmup"),
            ({"manifest": manifest(environment={"load_before": 1.9})}, "load was 1.9 on 2", "stop other"),
        ],
    )
    def test_every_sign_names_what_helps(self, changes, says, helps):
        found = finding("unstable-measurement", evidence(**changes))
        assert found.state == "failed"
        assert says in texts(found)
        assert helps in found.fix

    @pytest.mark.rule("unstable-measurement", "fires")
    def test_a_wide_interval(self):
        import msgspec

        from attrib.model.estimate import Delta

        given_evidence = evidence()
        wide = Delta(median=0, low=-STEP_NS // 10, high=STEP_NS // 10)
        latency = msgspec.structs.replace(given_evidence.latency, delta_ns=wide)
        found = finding("unstable-measurement", dataclasses.replace(given_evidence, latency=latency))
        assert "half the interval of the difference is 10 % of the step" in texts(found)

    @pytest.mark.rule("unstable-measurement", "passes")
    def test_steady_steps_pass_also_without_a_manifest(self):
        assert finding("unstable-measurement", evidence()).state == "passed"
        assert finding("unstable-measurement", evidence(manifest=None)).state == "passed"

    def test_few_blocks_cannot_scatter(self):
        assert finding("unstable-measurement", evidence(plain_ns=blocks_of(100, 300))).state == "passed"


class TestUnmatchedTime:
    @pytest.mark.rule("unmatched-time", "fires")
    def test_time_without_a_counterpart(self):
        found = finding("unmatched-time", evidence(row("unattributed", 0, 10 * MS, nodes=[("n", "Mul")])))
        assert found.state == "failed"
        assert found.title.startswith("4.76 %")  # 10 of 210 ms
        assert found.saving_ns == 0

    @pytest.mark.rule("unmatched-time", "fires")
    def test_doubtful_matches(self):
        weak = row(
            "kernel", 40 * MS, 41 * MS, confidence=0.3, calls=[("c", "aten::add")], nodes=[("n", "Add")]
        )
        found = finding("unmatched-time", evidence(weak))
        assert found.state == "failed"
        assert "with low confidence" in texts(found)

    @pytest.mark.rule("unmatched-time", "passes")
    def test_a_little_is_fine(self):
        assert finding("unmatched-time", evidence(row("unattributed", 0, MS))).state == "passed"

    def test_no_more_than_the_whole_step_is_unmatched(self):
        lost = [row("unattributed", 0, STEP_NS, name=f"r{i}", nodes=[(f"n{i}", "Mul")]) for i in range(3)]
        whole = dataclasses.replace(evidence(*lost), latency=evidence().latency)
        assert finding("unmatched-time", whole).title.startswith("100 % of the step")

    @pytest.mark.parametrize(
        ("exporter", "advised"), [("dynamo", False), ("torchscript", True), ("file", False)]
    )
    def test_the_exporter_that_was_used_is_not_advised(self, exporter, advised):
        lost = row("unattributed", 0, 10 * MS, nodes=[("n", "Mul")])
        told = manifest(onnxruntime={"exporter": exporter})
        assert (
            "--exporter dynamo" in finding("unmatched-time", evidence(lost, manifest=told)).fix
        ) is advised

    def test_without_a_manifest_it_says_how_to_record(self):
        lost = row("unattributed", 0, 10 * MS)
        assert "attrib profile" in finding("unmatched-time", evidence(lost, manifest=None)).fix


@pytest.mark.parametrize(
    ("mode", "settings", "advised"),
    [
        ("eager", {}, True),
        ("compile", {}, False),
        ("jit", {}, False),
        ("eager", {"compiled_by_model": "torch.compile"}, False),
    ],
)
def test_compiling_is_not_advised_to_who_compiles(mode, settings, advised):
    base = manifest()
    torch = msgspec.structs.replace(base.sides["torch"], mode=mode, settings=settings)
    given = evidence(
        row("framework", 20 * MS, 2 * MS, name="(framework)/torch dispatch"),
        manifest=msgspec.structs.replace(base, sides={**base.sides, "torch": torch}),
    )
    assert ("--torch-mode compile" in finding("framework-overhead", given).fix) is advised
