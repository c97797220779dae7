"""Rules about the session and the measurement: threads, settings, first runs, padding, and the profilers themselves."""

import dataclasses

import msgspec
import pytest

from attrib.findings.evidence.page_faults import KEEP_MEMORY
from attrib.findings.runner import run
from attrib.model.capture_request import CaptureRequest
from attrib.model.document import MachineState, PageFaults
from attrib.model.estimate import Delta
from attrib.model.manifest import EXPORTED, OPTIMIZED, Rewrite
from attrib.model.work import Work
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
    steady,
    tensor,
)


def finding(name, given):
    return next(f for f in run(given) if f.id == name)


def texts(found):
    return " | ".join(line.text for line in found.evidence)


def products(engine, spent, count=4):
    """Matrix products of one engine, `spent` each, with their rows and works."""
    op = "aten::linear" if engine == "torch" else "Gemm"
    works = [
        Work(
            id=f"{op} {i}",
            engine=engine,
            op=op,
            inputs=(tensor(128, 768), tensor(768, 768)),
            outputs=(tensor(128, 768),),
        )
        for i in range(count)
    ]
    side = "calls" if engine == "torch" else "nodes"
    times = (spent, 0) if engine == "torch" else (0, spent)
    rows = [row("kernel", *times, **{side: [(w.id, w.op)]}, name=w.id, module=w.id) for w in works]
    return rows, works


def threaded(engine, *, spent=20 * MS, torch=2, onnxruntime=2, cores=2.0):
    rows, works = products(engine, spent)
    by_role = {"torch": {}, "onnxruntime": {}, engine: {w.id: w for w in works}}
    base = evidence(
        *rows,
        works=by_role,
        manifest=manifest({"threads": torch}, {"threads": onnxruntime}, {"usable_cores": cores}),
    )
    return dataclasses.replace(base, ledger=FakeLedger(base.ledger.rows, {w.id: spent for w in works}))


class TestThreadMismatch:
    @pytest.mark.rule("thread-mismatch", "fires")
    def test_the_missing_thread_of_onnx_runtime_costs_time(self):
        found = finding("thread-mismatch", threaded("onnxruntime", onnxruntime=1))
        # 80 ms on one thread would take 80 / 1.9 ms on two
        assert found.saving_ns == pytest.approx(37.9 * MS, rel=0.02)
        assert found.low_ns == pytest.approx(80 * MS / 3, rel=0.05)
        assert found.high_ns == pytest.approx(40 * MS, rel=0.05)
        assert "The threads that ONNX Runtime lacks" in found.summary

    @pytest.mark.rule("thread-mismatch", "fires")
    def test_a_slowed_pytorch_makes_onnx_runtime_look_faster(self):
        found = finding("thread-mismatch", threaded("torch", torch=1))
        assert found.saving_ns == 0
        assert found.explains_ns == pytest.approx(-37.9 * MS, rel=0.02)
        assert found.low_ns < found.high_ns < 0

    def test_threads_beyond_the_cores_would_not_have_helped(self):
        found = finding("thread-mismatch", threaded("onnxruntime", torch=8, onnxruntime=2, cores=2.0))
        assert (found.state, found.saving_ns) == ("failed", 0)
        assert "8 threads share 2 usable cores" in found.title

    def test_small_operators_run_on_one_thread_anyway(self):
        small = Work(
            id="a", engine="onnxruntime", op="Add", inputs=(tensor(1, 128),), outputs=(tensor(1, 128),)
        )
        rows = [row("kernel", 0, 20 * MS, nodes=[("a", "Add")])]
        base = evidence(
            *rows,
            works={"torch": {}, "onnxruntime": {"a": small}},
            manifest=manifest(onnxruntime={"threads": 1}),
        )
        found = finding(
            "thread-mismatch", dataclasses.replace(base, ledger=FakeLedger(base.ledger.rows, {"a": 20 * MS}))
        )
        assert (found.state, found.saving_ns) == ("failed", 0)

    def test_without_threads_it_does_not_apply(self):
        assert finding("thread-mismatch", threaded("torch", torch=0)).state == "not_applicable"


class TestBlockedOptimization:
    BIAS = graph(
        node("MatMul", ["x", "w"], ["p"], name="product"),
        node("Add", ["p", "b"], ["s"], name="bias"),
        node("Identity", ["s"], ["i"], name="identity"),
        node("Mul", ["c", "two"], ["folded"], name="folded"),
        node("Mul", ["i", "two"], ["scaled"], name="scale"),
        node("Transpose", ["k"], ["kt"], name="swap", perm="0,1,3,2"),
        node("MatMul", ["scaled", "kt"], ["y"], name="scores"),
    )

    def given(self, *, level="all", spent=2 * MS, overridable=frozenset(), **onnxruntime):
        names = [n.name for n in self.BIAS.nodes]
        rows = [row("extra_work", 0, spent, nodes=[(name, "Op")], name=name, module=name) for name in names]
        ran = msgspec.structs.replace(
            self.BIAS,
            constants=frozenset({"w", "b", "c", "two"}),
            values={"two": tensor()},
            overridable=overridable,
        )
        base = evidence(
            *rows,
            graphs={EXPORTED: ran, OPTIMIZED: ran},
            manifest=manifest(onnxruntime={"opt_level": level, **onnxruntime}) if level is not None else None,
        )
        return dataclasses.replace(base, ledger=FakeLedger(base.ledger.rows, dict.fromkeys(names, spent)))

    @pytest.mark.rule("blocked-optimization", "fires")
    def test_disabled_counts_what_every_level_would_have_taken_in(self):
        found = finding("blocked-optimization", self.given(level="disabled"))
        assert found.state == "failed"
        assert found.saving_ns == 10 * MS  # bias, identity, folded, scale and swap of 2 ms each
        assert "--opt-level all" in found.fix
        assert "added in the product" in texts(found)

    @pytest.mark.rule("blocked-optimization", "fires")
    def test_basic_lacks_only_the_fusions(self):
        assert (
            finding("blocked-optimization", self.given(level="basic")).saving_ns == 4 * MS
        )  # scale and swap

    def test_extended_lacks_nothing_that_a_transformer_needs(self):
        assert finding("blocked-optimization", self.given(level="extended")).state == "passed"

    def test_an_optimizer_that_was_left_out_counts_by_what_it_does(self):
        found = finding("blocked-optimization", self.given(disabled_optimizers=("MatMulAddFusion",)))
        assert found.saving_ns == 2 * MS
        assert "--disable-optimizer" in found.fix

    @pytest.mark.rule("blocked-optimization", "passes")
    def test_leaving_out_what_would_do_nothing_is_a_choice(self):
        assert (
            finding("blocked-optimization", self.given(disabled_optimizers=("GeluFusion",))).state == "passed"
        )

    @pytest.mark.rule("blocked-optimization", "fires")
    def test_initializers_among_the_inputs_are_no_constants(self):
        found = finding("blocked-optimization", self.given(overridable=frozenset({"w", "b"})))
        assert "2 initializers are graph inputs" in found.title
        assert "--optimize drop-initializer-inputs" in found.fix

    def test_a_graph_that_ran_untouched_and_could_have_been_changed(self):
        found = finding("blocked-optimization", self.given(level=None))
        assert "node by node" in found.title

    @pytest.mark.rule("blocked-optimization", "passes")
    def test_all_passes_with_the_numbers_of_nodes(self):
        found = finding("blocked-optimization", self.given())
        assert (found.state, found.summary) == ("passed", "The level is all: 7 nodes were loaded, 7 ran.")

    def test_where_layer_norms_would_be_fused_too_no_saving_is_promised(self):
        given = self.given(level="disabled")
        residual = graph(
            *self.BIAS.nodes,
            node("Add", ["s", "i"], ["r"], name="residual"),
            node("LayerNormalization", ["r", "g"], ["n"], name="norm"),
        )
        ran = msgspec.structs.replace(given.graphs[OPTIMIZED], nodes=residual.nodes)
        found = finding(
            "blocked-optimization", dataclasses.replace(given, graphs={EXPORTED: ran, OPTIMIZED: ran})
        )
        assert (found.state, found.saving_ns) == ("failed", 0)
        assert "1 residual sum would become part of their layer norm" in found.summary

    def test_a_bias_of_three_dimensions_comes_back_as_two_reshapes(self):
        given = self.given(spent=8 * MS, disabled_optimizers=("MatMulAddFusion",))
        works = {
            "bias": Work(id="bias", engine="onnxruntime", op="Add", outputs=(tensor(1, 128, 768),)),
            "reshape": Work(id="reshape", engine="onnxruntime", op="Reshape"),
        }
        rows = (*given.ledger.rows, row("layout", 0, MS, nodes=[("reshape", "Reshape")], name="reshape"))
        ledger = FakeLedger(rows, {"bias": 8 * MS, "reshape": MS})
        ort = partition("onnxruntime", works.values(), [8 * MS, MS])
        wide = dataclasses.replace(given, ledger=ledger, partitions={**given.partitions, "onnxruntime": ort})
        found = finding("blocked-optimization", wide)
        assert found.saving_ns == pytest.approx(6 * MS, rel=0.05)

    def test_an_unknown_level_is_no_error(self):
        assert finding("blocked-optimization", self.given(level="99")).state == "passed"


class TestUnfairTiming:
    def plain(self, *blocks):
        return {"torch": steady()["torch"], "onnxruntime": tuple(blocks)}

    @pytest.mark.rule("unfair-timing", "fires")
    def test_a_first_block_that_still_compiles(self):
        blocks = [(500 * MS,) * 5, *[(200 * MS,) * 5] * 11]
        found = finding("unfair-timing", evidence(plain_ns=self.plain(*blocks)))
        assert "the first block of ONNX Runtime takes 2.50× as long as the others" in found.title
        assert "--warmup" in found.fix

    @pytest.mark.rule("unfair-timing", "fires")
    def test_a_cold_first_step_in_every_block(self):
        found = finding("unfair-timing", evidence(plain_ns=self.plain(*[(300 * MS, *[200 * MS] * 4)] * 12)))
        assert "the first step of a block of ONNX Runtime takes 1.50×" in found.title

    def test_a_cold_first_step_among_hundreds_moves_nothing(self):
        found = finding("unfair-timing", evidence(plain_ns=self.plain(*[(5 * MS, *[MS] * 448)] * 12)))
        assert found.state == "passed"

    @pytest.mark.rule("unfair-timing", "fires")
    def test_inputs_that_nobody_compared(self):
        found = finding("unfair-timing", evidence(manifest=manifest(workload={"inputs_sha256": ""})))
        assert "same inputs" in found.title

    @pytest.mark.rule("unfair-timing", "passes")
    def test_steady_blocks_pass_and_say_how_they_were_timed(self):
        found = finding("unfair-timing", evidence())
        assert found.state == "passed"
        assert "12 rounds of one block of 5 steps" in found.summary

    def test_steps_without_a_protocol_cannot_be_judged(self):
        bare = msgspec.structs.replace(manifest(), protocol=None)
        found = finding("unfair-timing", evidence(manifest=bare))
        assert found.state == "not_applicable"
        assert "attrib profile" in found.reason


class TestCompetingPools:
    @pytest.mark.rule("competing-pools", "fires")
    def test_a_spinning_pool_is_named_and_nothing_is_claimed(self):
        found = finding("competing-pools", evidence(manifest=manifest(onnxruntime={"idle_cpu_share": 0.98})))
        assert (found.state, found.saving_ns, found.explains_ns) == ("failed", 0, 0)
        assert "ONNX Runtime used 98 % of a core" in found.title
        assert "session.intra_op.allow_spinning=0" in found.fix

    @pytest.mark.rule("competing-pools", "passes")
    def test_idle_workers_pass(self):
        off = {"session_options": {"session.intra_op.allow_spinning": "0"}}
        found = finding("competing-pools", evidence(manifest=manifest(onnxruntime=off)))
        assert found.state == "passed"
        assert "do not spin" in found.summary


class TestFirstShapeCost:
    @pytest.mark.rule("first-shape-cost", "fires")
    def test_a_search_in_the_first_step(self):
        found = finding("first-shape-cost", evidence(warmup_ns={"onnxruntime": (9_000 * MS, 210 * MS)}))
        assert found.title.startswith("The first run takes 9 s instead of 200")
        assert found.saving_ns == 0

    @pytest.mark.rule("first-shape-cost", "fires")
    def test_the_first_run_of_a_profile(self):
        given = evidence(plain_ns={})
        ort = msgspec.structs.replace(
            partition("onnxruntime", (), (), ("x",), (17 * MS,)), earlier_ns=(12_000 * MS,)
        )
        found = finding("first-shape-cost", dataclasses.replace(given, partitions={"onnxruntime": ort}))
        assert "12 s instead of 17 ms" in found.title

    @pytest.mark.rule("first-shape-cost", "passes")
    @pytest.mark.parametrize("first", [260 * MS, 2 * STEP_NS])
    def test_an_ordinary_first_step(self, first):
        found = finding("first-shape-cost", evidence(warmup_ns={"torch": (first, STEP_NS)}))
        assert found.state == "passed"
        assert "PyTorch" in found.summary

    def test_without_earlier_runs_it_does_not_apply(self):
        assert finding("first-shape-cost", evidence()).state == "not_applicable"


class TestDifferentMath:
    @pytest.mark.parametrize(
        ("changes", "says", "cure"),
        [
            ({"torch": {"settings": {"training": "true"}}}, "training mode", "model.eval()"),
            ({"torch": {"settings": {"autocast": "bf16"}}}, "op by op", "--autocast"),
            (
                {
                    "torch": {"settings": {"precision": "fp32"}},
                    "onnxruntime": {
                        "rewrites": (
                            Rewrite(name="int8-dynamic", tool="onnxruntime", graph="onnx/int8.onnx"),
                        )
                    },
                },
                "ONNX Runtime int8",
                "without `--optimize int8-dynamic`",
            ),
            (
                {
                    "torch": {"settings": {"attention": "sdpa"}},
                    "onnxruntime": {"settings": {"attention": "eager"}},
                },
                "exported from eager",
                "--attention sdpa",
            ),
            ({"torch": {"settings": {"matmul_precision": "medium"}}}, "medium", "highest"),
        ],
    )
    @pytest.mark.rule("different-math", "fires")
    def test_settings_that_differ(self, changes, says, cure):
        found = finding("different-math", evidence(manifest=manifest(**changes)))
        assert found.state == "failed"
        assert says in found.title
        assert cure in found.fix
        assert found.summary

    @pytest.mark.rule("different-math", "passes")
    def test_equal_settings_pass_with_what_was_compared(self):
        found = finding("different-math", evidence())
        assert found.state == "passed"
        assert "both engines multiply in full float32" in found.summary


class TestDenormalValues:
    def weights(self, count, **onnxruntime):
        torch = {"settings": {"denormal_weights": count}} if count is not None else {"settings": {}}
        return evidence(manifest=manifest(torch=torch, onnxruntime=onnxruntime))

    @pytest.mark.rule("denormal-values", "fires")
    def test_a_share_of_denormal_weights(self):
        found = finding("denormal-values", self.weights("32000"))
        assert found.title == "3.20 % of the weights are denormal"
        assert "session.set_denormal_as_zero=1" in found.fix

    @pytest.mark.rule("denormal-values", "passes")
    def test_a_handful_passes(self):
        assert finding("denormal-values", self.weights("10")).state == "passed"

    def test_a_gpu_does_not_mind(self):
        cuda = {"providers": ("CUDAExecutionProvider", "CPUExecutionProvider")}
        assert finding("denormal-values", self.weights("32000", **cuda)).state == "passed"

    @pytest.mark.parametrize("count", [None, "many"])
    def test_uncounted_weights_do_not_apply(self, count):
        assert finding("denormal-values", self.weights(count)).state == "not_applicable"


class TestProfilerOverhead:
    @pytest.mark.rule("profiler-overhead", "fires")
    def test_a_large_rest_says_how_rough_the_shares_are(self):
        found = finding("profiler-overhead", evidence(row("profiler_overhead", -40 * MS, 0)))
        assert found.title == "Not explained: 40 ms of a step of PyTorch (20 %)"
        assert (found.saving_ns, found.explains_ns) == (0, 0)

    @pytest.mark.rule("profiler-overhead", "passes")
    def test_a_small_rest_passes_with_both_figures(self):
        found = finding("profiler-overhead", evidence(row("profiler_overhead", -5 * MS, MS)))
        assert found.state == "passed"
        assert found.summary.startswith("Plain minus profiled steps")  # the row makes the sum the plain step
        assert "−5 ms" in found.summary


class TestPaddedTokens:
    LENGTH, HIDDEN = 128, 768

    def given(self, padding, *, batch=1, settings=None, spent=10 * MS):
        length = self.LENGTH
        linear = Work(
            id="gemm", engine="onnxruntime", op="Gemm", outputs=(tensor(batch * length, self.HIDDEN),)
        )
        scores = Work(
            id="softmax", engine="onnxruntime", op="Softmax", outputs=(tensor(batch, 12, length, length),)
        )
        pooler = Work(id="pooler", engine="onnxruntime", op="Tanh", outputs=(tensor(batch, self.HIDDEN),))
        works = {work.id: work for work in (linear, scores, pooler)}
        rows = [
            row("kernel", spent, spent, nodes=[(w.id, w.op)], name=w.id, module=w.id) for w in works.values()
        ]
        base = evidence(
            *rows,
            works={"torch": {}, "onnxruntime": works},
            manifest=manifest(
                torch={"settings": settings or {}},
                workload={"padding": padding, "batch_size": batch, "seq_len": length},
            ),
        )
        return dataclasses.replace(base, ledger=FakeLedger(base.ledger.rows, dict.fromkeys(works, spent)))

    @pytest.mark.rule("padded-tokens", "fires")
    def test_tokens_count_once_and_attention_with_their_square(self):
        found = finding("padded-tokens", self.given(0.5))
        assert found.title.startswith("50 % of the tokens are padding")
        assert (found.saving_ns, found.explains_ns) == (pytest.approx(5 * MS + 7.5 * MS, rel=0.01), 0)
        assert "--seq-len 64" in found.fix

    @pytest.mark.rule("padded-tokens", "fires")
    def test_rows_of_unequal_length_want_buckets(self):
        settings = {"masked_tokens": "0.5", "masked_in_all": "0.25"}
        found = finding("padded-tokens", self.given(0.0, batch=8, settings=settings))
        assert "25 % of the length is padding in every row" in texts(found)
        assert "--seq-len 96" in found.fix
        assert "bucketing" in found.fix

    @pytest.mark.rule("padded-tokens", "passes")
    def test_full_rows_pass(self):
        found = finding("padded-tokens", self.given(0.0))
        assert (found.state, found.summary) == ("passed", "The mask hides no token.")

    def test_a_token_or_two_is_no_finding(self):
        assert finding("padded-tokens", self.given(0.01)).state == "passed"

    def test_a_setting_that_is_no_number_is_not_believed(self):
        assert finding("padded-tokens", self.given(0.5, settings={"masked_tokens": "lots"})).state == "failed"

    def test_images_have_no_tokens(self):
        found = finding("padded-tokens", evidence(manifest=manifest(workload={"seq_len": 0})))
        assert found.state == "not_applicable"


class TestPageFaults:
    def faults(
        self, share, *, onnxruntime=0.0, sure=True, env=None, libc="glibc 2.36", options=None, rows=()
    ):
        """Steps of 200 ms of which page faults take these shares; half of it in one launch, the double in another."""

        def counted(part):
            cost = round(part * STEP_NS)
            return PageFaults(
                plain=cost / 1500, profiled=0, launches=(cost / 3000, cost / 1000), price_ns=1500,
                cost_ns=Delta(median=cost, low=cost * 9 // 10 if sure else 0, high=cost * 11 // 10),
            )  # fmt: skip

        ran = {"session_options": options or {}}
        found = manifest(onnxruntime=ran, environment={"libc": libc})
        return evidence(
            *rows,
            manifest=msgspec.structs.replace(found, asked=CaptureRequest(env=env or {})),
            machine=MachineState(faults={"torch": counted(share), "onnxruntime": counted(onnxruntime)}),
        )

    @pytest.mark.rule("page-faults", "fires")
    def test_a_step_that_gets_its_memory_anew_is_priced_and_the_allocator_told(self):
        found = finding("page-faults", self.faults(0.5))
        assert found.title == "Page faults take 100 ms of a step of PyTorch (50 %), 66,667 of them"
        assert (
            "`attrib profile --env MALLOC_MMAP_MAX_=0 --env MALLOC_TRIM_THRESHOLD_=17179869184`" in found.fix
        )
        assert "33,333, 100,000" in found.evidence[0].text
        assert (found.saving_ns, found.explains_ns) == (0, 0)

    @pytest.mark.rule("page-faults", "passes")
    def test_below_a_twentieth_of_the_step_it_passes_with_the_figures(self):
        found = finding("page-faults", self.faults(0.049))
        assert (found.state, found.fix) == ("passed", "")
        assert "4.90 % of its time" in found.summary

    @pytest.mark.rule("page-faults", "passes")
    def test_what_another_capture_may_not_have_is_no_finding_but_a_sign_of_an_unsteady_measurement(self):
        by_luck = self.faults(0.5, sure=False)
        found = finding("page-faults", by_luck)
        assert (found.state, found.fix) == ("passed", "")
        assert "steps of PyTorch took 33,333, 100,000, so that another capture may have none" in found.summary
        unsteady = finding("unstable-measurement", by_luck)
        assert unsteady.state == "failed"
        assert (
            "page faults take 50 % of a step of PyTorch, and differ by launch (33,333, 100,000)"
            in unsteady.summary
        )
        assert "more launches" in unsteady.fix
        assert "page faults" not in finding("unstable-measurement", self.faults(0.5)).summary

    def test_what_onnx_runtime_wastes_is_a_saving_and_its_arena_is_the_fix(self):
        rows = (row("kernel", 100 * MS, 150 * MS), row("framework", 100 * MS, 50 * MS))
        off = self.faults(0.0, onnxruntime=0.1, options={"enable_cpu_mem_arena": "0"}, rows=rows)
        found = finding("page-faults", off)
        assert found.saving_ns == 20 * MS
        assert "--session-option enable_cpu_mem_arena=1" in found.fix
        assert "MALLOC" not in found.fix

    @pytest.mark.parametrize(
        "changes", [{"libc": ""}, {"libc": "glibc 2.36", "env": KEEP_MEMORY}], ids=["musl", "given already"]
    )
    def test_no_setting_is_named_that_would_change_nothing(self, changes):
        found = finding("page-faults", self.faults(0.5, **changes))
        assert found.state == "failed"
        assert "--env" not in found.fix

    def test_without_counts_or_a_price_it_does_not_apply(self):
        unpriced = MachineState(faults={"torch": PageFaults(plain=5000, profiled=0)})
        assert finding("page-faults", evidence(machine=unpriced)).state == "not_applicable"
        assert finding("page-faults", evidence()).state == "not_applicable"
