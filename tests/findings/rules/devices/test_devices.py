"""Rules about the device: which provider ran the nodes, what is copied, and whether the device waits."""

import dataclasses

import msgspec
import numpy as np
import pytest

from attrib.findings.evidence.placement import islands, nodes_outside, requested_provider
from attrib.findings.runner import run
from attrib.model.manifest import EXPORTED, OPTIMIZED, OutputDifference
from attrib.model.work import DeviceUse, Work
from tests.findings.evidence_factory import (
    MS,
    STEP_NS,
    FakeLedger,
    evidence,
    graph,
    manifest,
    node,
    partition,
    row,
    tensor,
)

CUDA, CPU, TENSORRT = "CUDAExecutionProvider", "CPUExecutionProvider", "TensorrtExecutionProvider"
ON_CUDA = {"requested_providers": (CUDA,), "providers": (CUDA, CPU)}


def finding(name, given):
    return next(f for f in run(given) if f.id == name)


def texts(found):
    return " | ".join(line.text for line in found.evidence)


def ran(*nodes):
    """Works in order; each is (name, op, provider) or a Work."""
    return [
        given
        if isinstance(given, Work)
        else Work(id=given[0], engine="onnxruntime", op=given[1], provider=given[2], order=i)
        for i, given in enumerate(nodes)
    ]


def session(*nodes, spent=MS, device=None, graphs=None, steps=3, **more):
    """Evidence of a session that ran these nodes, `spent` each, with a row for every one of them."""
    works = ran(*nodes)
    rows = [
        row(
            "fallback",
            0,
            spent,
            module=f"encoder.layer.{i // 4}.attention",
            nodes=[(work.id, work.op)],
            name=work.id,
        )
        for i, work in enumerate(works)
    ]
    torch = partition("torch", (), (), ("torch dispatch",), (STEP_NS,))
    base = evidence(
        *rows,
        works={"torch": {}, "onnxruntime": {work.id: work for work in works}},
        partitions={
            "torch": msgspec.structs.replace(torch, device=device),
            "onnxruntime": partition("onnxruntime", works, [spent] * len(works), steps=steps),
        },
        **({"graphs": graphs} if graphs else {}),
        **more,
    )
    ledger = FakeLedger(base.ledger.rows, {work.id: spent for work in works})
    return dataclasses.replace(base, ledger=ledger)


def use(busy, wall, kernels=60, steps=3):
    column = lambda value: np.full(steps, value, dtype=np.int64)  # noqa: E731
    return DeviceUse(
        busy_ns=column(busy),
        kernels_ns=column(busy),
        copies_ns=column(0),
        kernels=column(kernels),
        walls_ns=column(wall),
    )


GUARDED = [
    ("matmul", "MatMul", CUDA),
    ("softmax", "Softmax", CUDA),
    ("nan", "IsNaN", CPU),
    ("out", "MatMul", CUDA),
]


class TestProviderNotUsed:
    @pytest.mark.rule("provider-not-used", "fires")
    def test_a_session_that_fell_back_is_the_first_thing_to_say(self):
        fallen = manifest(
            onnxruntime={"requested_providers": (CUDA,), "providers": (CPU,)}, torch={"warmed_up": False}
        )
        wrong = OutputDifference(
            name="y", shape=(1,), max_abs=1.0, max_rel=1.0, cosine=0.0, tolerance=1e-3, equal=False
        )
        given = session(("a", "MatMul", CPU), ("b", "Add", CPU), manifest=fallen, outputs=(wrong,))
        first = run(given)[0]
        assert (first.id, first.state, first.saving_ns) == ("provider-not-used", "failed", 0)
        assert first.title.endswith(
            "CUDAExecutionProvider was asked for, and all 2 nodes ran on CPUExecutionProvider"
        )
        assert "it lacks CUDAExecutionProvider" in texts(first)
        assert "session.disable_cpu_ep_fallback" in first.fix

    @pytest.mark.rule("provider-not-used", "passes")
    def test_a_provider_with_nodes_passes(self):
        found = finding("provider-not-used", session(*GUARDED, manifest=manifest(onnxruntime=ON_CUDA)))
        assert found.state == "passed"
        assert "CUDAExecutionProvider (3 nodes)" in found.summary

    def test_the_session_may_have_it_and_use_it_for_nothing(self):
        given = session(("a", "MatMul", CPU), manifest=manifest(onnxruntime=ON_CUDA))
        assert "it has CUDAExecutionProvider" in texts(finding("provider-not-used", given))

    @pytest.mark.parametrize("provider", [CPU, ""])
    @pytest.mark.parametrize("torch", [{}, {"device": use(MS, 2 * MS)}])
    def test_where_nobody_says_what_was_asked_for_it_does_not_apply(self, provider, torch):
        found = finding("provider-not-used", session(("a", "MatMul", provider), manifest=None, **torch))
        assert found.state == "not_applicable"
        assert found.reason


class TestFallbackNodes:
    @pytest.mark.rule("fallback-nodes", "fires")
    def test_islands_are_weighed_by_time_and_named_by_what_is_around_them(self):
        found = finding(
            "fallback-nodes", session(*GUARDED, spent=2 * MS, manifest=manifest(onnxruntime=ON_CUDA))
        )
        assert found.state == "failed"
        assert found.title.startswith("1 node in 1 island")
        assert (found.saving_ns, found.explains_ns) == (2 * MS, 2 * MS)
        assert "IsNaN in encoder.layer.*.attention, between Softmax and MatMul" in texts(found)
        assert "drop-nan-guard" in found.fix

    def test_equal_islands_of_many_layers_are_one_line(self):
        nodes = [(f"{name}{i}", op, provider) for i in range(12) for name, op, provider in GUARDED]
        found = finding("fallback-nodes", session(*nodes, manifest=manifest(onnxruntime=ON_CUDA)))
        assert found.title.startswith("12 nodes in 12 islands")
        assert texts(found).count("IsNaN") == 1
        assert texts(found).startswith("12 times IsNaN")

    @pytest.mark.rule("fallback-nodes", "passes")
    def test_shape_arithmetic_belongs_on_the_host(self):
        shape = Work(
            id="s", engine="onnxruntime", op="Gather", provider=CPU, outputs=(tensor(2, dtype="int64"),)
        )
        given = session(
            ("a", "MatMul", CUDA), shape, ("b", "MatMul", CUDA), manifest=manifest(onnxruntime=ON_CUDA)
        )
        found = finding("fallback-nodes", given)
        assert found.state == "passed"
        assert "1 node of shape arithmetic" in found.summary

    @pytest.mark.rule("fallback-nodes", "passes")
    def test_what_costs_nothing_is_no_finding(self):
        given = session(*GUARDED, spent=1_000, manifest=manifest(onnxruntime=ON_CUDA))
        found = finding("fallback-nodes", given)
        assert found.state == "passed"
        assert "% of the step" in found.summary

    def test_a_session_wholly_elsewhere_is_another_rules(self):
        fallen = manifest(onnxruntime={"requested_providers": (CUDA,), "providers": (CPU,)})
        assert finding("fallback-nodes", session(("a", "MatMul", CPU), manifest=fallen)).state == "passed"

    def test_a_profile_without_providers_is_not_read_as_one_place(self):
        found = finding("fallback-nodes", dataclasses.replace(session(("a", "MatMul", "")), manifest=None))
        assert found.state == "passed"
        assert found.summary == "The profile does not say where the nodes ran."

    def test_pytorchs_time_for_the_same_work_is_not_difference(self):
        given = session(*GUARDED, spent=2 * MS, manifest=manifest(onnxruntime=ON_CUDA))
        both = [
            row(
                "fallback",
                2 * MS,
                2 * MS + 1,
                nodes=[("nan", "IsNaN")],
                calls=[("c", "aten::isnan")],
                name="nan",
            ),
            *(r for r in given.ledger.rows if r.id != "nan"),
        ]
        found = finding(
            "fallback-nodes", dataclasses.replace(given, ledger=FakeLedger(tuple(both), {"nan": 2 * MS}))
        )
        assert (found.state, found.saving_ns, found.explains_ns) == ("failed", 2 * MS, 0)

    def test_the_graph_says_who_reads_an_island(self):
        ran_graph = graph(
            node("Softmax", ["x"], ["p"], name="softmax"),
            node("IsNaN", ["p"], ["n"], name="nan"),
            node("Where", ["n", "z", "p"], ["y"], name="out"),
        )
        given = session(
            *GUARDED[1:],
            graphs={EXPORTED: graph(), OPTIMIZED: ran_graph},
            manifest=manifest(onnxruntime=ON_CUDA),
        )
        (island,) = islands(given, nodes_outside(given, CUDA))
        assert (island.before, island.behind) == ("Softmax", "Where")

    def test_an_island_at_the_edge_reads_the_inputs(self):
        given = session(("nan", "IsNaN", CPU), ("a", "MatMul", CUDA), manifest=manifest(onnxruntime=ON_CUDA))
        (island,) = islands(given, nodes_outside(given, CUDA))
        assert (island.before, island.behind) == ("the inputs", "MatMul")

    def test_without_a_manifest_the_accelerator_is_what_was_asked_for(self):
        assert requested_provider(session(*GUARDED, manifest=None)) == CUDA
        assert requested_provider(session(("a", "MatMul", CPU), manifest=None)) == CPU
        assert requested_provider(session(("a", "MatMul", ""), manifest=None)) == ""


WITH_COPIES = [
    ("softmax", "Softmax", CUDA),
    ("Memcpy", "MemcpyToHost", CUDA),
    ("nan", "IsNaN", CPU),
    ("Memcpy_token_1", "MemcpyFromHost", CUDA),
    ("out", "MatMul", CUDA),
]


class TestMemcpyNodes:
    @pytest.mark.rule("memcpy-nodes", "fires")
    def test_copies_are_tied_to_the_island_that_they_serve(self):
        found = finding(
            "memcpy-nodes", session(*WITH_COPIES, spent=2 * MS, manifest=manifest(onnxruntime=ON_CUDA))
        )
        assert (found.state, found.saving_ns) == ("failed", 4 * MS)
        assert found.title == "2 copy nodes between host and device"
        assert "MemcpyToHost for IsNaN" in texts(found)
        assert "MemcpyFromHost for IsNaN" in texts(found)

    def test_copies_are_no_fallback_and_do_not_split_an_island(self):
        nodes = [
            *WITH_COPIES[:3],
            ("Memcpy_2", "MemcpyToHost", CUDA),
            ("where", "Where", CPU),
            *WITH_COPIES[3:],
        ]
        given = session(*nodes, manifest=manifest(onnxruntime=ON_CUDA))
        (island,) = islands(given, nodes_outside(given, CUDA))
        assert island.ops == "IsNaN + Where"

    def test_copies_of_the_models_own_inputs_are_named_so(self):
        given = session(
            ("Memcpy", "MemcpyFromHost", CUDA), ("a", "MatMul", CUDA), manifest=manifest(onnxruntime=ON_CUDA)
        )
        assert "for the inputs of the model" in texts(finding("memcpy-nodes", given))

    @pytest.mark.rule("memcpy-nodes", "passes")
    def test_a_graph_without_copies_passes(self):
        found = finding("memcpy-nodes", session(*GUARDED))
        assert found.state == "passed"
        assert found.summary == "None of 4 nodes copies between devices."


class TestEngineRebuild:
    PART = ("TensorrtExecutionProvider_TRTKernel_graph_1_0", "TRTKernel_graph_1_0", TENSORRT)

    def steps(self, *times):
        given = session(self.PART)
        spent = np.array([times], dtype=np.int64)
        ort = msgspec.structs.replace(
            partition("onnxruntime", ran(self.PART), [0], steps=len(times)), work_ns=spent
        )
        return dataclasses.replace(given, partitions={**given.partitions, "onnxruntime": ort})

    @pytest.mark.rule("engine-rebuild", "fires")
    def test_a_step_of_seconds_is_a_rebuild(self):
        found = finding("engine-rebuild", self.steps(5 * MS, 30_000 * MS, 5 * MS, 5 * MS))
        assert found.title.endswith("again in 1 step")
        assert "30 s in profiled step 1, usually 5 ms" in texts(found)
        assert "trt_profile_min_shapes" in found.fix

    @pytest.mark.rule("engine-rebuild", "passes")
    @pytest.mark.parametrize("times", [(5 * MS, 6 * MS, 5 * MS), (2_000 * MS, 2_100 * MS, 2_000 * MS)])
    def test_steady_partitions_pass_however_slow(self, times):
        assert finding("engine-rebuild", self.steps(*times)).state == "passed"

    def test_a_slow_step_of_a_single_node_is_no_rebuild(self):
        given = session(("a", "MatMul", CPU))
        assert "No node is a compiled part" in finding("engine-rebuild", given).summary


class TestLaunchBound:
    @pytest.mark.rule("launch-bound", "fires")
    def test_an_idle_device_is_named_with_both_figures(self):
        found = finding("launch-bound", session(*GUARDED, device=use(20 * MS, 400 * MS), plain_ns={}))
        assert found.state == "failed"
        assert "95 % of a step of PyTorch" in found.title
        assert "20 ms of 400 ms" in texts(found)
        assert "mode='reduce-overhead'" in found.fix
        assert "--cuda-graph" not in found.fix  # a node runs on the CPU

    def test_plain_steps_are_the_measure_where_there_are_any(self):
        found = finding("launch-bound", session(*GUARDED, device=use(20 * MS, 400 * MS)))
        assert "400 ms" not in texts(found)

    @pytest.mark.rule("launch-bound", "passes")
    def test_a_busy_device_passes(self):
        found = finding("launch-bound", session(*GUARDED, device=use(180 * MS, 200 * MS)))
        assert found.state == "passed"
        assert "in 60 kernels" in found.summary

    def test_few_kernels_are_not_launch_bound(self):
        assert (
            finding("launch-bound", session(*GUARDED, device=use(MS, 200 * MS, kernels=2))).state == "passed"
        )

    def test_without_a_trace_of_the_device_it_does_not_apply(self):
        assert finding("launch-bound", session(*GUARDED)).state == "not_applicable"


FED = {"settings": {"io_binding": "false"}}


class TestUnboundInputs:
    OUTPUT = OutputDifference(
        name="y", shape=(8, 128, 768), max_abs=0.0, max_rel=0.0, cosine=1.0, tolerance=1e-3, equal=True
    )

    def called(self, api_ns, onnxruntime=None, **more):
        api = row("framework", 0, api_ns, region="(framework)/ort api", nodes=())
        graphs = {EXPORTED: graph(), OPTIMIZED: graph(values={"y": tensor(8, 128, 768)})}
        values = {
            "outputs": (self.OUTPUT,),
            "graphs": graphs,
            "manifest": manifest(onnxruntime=onnxruntime or {**ON_CUDA, **FED}),
        }
        return evidence(api, **{**values, **more})

    @pytest.mark.rule("unbound-inputs", "fires")
    def test_large_outputs_of_a_device(self):
        found = finding("unbound-inputs", self.called(2 * MS))
        assert found.title.startswith("3.1 MB travel between host and device in every call")
        assert found.saving_ns == 2 * MS
        assert "--io-binding" in found.fix

    def test_no_more_is_claimed_than_copying_the_bytes_can_take(self):
        found = finding("unbound-inputs", self.called(50 * MS))
        assert found.saving_ns <= 8 * 128 * 768 * 4  # a byte a nanosecond

    @pytest.mark.rule("unbound-inputs", "passes")
    def test_bound_inputs_pass(self):
        found = finding(
            "unbound-inputs", self.called(2 * MS, {**ON_CUDA, "settings": {"io_binding": "true"}})
        )
        assert (found.state, found.summary) == (
            "passed",
            "Inputs and outputs were bound: no call copies them.",
        )

    @pytest.mark.rule("unbound-inputs", "passes")
    def test_a_cheap_session_passes_with_its_figure(self):
        found = finding("unbound-inputs", self.called(100_000))
        assert found.state == "passed"
        assert "100 µs" in found.summary

    def test_outputs_that_only_the_graph_has_are_left_to_their_own_rule(self):
        values = {"y": tensor(8, 128, 768), "extra": tensor(24, 128, 768)}
        more = dataclasses.replace(self.called(8 * MS)).graphs[OPTIMIZED]
        wide = {EXPORTED: graph(), OPTIMIZED: type(more)(
            nodes=(), inputs=("x",), outputs=("y", "extra"), constants=frozenset(), values=values, opset=18
        )}  # fmt: skip
        found = finding("unbound-inputs", self.called(8 * MS, graphs=wide))
        assert found.saving_ns == 2 * MS

    @pytest.mark.rule("unbound-inputs", "passes")
    def test_on_the_cpu_nothing_is_copied(self):
        found = finding("unbound-inputs", self.called(20 * MS, FED))
        assert found.state == "passed"
        assert "On the CPU nothing is copied" in found.summary

    def test_unknown_feeding_does_not_apply(self):
        assert finding("unbound-inputs", self.called(2 * MS, {"settings": {}})).state == "not_applicable"
