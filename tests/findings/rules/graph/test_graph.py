"""Rules about single causes in the graph: each in a case in which it fires, and in one in which it passes."""

import dataclasses

import msgspec
import pytest

from attrib.findings.evidence.executed_graph import executed_graph
from attrib.findings.rules.graph.einsum_products import einsum_flops
from attrib.findings.rules.graph.inverse_transposes import inverse_pairs
from attrib.findings.runner import run
from attrib.model.document import LedgerRow
from attrib.model.manifest import OPTIMIZED, OutputDifference
from attrib.model.region import Match, Region
from attrib.model.values import GraphValue
from attrib.model.work import Work
from tests.findings.evidence_factory import (
    MS,
    PEAKS,
    FakeLedger,
    evidence,
    graph,
    manifest,
    node,
    row,
    tensor,
)
from tests.findings.graph_evidence import Ran, given

HIDDEN = tensor(1, 32, 768)
WIDE = tensor(1, 32, 3072)
DOUBLE = tensor(1, 32, 3072, dtype="double")
LINEAR = (tensor(1, 32, 768), tensor(768, 3072))


def finding(name, given_evidence):
    return next(f for f in run(given_evidence) if f.id == name)


def texts(found):
    return " | ".join(line.text for line in found.evidence)


def gemm(i, ns, **more):
    """A linear layer as it should be."""
    return Ran(
        node("Gemm", [f"x{i}", f"w{i}"], [f"gemm{i}"], name=f"gemm {i}"),
        ns,
        result=WIDE,
        reads=LINEAR,
        calls=((f"linear {i}", "aten::linear"),),
        torch_ns=3 * MS,
        **more,
    )


class TestCacheUpkeep:
    def kept(self, ns, torch_ns):
        whole = tensor(1, 12, 201, 64)
        return (
            Ran(
                node("Concat", ["past_key_values.0.key", "new"], ["present.0.key"], name="grow"),
                ns,
                cause="cache",
                result=whole,
                calls=(("cat", "aten::cat"),),
                torch_ns=torch_ns,
            ),
        )

    @pytest.mark.rule("cache-upkeep", "fires")
    def test_what_it_takes_longer_than_in_pytorch_is_told_with_what_is_copied(self):
        found = finding("cache-upkeep", given(*self.kept(3 * MS, MS)))
        assert (found.state, found.saving_ns) == ("failed", 2 * MS)
        assert found.title == "Keeping the cache takes longer than in PyTorch: 1 node"
        assert "1 Concat write 0.6 MB anew in each step" in found.summary
        assert "TensorScatter" in found.fix
        assert "whole" not in found.fix  # nothing is repeated

    @pytest.mark.rule("cache-upkeep", "passes")
    def test_where_pytorch_takes_as_long_there_is_nothing_to_gain(self):
        assert finding("cache-upkeep", given(*self.kept(MS, 3 * MS))).state == "passed"

    def test_a_step_without_a_cache_is_told_how_to_record_one(self):
        found = finding("cache-upkeep", given(gemm(0, 4 * MS)))
        assert found.state == "not_applicable"
        assert "--cache-length" in found.reason


class TestNanGuard:
    def guarded(self, ns):
        return (
            Ran(node("Softmax", ["s"], ["p"]), 2 * MS),
            Ran(node("IsNaN", ["p"], ["n"]), ns, cause="decomposed", region="attention"),
            Ran(node("Where", ["n", "zero", "p"], ["y"]), ns, cause="decomposed", region="attention"),
        )

    @pytest.mark.rule("nan-guard", "fires")
    def test_the_guard_is_weighed_by_its_own_nodes(self):
        found = finding("nan-guard", given(*self.guarded(2 * MS)))
        assert (found.state, found.saving_ns) == ("failed", 4 * MS)
        assert found.title == "2 nodes guard Softmax against NaN"
        assert "drop-nan-guard" in found.fix
        assert "attention" in found.evidence[0].rows[0]

    @pytest.mark.rule("nan-guard", "passes")
    def test_no_guard_and_a_cheap_guard_pass(self):
        assert finding("nan-guard", given(Ran(node("Softmax", ["s"], ["y"]), MS))).state == "passed"
        assert finding("nan-guard", given(*self.guarded(10))).state == "passed"

    def test_what_the_guard_takes_is_not_told_again_by_the_attention(self):
        sdpa = ("s", "aten::scaled_dot_product_attention")
        attention = Ran(
            node("MatMul", ["p", "v"], ["a"]),
            9 * MS,
            calls=(sdpa,),
            torch_ns=2 * MS,
            cause="decomposed",
            region="attention",
        )
        found = finding("decomposed-attention", given(attention, *self.guarded(2 * MS)))
        assert found.saving_ns == 7 * MS
        assert "Counted apart, under nan-guard" in found.summary


class TestMovesAroundAttention:
    """One node for an attention reads and writes the heads as they are: moves that only its parts need go with them."""

    SDPA = (("s", "aten::scaled_dot_product_attention"),)

    def attention(self, torch_ns, *more):
        parts = [
            ("MatMul", ["qh", "kh"], "p", {"calls": self.SDPA, "torch_ns": torch_ns}),
            ("Add", ["p", "mask"], "m", {}),
            ("Softmax", ["m"], "o", {}),
            ("MatMul", ["o", "vh"], "a", {}),
        ]
        moves = [
            ("Transpose", ["q"], "qh"), ("Transpose", ["k"], "kh"), ("Transpose", ["v"], "vh"),
            ("Reshape", ["flat"], "mask"), ("Transpose", ["a"], "b"), ("Reshape", ["b"], "y"),
        ]  # fmt: skip
        ran = [
            Ran(node(op, inputs, [out], name=f"{op} {out}"), MS, cause="decomposed", region="r", **how)
            for op, inputs, out, how in parts
        ]
        ran += [
            Ran(node(op, inputs, [out], name=f"{op} {out}"), MS, cause="layout") for op, inputs, out in moves
        ]
        found = {f.id: f for f in run(given(*ran, *more))}
        return found["decomposed-attention"], found["layout-churn"]

    @pytest.mark.rule("decomposed-attention", "fires")
    @pytest.mark.parametrize(
        ("torch_ns", "saving"), [(3 * MS, 6 * MS), (6 * MS, 5 * MS)], ids=["slower", "faster"]
    )
    def test_they_are_counted_with_parts_that_are_slower_and_without_those_that_are_not(
        self, torch_ns, saving
    ):
        apart, churn = self.attention(torch_ns)
        assert apart.saving_ns == pytest.approx(saving, rel=0.03)
        assert f"With the moves around it, 9 ms in ONNX Runtime against {torch_ns // MS} ms" in apart.summary
        assert "1 Reshape: moving data takes 1 ms" in churn.summary  # what brings the mask into shape

    @pytest.mark.rule("decomposed-attention", "passes")
    def test_where_all_of_it_is_faster_than_pytorch_moves_are_only_moves(self):
        apart, churn = self.attention(12 * MS)
        assert apart.state == "passed"
        assert churn.saving_ns == pytest.approx(6 * MS, rel=0.03)

    def test_what_another_node_reads_as_well_stays(self):
        other = Ran(node("Relu", ["qh"], ["z"], name="other"), MS)
        assert self.attention(3 * MS, other)[0].saving_ns == pytest.approx(5 * MS, rel=0.03)

    def test_moves_that_feed_themselves_are_followed_once(self):
        circle = (
            Ran(node("Transpose", ["r"], ["q", "r"], name="above"), MS, cause="layout"),
            Ran(node("Transpose", ["y"], ["z"], name="below"), MS, cause="layout"),
            Ran(node("Reshape", ["z"], ["y"], name="back"), MS, cause="layout"),
        )
        assert self.attention(3 * MS, *circle)[0].state == "failed"

    def test_a_chain_of_moves_is_followed_to_its_end(self):
        split = Ran(node("Reshape", ["packed"], ["q"], name="split"), MS, cause="layout")
        assert self.attention(3 * MS, split)[0].saving_ns == pytest.approx(7 * MS, rel=0.03)


class TestEinsumProducts:
    def einsum(self, ns, equation="bsi,io->bso"):
        return Ran(
            node("Einsum", ["x", "w"], ["e"], equation=equation, name="einsum"), ns, result=WIDE, reads=LINEAR
        )

    def bias(self, ns):
        return Ran(node("Add", ["e", "b"], ["y"], name="bias"), ns, result=WIDE)

    @pytest.mark.rule("einsum-products", "fires")
    def test_the_claim_is_what_it_takes_beyond_a_gemm_of_the_same_size(self):
        ran = (self.einsum(10 * MS), self.bias(MS), gemm(1, 2 * MS), gemm(2, 4 * MS))
        found = finding("einsum-products", given(*ran, constants=("w", "b", "w1", "w2")))
        assert found.state == "failed"
        assert found.saving_ns == pytest.approx(8 * MS, rel=0.01)  # 11 ms less the mean of 2 and 4 ms
        assert "bsi,io->bso" in texts(found)
        assert "einsum-to-matmul" in found.fix

    def test_other_sizes_count_by_their_rate(self):
        small = msgspec.structs.replace(WIDE, shape=(1, 32, 1536))
        half = Ran(
            node("Gemm", ["x", "w3"], ["g"], name="half"), MS, result=small, reads=(LINEAR[0], tensor(768, 1536))
        )  # fmt: skip
        found = finding("einsum-products", given(self.einsum(10 * MS), half, constants=("w", "w3")))
        assert found.saving_ns == pytest.approx(8 * MS, rel=0.02)  # 10 ms less twice 1 ms

    @pytest.mark.rule("einsum-products", "passes")
    def test_without_einsum_or_without_a_measure_nothing_is_claimed(self):
        assert finding("einsum-products", given(gemm(1, MS))).state == "passed"
        lonely = finding("einsum-products", given(self.einsum(10 * MS)))
        assert (lonely.state, lonely.saving_ns) == ("passed", 0)
        assert "no other product" in lonely.summary

    def test_without_another_product_the_measure_is_what_pytorch_takes_for_it(self):
        alone = Ran(
            node("Einsum", ["x", "w"], ["e"], equation="bsi,io->bso", name="einsum"), 10 * MS, result=WIDE, reads=LINEAR,
            calls=(("l", "aten::einsum"),), torch_ns=3 * MS,
        )  # fmt: skip
        found = finding("einsum-products", given(alone, constants=("w",)))
        assert (found.state, found.saving_ns) == ("failed", 7 * MS)
        assert "more than PyTorch takes for them" in found.summary

    def test_its_region_is_not_blamed_on_the_kernel_again(self):
        ran = (
            Ran(
                node("Einsum", ["x", "w"], ["e"], equation="bsi,io->bso", name="einsum"),
                30 * MS,
                result=WIDE,
                reads=LINEAR,
                calls=(("l", "aten::linear"),),
                torch_ns=MS,
            ),
            gemm(1, 3 * MS),
        )
        found = given(*ran, constants=("w", "w1"))
        assert finding("einsum-products", found).state == "failed"
        assert finding("slower-kernel", found).state == "passed"

    @pytest.mark.parametrize(
        ("equation", "shapes", "flops"),
        [
            ("bsi,io->bso", [(1, 32, 768), (768, 3072)], 2 * 32 * 768 * 3072),
            ("bhid,bhjd->bhij", [(1, 12, 32, 64), (1, 12, 32, 64)], 2 * 12 * 32 * 32 * 64),
            ("bi,bi->bi", [(2, 3), (2, 3)], 0),
            ("ij->ji", [(2, 3)], 0),
            ("...i,io->...o", [(2, 3), (3, 4)], 0),
            ("bi,io->bo", [(2, 3), (3,)], 0),
            ("bi,io", [(2, 3), (3, 4)], 0),
        ],
    )
    def test_operations_of_a_product(self, equation, shapes, flops):
        assert einsum_flops(equation, shapes) == flops


class TestUnfoldedBatchNorms:
    ROWS = tensor(8000, 64)
    WEIGHTS = (tensor(8000, 64), tensor(64, 64))
    CONSTANTS = ("w", "scale", "bias", "mean", "var")

    def norm(self, source, result, ns=3 * MS, **more):
        return Ran(
            node(
                "BatchNormalization", [source, "scale", "bias", "mean", "var"], [result], name="norm", **more
            ),
            ns,
            result=self.ROWS,
            calls=(("bn", "aten::batch_norm"),),
            torch_ns=MS,
        )

    def product(self, op="FusedGemm", inputs=("n", "w"), result="y", **more):
        return Ran(node(op, inputs, [result], name=op, **more), 2 * MS, result=self.ROWS, reads=self.WEIGHTS)

    @pytest.mark.rule("unfolded-batch-norms", "fires")
    @pytest.mark.parametrize("order", ["in front", "behind"])
    def test_the_node_counts_whole_and_is_no_difference(self, order):
        ran = {
            "in front": (self.norm("x", "n"), self.product()),
            "behind": (self.product("Gemm", ("x", "w"), "p"), self.norm("p", "y")),
        }[order]
        found = finding("unfolded-batch-norms", given(*ran, constants=self.CONSTANTS))
        assert (found.state, found.saving_ns, found.explains_ns) == ("failed", 3 * MS, 0)
        assert found.title == "1 batch norm runs that weights could hold"
        assert "--optimize fold-batch-norms" in found.fix

    def test_it_is_a_difference_where_pytorch_computes_none(self):
        alone = dataclasses.replace(self.norm("x", "n"), calls=(), torch_ns=0)
        found = finding("unfolded-batch-norms", given(alone, self.product(), constants=self.CONSTANTS))
        assert found.explains_ns == 3 * MS

    def test_it_is_not_told_again_as_a_slower_kernel(self):
        ran = given(self.norm("x", "n", 9 * MS), self.product(), constants=self.CONSTANTS)
        assert finding("slower-kernel", ran).state == "passed"

    @pytest.mark.rule("unfolded-batch-norms", "passes")
    @pytest.mark.parametrize(
        "case", ["training", "own weights", "transposed", "activation", "shared", "cube", "input"]
    )
    def test_what_cannot_be_folded_passes(self, case):
        norm, product, constants, changes = self.norm("x", "n"), self.product(), self.CONSTANTS, {}
        if case == "training":
            norm = self.norm("x", "n", training_mode="1")
        elif case == "own weights":
            constants = ("scale", "bias", "mean", "var")
        elif case == "transposed":
            product = self.product("Gemm", transA="1")
        elif case == "activation":
            norm, product = self.norm("p", "y"), self.product(inputs=("x", "w"), result="p")
        elif case == "shared":
            changes = {"outputs": ("n", "y")}
        elif case == "cube":
            norm = dataclasses.replace(norm, result=tensor(8, 64, 100))
        found = given(norm, product, constants=constants, **changes)
        if case == "input":
            free = msgspec.structs.replace(found.optimized, overridable=frozenset({"w"}))
            found = dataclasses.replace(found, graphs={OPTIMIZED: free})
        assert finding("unfolded-batch-norms", found).state == "passed"

    def test_without_batch_norms_there_is_nothing_to_fold(self):
        assert "No batch norm" in finding("unfolded-batch-norms", given(self.product())).summary


class TestDoublePrecision:
    def island(self, ns=20 * MS):
        return (
            Ran(node("Cast", ["x"], ["xd"], name="in"), MS, result=tensor(1, 32, 768, dtype="double"), cause="cast"),
            Ran(node("MatMul", ["xd", "wd"], ["yd"], name="product"), ns, result=DOUBLE, reads=LINEAR),
            Ran(node("Cast", ["yd"], ["y"], name="out"), MS, result=WIDE, reads=(DOUBLE,), cause="cast"),
        )  # fmt: skip

    @pytest.mark.rule("double-precision", "fires")
    def test_casts_count_whole_and_products_beyond_the_rate_of_float(self):
        found = finding("double-precision", given(*self.island(), gemm(1, 5 * MS)))
        assert found.saving_ns == pytest.approx(17 * MS, rel=0.02)  # 22 ms less 5 ms
        assert found.title == "1 node computes in double precision"
        assert "double-to-float" in found.fix
        casts = finding("redundant-casts", given(*self.island(), gemm(1, 5 * MS)))
        assert casts.title == "No measurable time is lost to casts (apart from double-precision)"
        assert casts.summary == "Apart from double-precision: ONNX Runtime converts no element types."

    def test_casts_that_are_faster_here_are_no_finding_and_still_told(self):
        first, *rest = self.island()
        slow = dataclasses.replace(first, calls=(("to", "aten::to"),), torch_ns=20 * MS)
        casts = finding("redundant-casts", given(slow, *rest, gemm(1, 5 * MS)))
        assert casts.title == "No measurable time is lost to casts"
        assert casts.summary.startswith("2 Cast nodes")

    def test_elementwise_work_without_a_peer_counts_half(self):
        gelu = Ran(node("Gelu", ["x"], ["y"]), 8 * MS, result=DOUBLE)
        assert finding("double-precision", given(gelu)).saving_ns == pytest.approx(4 * MS, rel=0.02)

    @pytest.mark.parametrize(("slower", "saved"), [(1, 8 * MS - 786_432 / 100), (1000, 4 * MS)])
    def test_where_the_machine_is_known_it_counts_what_its_bytes_allow_and_never_more_than_half(
        self, slower, saved
    ):
        streams = tuple(
            msgspec.structs.replace(
                stream, rate=msgspec.structs.replace(stream.rate, per_s=stream.rate.per_s / slower)
            )
            for stream in PEAKS.streams
        )
        peaks = msgspec.structs.replace(PEAKS, streams=streams)
        reads = (tensor(1, 32, 3072, dtype="double"),)
        gelu = Ran(node("Gelu", ["x"], ["y"]), 8 * MS, result=DOUBLE, reads=reads)
        known = manifest(onnxruntime={"peaks": peaks}, torch={"peaks": peaks})
        found = finding("double-precision", given(gelu, manifest=known))
        assert found.saving_ns == pytest.approx(saved, rel=0.02)

    def test_a_fused_peer_of_the_same_kind_counts(self):
        weights = tensor(3072, dtype="double")
        norm = Ran(node("LayerNormalization", ["x"], ["y"]), 8 * MS, result=DOUBLE, reads=(DOUBLE, weights))
        skip = Ran(node("SkipLayerNormalization", ["a"], ["b"]), 2 * MS, result=WIDE)
        beside = given(norm, skip, gemm(1, 5 * MS))  # a product, whose rate says nothing of a norm
        assert finding("double-precision", beside).saving_ns == pytest.approx(6 * MS, rel=0.02)

    def test_what_pytorch_does_in_double_too_is_wasted_on_both_sides(self):
        call = Work(id="l", engine="torch", op="aten::linear", inputs=(tensor(1, 32, 768, dtype="double"),))
        ran = Ran(
            node("MatMul", ["xd", "wd"], ["y"], name="product"),
            20 * MS,
            result=DOUBLE,
            reads=LINEAR,
            calls=(("l", "aten::linear"),),
            torch_ns=20 * MS,
        )
        found = finding("double-precision", given(ran, gemm(1, 5 * MS), calls={"l": call}))
        assert (found.state, found.explains_ns) == ("failed", 0)
        assert found.saving_ns == pytest.approx(15 * MS, rel=0.02)
        assert "PyTorch computes in double, too" in found.summary

    def test_what_both_waste_is_not_saved_again_by_the_kernel(self):
        call = Work(id="s", engine="torch", op="aten::sigmoid", inputs=(tensor(1, 32, 768, dtype="double"),))
        sigmoid = Ran(
            node("Sigmoid", ["x"], ["y"]),
            20 * MS,
            result=DOUBLE,
            reads=(DOUBLE,),
            calls=(("s", "aten::sigmoid"),),
            torch_ns=5 * MS,
        )
        beside = given(sigmoid, gemm(1, 5 * MS), calls={"s": call})
        found = finding("double-precision", beside)
        assert (found.explains_ns, found.saving_ns) == (0, pytest.approx(10 * MS, rel=0.02))
        kernel = finding("slower-kernel", beside)
        assert not any("Sigmoid" in line.text for line in kernel.evidence)
        assert kernel.saving_ns <= 2 * MS  # the product's

    @pytest.mark.rule("double-precision", "passes")
    def test_float_passes(self):
        assert finding("double-precision", given(gemm(1, MS))).state == "passed"


class TestDoubleInPyTorch:
    def linear(self, name, dtype):
        tensors = (tensor(1, 32, 768, dtype=dtype), tensor(3072, 768, dtype=dtype))
        return Work(id=name, engine="torch", op="aten::linear", scope=f"layer.{name}", inputs=tensors)

    def given(self, result=WIDE):
        ran = [
            Ran(
                node("MatMul", ["x", "w"], [f"y{name}"], name=f"node-{name}"),
                5 * MS,
                result=result if name == "a" else WIDE,
                reads=LINEAR,
                calls=((name, "aten::linear"),),
                torch_ns=ns,
            )
            for name, ns in (("a", 30 * MS), ("b", 10 * MS))
        ]
        return given(*ran, calls={"a": self.linear("a", "double"), "b": self.linear("b", "float")})

    @pytest.mark.rule("double-in-pytorch", "fires")
    def test_what_a_call_takes_beyond_the_rate_of_float_explains_why_onnx_runtime_is_faster(self):
        found = finding("double-in-pytorch", self.given())
        assert found.state == "failed"
        assert found.explains_ns == pytest.approx(-20 * MS, rel=0.03)
        assert found.saving_ns == 0
        assert found.title == "PyTorch computes in double: 1 call"

    def test_what_onnx_runtime_computes_in_double_too_is_another_rule_s(self):
        assert finding("double-in-pytorch", self.given(DOUBLE)).state == "passed"

    def test_a_cast_back_to_float_is_no_island(self):
        """The nodes give no double here either: one reads doubles, as its call does."""
        double = tensor(1, 32, 768, dtype="double")
        works = [
            Work(id="find", engine="torch", op="aten::argmax", scope="head", inputs=(double,)),
            Work(id="back", engine="torch", op="aten::to", scope="head", inputs=(double,)),
        ]
        ran = [
            Ran(
                node(op, ["x"], [op], name=op),
                MS,
                result=result,
                reads=(double,),
                calls=((call.id, call.op),),
                torch_ns=9 * MS,
            )
            for call, op, result in zip(
                works, ("ArgMax", "Cast"), (tensor(1, 32, dtype="int64"), WIDE), strict=True
            )
        ]
        assert finding("double-in-pytorch", given(*ran, calls={w.id: w for w in works})).state == "passed"
        fed_float = dataclasses.replace(ran[1], reads=(WIDE,))
        assert finding("double-in-pytorch", given(fed_float, calls={"back": works[1]})).state == "passed"

    def test_what_the_graph_does_not_compute_is_not_computed_in_float(self):
        folded = (row("missing_work", 9 * MS, 0, calls=[("anchors", "aten::mul")]),)
        call = Work(id="anchors", engine="torch", op="aten::mul", inputs=(tensor(8400, 2, dtype="double"),))
        works = {"torch": {"anchors": call}, "onnxruntime": {}}
        alone = evidence(*folded, works=works, ledger=FakeLedger(folded, {"anchors": 9 * MS}))
        assert finding("double-in-pytorch", alone).state == "passed"

    @pytest.mark.rule("double-in-pytorch", "passes")
    def test_float_passes(self):
        call = self.linear("b", "float")
        assert finding("double-in-pytorch", given(gemm(1, MS), calls={"b": call})).state == "passed"

    def test_a_number_of_python_is_no_tensor_in_double(self):
        call = self.linear("b", "float")
        call = msgspec.structs.replace(call, op="aten::mul", inputs=(call.inputs[0], tensor(dtype="double")))
        assert finding("double-in-pytorch", given(gemm(1, MS), calls={"b": call})).state == "passed"


class TestInverseTransposes:
    def pair(self, between="Gelu", ns=2 * MS, first="0,2,1", second="0,2,1"):
        return (
            Ran(node("Transpose", ["x"], ["t"], name="there", perm=first), ns, cause="layout"),
            Ran(node(between, ["t"], ["g"], name="between"), MS),
            Ran(node("Transpose", ["g"], ["y"], name="back", perm=second), ns, cause="layout"),
        )

    @pytest.mark.rule("inverse-transposes", "fires")
    def test_a_pair_around_an_elementwise_node_is_claimed_whole(self):
        found = finding("inverse-transposes", given(*self.pair()))
        assert found.title == "1 pair of Transpose undo each other"
        assert found.saving_ns == pytest.approx(4 * MS, rel=0.02)
        assert "back undoes there" in texts(found)
        assert "drop-inverse-pairs" in found.fix
        assert finding("layout-churn", given(*self.pair())).state == "passed"  # its time is explained

    @pytest.mark.rule("inverse-transposes", "passes")
    @pytest.mark.parametrize(
        "changes", [{"between": "Trilu"}, {"second": "1,0,2"}, {"first": "0,1,2", "second": "0,1,2"}]
    )
    def test_what_minds_the_axes_keeps_the_pair(self, changes):
        assert finding("inverse-transposes", given(*self.pair(**changes))).state == "passed"

    def test_what_onnx_runtime_put_in_itself_is_not_claimed(self):
        exported = graph(node("Gelu", ["x"], ["y"], name="between"))
        assert finding("inverse-transposes", given(*self.pair(), exported=exported)).state == "passed"

    def test_reshapes_back_to_the_same_size(self):
        flat = tensor(32, 768)
        ran = (
            Ran(node("Reshape", ["x", "s"], ["f"], name="there"), MS, result=flat, reads=(HIDDEN,)),
            Ran(node("Add", ["f", "b"], ["a"], name="add"), MS, result=flat),
            Ran(node("Reshape", ["a", "s2"], ["y"], name="back"), MS, result=HIDDEN, reads=(flat,)),
        )
        found = inverse_pairs(executed_graph(given(*ran, constants=("s", "b", "s2"))))
        assert [(first.name, second.name) for first, second in found] == [("there", "back")]
        longer = (*ran[:2], Ran(ran[2].node, MS, result=tensor(2, 16, 768)))
        assert inverse_pairs(executed_graph(given(*longer, constants=("s", "b", "s2")))) == ()

    def test_another_factor_must_not_come_by_another_way(self):
        ran = (
            Ran(node("Transpose", ["x"], ["t"], name="there", perm="1,0"), MS),
            Ran(node("Mul", ["t", "gate"], ["m"], name="mul"), MS),
            Ran(node("Transpose", ["m"], ["y"], name="back", perm="1,0"), MS),
        )
        assert inverse_pairs(executed_graph(given(*ran))) == ()  # the gate would have to be turned as well


class TestUnsupportedPrecision:
    def casts(self, ns, names=("InsertedPrecisionFreeCast_1", "InsertedPrecisionFreeCast_2")):
        halves = {"h": tensor(4, dtype="float16")}
        ran = [
            Ran(node("Cast", ["h"], [f"c{i}"], name=name), ns, cause="cast") for i, name in enumerate(names)
        ]
        return given(*ran, Ran(node("Add", ["c0", "c1"], ["y"], name="add"), MS), values=halves)

    @pytest.mark.rule("unsupported-precision", "fires")
    def test_casts_of_onnx_runtimes_own_are_claimed(self):
        found = finding("unsupported-precision", self.casts(3 * MS))
        assert found.title == "2 casts around nodes without a float16 kernel"
        assert found.saving_ns == pytest.approx(6 * MS, rel=0.02)
        assert "They serve 1 Add." in found.summary
        casts = finding("redundant-casts", self.casts(3 * MS))
        assert casts.state == "passed"
        assert casts.summary.startswith("Apart from unsupported-precision: ")

    @pytest.mark.rule("unsupported-precision", "passes")
    def test_the_exporters_casts_and_other_types_are_not_its_concern(self):
        assert finding("unsupported-precision", self.casts(3 * MS, ("node_cast",))).state == "passed"
        plain = given(Ran(node("Cast", ["i"], ["y"], name="InsertedCast_1"), MS, cause="cast"))
        assert "no tensor of half precision" in finding("unsupported-precision", plain).summary


class TestUnfusedQuantization:
    TABLE = tensor(30522, 768)

    def table(self, ns):
        dequantize = node("DequantizeLinear", ["table_q", "s"], ["table"], name="dequantize")
        return Ran(dequantize, ns, result=self.TABLE, cause="quantize", region="embedding")

    @pytest.mark.rule("unfused-quantization", "fires")
    def test_a_table_that_is_dequantized_in_every_run_is_named(self):
        gather = Ran(node("Gather", ["table", "ids"], ["y"]), MS, region="embedding")
        found = finding("unfused-quantization", given(self.table(9 * MS), gather, constants=("table_q", "s")))
        assert found.saving_ns == pytest.approx(9 * MS, rel=0.02)
        assert "weights that are dequantized anew in every run: 1 DequantizeLinear" in texts(found)
        assert "float[30522×768]" in texts(found)
        assert "exclude embeddings" in found.fix

    def integer(self, ns):
        return (
            Ran(node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], name="dq"), MS, cause="quantize", region="l"),
            Ran(
                node("MatMulIntegerToFloat", ["q", "w"], ["y"], name="mm"),
                ns,
                calls=(("l", "aten::linear"),),
                torch_ns=3 * MS,
                region="l",
            ),
        )  # fmt: skip

    def test_integer_kernels_count_where_they_are_slower(self):
        slow = finding("unfused-quantization", given(*self.integer(8 * MS), constants=("w",)))
        assert slow.saving_ns == pytest.approx(6 * MS, rel=0.03)  # 1 ms of conversion and 8 against 3 ms
        assert "slower than PyTorch's" in slow.title
        fast = finding("unfused-quantization", given(*self.integer(MS), constants=("w",)))
        assert fast.saving_ns == pytest.approx(MS, rel=0.03)
        assert "int8-qdq" in fast.fix

    @pytest.mark.rule("unfused-quantization", "passes")
    def test_float_passes_and_so_do_cheap_conversions(self):
        assert finding("unfused-quantization", given(gemm(1, MS))).summary == "Nothing is quantized."
        assert finding("unfused-quantization", given(self.table(10))).state == "passed"


class TestExportedSubgraphs:
    def loop(self, ns, op="Add", result=HIDDEN, rows="extra_work", **body):
        inner = node(op, ["x", "x"], ["a"], name="in the body")
        holder = node("Loop", ["n", "c", "a"], ["y"], name="loop")
        held = Ran(inner, ns, result, cause=rows, **body)
        evidence_given = given(held, Ran(holder, ns, cause="extra_work"))
        optimized = evidence_given.graphs[OPTIMIZED]
        nodes = (msgspec.structs.replace(optimized.nodes[0], parent=1, branch="body"), optimized.nodes[1])
        evidence_given.graphs[OPTIMIZED] = msgspec.structs.replace(optimized, nodes=nodes)
        return evidence_given

    @pytest.mark.rule("exported-subgraphs", "fires")
    def test_a_loop_counts_with_its_body(self):
        found = finding("exported-subgraphs", self.loop(3 * MS))
        assert found.title == "Exported as subgraphs: 1 Loop"
        assert found.saving_ns == pytest.approx(6 * MS, rel=0.02)
        assert "Loop loop takes 3 ms itself, and 1 node in it 3 ms" in texts(found)

    def test_what_pytorch_computes_as_well_has_to_be_done_anyway(self):
        called = {"calls": (("add", "aten::add"),), "torch_ns": MS}
        found = finding("exported-subgraphs", self.loop(3 * MS, **called))
        assert found.saving_ns == pytest.approx(3 * MS, rel=0.02)  # the loop's own
        assert "1 of the nodes computes what PyTorch computes as well" in found.summary

    @pytest.mark.parametrize(
        ("op", "result"),
        [("Less", tensor(32, 768, dtype="bool")), ("Sub", tensor(32, 768, dtype="int64")), ("Cast", HIDDEN)],
    )
    def test_whole_rows_are_compared_and_converted_without_a_loop_too(self, op, result):
        called = {"calls": (("compare", "aten::lt"),), "torch_ns": MS}
        assert finding(
            "exported-subgraphs", self.loop(3 * MS, op, result, **called)
        ).saving_ns == pytest.approx(3 * MS, rel=0.02)

    def test_what_one_call_of_the_region_does_inside_is_no_work_of_the_loop_and_of_no_other_rule(self):
        region = Region(
            id="r",
            module="",
            calls=("script",),
            nodes=("in the body", "loop"),
            match=Match(method="fx-node", confidence=1.0),
        )
        held = self.loop(3 * MS, "Cast", HIDDEN, region="r", rows="cast")
        found = {f.id: f for f in run(dataclasses.replace(held, regions={"r": region}))}
        assert found["exported-subgraphs"].saving_ns == pytest.approx(3 * MS, rel=0.02)
        assert found["redundant-casts"].state == "passed"

    @pytest.mark.parametrize(
        ("op", "result"),
        [
            ("Unsqueeze", HIDDEN),
            ("SequenceInsert", HIDDEN),
            ("Add", tensor(1, 32, dtype="int64")),
            ("Less", tensor(1, dtype="bool")),
        ],
    )
    def test_what_only_moves_or_counts_belongs_to_the_loop(self, op, result):
        called = {"calls": (("add", "aten::add"),), "torch_ns": MS}
        found = finding("exported-subgraphs", self.loop(3 * MS, op, result, **called))
        assert found.saving_ns == pytest.approx(6 * MS, rel=0.02)

    @pytest.mark.rule("exported-subgraphs", "passes")
    def test_plain_nodes_pass(self):
        assert finding("exported-subgraphs", given(gemm(1, MS))).state == "passed"

    def test_a_branch_counts_by_itself_only(self):
        inner = Ran(node("Add", ["x", "x"], ["a"], name="in the branch"), 9 * MS)
        found = finding("exported-subgraphs", given(inner, Ran(node("If", ["c"], ["y"], name="if"), 2 * MS)))
        assert found.saving_ns == pytest.approx(2 * MS, rel=0.02)

    def test_a_function_counts_by_the_region_that_it_became(self):
        exported = graph(msgspec.structs.replace(node("aten_roll", ["x"], ["y"]), domain="pkg.torch"))
        ran = Ran(node("Slice", ["x"], ["y"], name="slice"), 4 * MS, cause="decomposed", region="r")
        region = Region(
            id="r",
            module="",
            calls=(),
            nodes=("slice",),
            lineage=((0,),),
            match=Match(method="fx-node", confidence=1.0),
        )
        found = finding("exported-subgraphs", given(ran, exported=exported, regions={"r": region}))
        assert "function pkg.torch::aten_roll" in found.title
        assert found.saving_ns == pytest.approx(4 * MS, rel=0.02)


class TestDuplicatedWork:
    def branch(self, i, *, called, region="", ns=3 * MS):
        calls = ((f"linear {i}", "aten::linear"),) if called else ()
        return Ran(
            node("Gemm", ["x", f"w{i}"], [f"y{i}"], name=f"gemm {i}"),
            ns,
            calls=calls,
            cause="kernel" if called else "unattributed",
            region=region or f"region {i}",
        )

    SAME = {name: GraphValue("numbers", (4,)) for name in ("y0", "y1")}  # noqa: RUF012

    def graph_of(self, *ran, numbers=SAME):
        weights = {f"w{i}": tensor(768, 768) for i in range(3)}
        return given(*ran, constants=tuple(weights), values=weights, numbers=numbers)

    @pytest.mark.rule("duplicated-work", "fires")
    def test_a_copy_without_a_call_is_a_duplicate(self):
        found = finding(
            "duplicated-work", self.graph_of(self.branch(0, called=True), self.branch(1, called=False))
        )
        assert found.title == "1 node computes again what another one has computed"
        assert found.saving_ns == pytest.approx(3 * MS, rel=0.02)
        assert "gemm 1 repeats gemm 0" in texts(found)
        assert "merge-duplicates" in found.fix

    def test_two_nodes_for_one_call_in_one_region(self):
        ran = (self.branch(0, called=True, region="r"), self.branch(1, called=False, region="r"))
        assert "gemm 1 repeats gemm 0" in texts(finding("duplicated-work", self.graph_of(*ran)))

    @pytest.mark.parametrize(
        "numbers",
        [
            {},
            {"y0": GraphValue("numbers", (4,)), "y1": GraphValue("numbers", (5,))},
            {"y0": GraphValue("numbers", (4,)), "y1": GraphValue("numbers", ())},
            {name: GraphValue("numbers", ()) for name in ("y0", "y1")},
            {name: GraphValue("constant", (4,)) for name in ("y0", "y1")},
        ],
    )
    def test_weights_of_one_size_prove_nothing(self, numbers):
        ran = (self.branch(0, called=True), self.branch(1, called=False))
        assert finding("duplicated-work", self.graph_of(*ran, numbers=numbers)).state == "passed"

    def test_the_same_weights_prove_it_without_numbers(self):
        again = Ran(
            node("Gemm", ["x", "w0"], ["y1"], name="gemm 1"), MS, cause="unattributed", region="region 1"
        )
        ran = self.graph_of(self.branch(0, called=True), again, numbers={})
        assert "gemm 1 repeats gemm 0" in texts(finding("duplicated-work", ran))

    def test_what_only_twins_read_goes_with_them(self):
        ran = [
            Ran(
                node(op, [source.format(i), f"w{i}"], [f"{result}{i}"], name=f"{op} {i}"),
                MS,
                calls=((f"linear {i}", "aten::linear"),) if op == "MatMul" and not i else (),
                region=f"region {i}",
                cause="unattributed" if i else "kernel",
            )
            for i in range(2)
            for op, source, result in (("MatMul", "x", "h"), ("Add", "h{}", "y"))
        ]
        assert "MatMul 1 repeats MatMul 0" in texts(finding("duplicated-work", self.graph_of(*ran)))
        other = self.graph_of(*ran, numbers={"y0": GraphValue("numbers", (4,))})
        assert finding("duplicated-work", other).state == "passed"

    def test_random_numbers_are_drawn_anew_each_time(self):
        ran = [
            Ran(
                node("RandomNormalLike", ["x"], [f"y{i}"], name=f"draw {i}"),
                MS,
                calls=() if i else (("draw", "aten::randn_like"),),
                region=f"region {i}",
                cause="unattributed" if i else "kernel",
            )
            for i in range(2)
        ]
        assert finding("duplicated-work", self.graph_of(*ran, numbers={})).state == "passed"

    @pytest.mark.rule("duplicated-work", "passes")
    def test_query_and_key_are_no_duplicates(self):
        ran = [self.branch(i, called=True) for i in range(3)]
        assert finding("duplicated-work", self.graph_of(*ran)).state == "passed"
        together = [self.branch(i, called=True, region="r") for i in range(3)]
        assert finding("duplicated-work", self.graph_of(*together)).state == "passed"

    def test_a_call_that_found_no_node_may_be_the_missing_one(self):
        lost = row("unattributed", MS, 0, module="lost", calls=[("lost", "aten::linear")])
        found = self.graph_of(self.branch(0, called=True), self.branch(1, called=False))
        rows = (*found.ledger.rows, lost)
        ledger = type(found.ledger)(rows, found.ledger.work_ns)
        assert finding("duplicated-work", replaced(found, ledger=ledger)).state == "passed"

    def test_other_inputs_make_other_work(self):
        other = Ran(node("Gemm", ["z", "w1"], ["y1"], name="gemm 1"), MS, cause="unattributed")
        assert finding("duplicated-work", self.graph_of(self.branch(0, called=True), other)).state == "passed"


def replaced(evidence_given, **changes):
    return dataclasses.replace(evidence_given, **changes)


def output(name, reason=""):
    return OutputDifference(
        name=name, shape=(1,), max_abs=0, max_rel=0, cosine=1, tolerance=1e-4, equal=not reason, reason=reason
    )


class TestUnusedOutputs:
    SURPLUS = (output("y"), output("h", "PyTorch has no such output"))

    def given(self, *ran, compared=SURPLUS, outputs=("y", "h")):
        found = given(*ran, outputs=outputs, constants=("w",))
        api = row("framework", 0, 4 * MS, module="", region="(framework)/ort api")
        ledger = type(found.ledger)((*found.ledger.rows, api), found.ledger.work_ns)
        return replaced(found, outputs=compared, ledger=ledger)

    @pytest.mark.rule("unused-outputs", "fires")
    def test_nodes_that_serve_them_alone_and_copies_are_claimed(self):
        ran = (
            Ran(node("Gemm", ["x", "w"], ["y"], name="gemm"), 9 * MS),
            Ran(node("Transpose", ["y"], ["t"], name="turn"), 2 * MS),
            Ran(node("Neg", ["t"], ["h"], name="neg"), 3 * MS),
        )
        found = finding("unused-outputs", self.given(*ran))
        assert found.title == "1 output of 2 are not among PyTorch's"
        assert "1 Neg, 1 Transpose serve them alone (5 ms)" in found.summary
        assert "h (float[1×32×768], made by Neg neg)" in texts(found)
        assert found.saving_ns == pytest.approx(
            7 * MS, rel=0.02
        )  # 5 ms, and 2 ms to copy as much as the Transpose
        assert "drop-unused-outputs" in found.fix

    def test_no_surgery_by_name_where_the_names_differ(self):
        compared = (output("output"), output("h", "PyTorch has no such output"))
        ran = (
            Ran(node("Gemm", ["x", "w"], ["y"], name="gemm"), 9 * MS),
            Ran(node("Neg", ["y"], ["h"], name="neg"), 3 * MS),
        )
        found = finding("unused-outputs", self.given(*ran, compared=compared))
        assert found.title == "1 output of 2 are not among PyTorch's"
        assert "drop-unused-outputs" not in found.fix

    @pytest.mark.rule("unused-outputs", "passes")
    def test_outputs_that_pytorch_returns_pass(self):
        ran = Ran(node("Gemm", ["x", "w"], ["y"], name="gemm"), 9 * MS)
        assert (
            finding("unused-outputs", self.given(ran, compared=(output("y"),), outputs=("y",))).state
            == "passed"
        )


class TestExtraNodes:
    @pytest.mark.rule("extra-nodes", "fires")
    def test_work_that_only_the_graph_has(self):
        given_evidence = evidence(row("extra_work", 0, 4 * MS, module="m", nodes=[("g", "GatherND")]))
        found = finding("extra-nodes", given_evidence)
        assert (found.title, found.saving_ns) == ("1 node computes what PyTorch does not", 4 * MS)

    @pytest.mark.rule("extra-nodes", "passes")
    def test_nothing_extra(self):
        assert finding("extra-nodes", evidence(row("kernel", MS, MS))).state == "passed"


class TestDecomposedOperators:
    def index(self, ns):
        nodes = [(f"{op} i", op) for op in ("Shape", "Gather", "GatherND")]
        return row("decomposed", MS, ns, calls=[("index", "aten::index")], nodes=nodes)

    @pytest.mark.rule("decomposed-operators", "fires")
    def test_calls_are_named_with_their_nodes(self):
        found = finding("decomposed-operators", evidence(self.index(5 * MS)))
        assert (found.title, found.saving_ns) == ("1 call became 3 nodes", 4 * MS)
        assert "index 1 times: 1 Gather, 1 GatherND, 1 Shape" in texts(found)

    @pytest.mark.rule("decomposed-operators", "passes")
    def test_faster_apart_and_layers_with_a_rule_of_their_own_pass(self):
        assert finding("decomposed-operators", evidence(self.index(MS // 2))).state == "passed"
        gelu = row("decomposed", MS, 5 * MS, calls=[("g", "aten::gelu")], nodes=[("e", "Erf"), ("m", "Mul")])
        assert finding("decomposed-operators", evidence(gelu)).state == "passed"
        assert finding("unfused-layers", evidence(gelu)).state == "failed"


class TestPythonOverhead:
    def python(self, ns):
        return row(
            "framework", ns, 0, module="encoder.layer.0", region="(framework)/Python of encoder.layer.0"
        )

    @pytest.mark.rule("python-overhead", "fires")
    def test_the_module_is_named_and_its_time_not_told_twice(self):
        dispatch = row("framework", 4 * MS, 0, module="", region="(framework)/torch dispatch")
        found = finding("python-overhead", evidence(self.python(9 * MS), dispatch))
        assert (found.state, found.saving_ns, found.explains_ns) == ("failed", 0, -9 * MS)
        assert "encoder.layer.*" in found.summary
        rest = finding("framework-overhead", evidence(self.python(9 * MS), dispatch))
        assert rest.explains_ns == -4 * MS

    @pytest.mark.rule("python-overhead", "passes")
    def test_usual_dispatch_passes(self):
        dispatch = row("framework", 4 * MS, 0, module="", region="(framework)/torch dispatch")
        assert finding("python-overhead", evidence(dispatch)).state == "passed"


class TestSlowModule:
    def by_hand(self, calls, scope="encoder.layer.0.act", cause="fused", nodes=(("gelu", "Gelu"),), **more):
        named = [(f"c{i}", f"aten::{op}") for i, op in enumerate(calls)]
        rows = (row(cause, 9 * MS, MS, module=scope, calls=named, nodes=nodes, **more),)
        torch = {name: Work(id=name, engine="torch", op=op, scope=scope) for name, op in named}
        ort = {name: Work(id=name, engine="onnxruntime", op=op) for name, op in nodes}
        return evidence(*rows, works={"torch": torch, "onnxruntime": ort})

    @pytest.mark.rule("slow-module", "fires")
    def test_a_formula_that_was_written_out(self):
        found = finding("slow-module", self.by_hand(["mul", "erf", "add", "mul"]))
        assert (found.state, found.saving_ns, found.explains_ns) == ("failed", 0, -8 * MS)
        assert found.title == "PyTorch computes encoder.layer.*.act in 4 calls"
        assert finding("fused-operators", self.by_hand(["mul", "erf", "add", "mul"])).state == "passed"

    def test_calls_that_the_graph_does_not_hold(self):
        alone = self.by_hand(["mul", "exp", "sum"], cause="missing_work", nodes=())
        assert "no node in ONNX Runtime" in texts(finding("slow-module", alone))

    def test_a_linear_in_pieces(self):
        pieces = self.by_hand(
            ["linear"] * 8 + ["cat"], cause="kernel", nodes=[(f"g{i}", "Gemm") for i in range(8)]
        )
        assert finding("slow-module", pieces).title == "PyTorch computes encoder.layer.*.act in 9 calls"

    @pytest.mark.rule("slow-module", "passes")
    @pytest.mark.parametrize(
        "calls",
        [
            ["add", "layer_norm"],
            ["gelu"],
            ["dropout", "dropout", "add", "view"],
            ["matmul", "div", "add", "softmax", "matmul"],
            ["linear", "linear", "linear"],
            ["zeros", "zeros", "lstm"],
            ["rnn_tanh", *["add"] * 8],
            ["conv_transpose2d", "add", "mul"],
            ["full", "new_zeros", "ones_like", "add"],
        ],
    )
    def test_usual_modules_pass(self, calls):
        assert finding("slow-module", self.by_hand(calls)).state == "passed"

    def test_calls_that_are_explained_elsewhere_are_no_part_of_the_formula(self):
        """Of four calls that were written out three belong to other causes: what is left is one operator."""
        whole = self.by_hand(["mul", "erf", "add", "mul"])
        named = [(call.id, call.op) for call in whole.work["torch"].values()]
        rows = (
            row(
                "kernel", 9 * MS, MS, module="encoder.layer.0.act", calls=named[:1], nodes=[("gelu", "Gelu")]
            ),
            row(
                "decomposed", 9 * MS, MS, module="encoder.layer.0.act", calls=named[1:], nodes=[("n", "Erf")]
            ),
        )
        assert finding("slow-module", evidence(*rows, works=whole.work)).state == "failed"
        apart = (rows[0], msgspec.structs.replace(rows[1], cause="layout"))
        assert finding("slow-module", evidence(*apart, works=whole.work)).state == "passed"

    def test_the_model_itself_and_what_was_folded_are_not_named(self):
        formula = ["mul", "erf", "add", "mul"]
        assert finding("slow-module", self.by_hand(formula, scope="")).state == "passed"


class TestAgainstItself:
    def test_what_both_sides_waste_is_no_difference(self):
        """Both sides ran ONNX Runtime: the guard is on both, and only deltas count."""
        guard = TestNanGuard().guarded(4 * MS)
        found = given(*guard)
        equal = {"delta_ns": 0, "low_ns": -1, "high_ns": 1}
        rows = tuple(
            msgspec.structs.replace(r, torch_ns=r.onnxruntime_ns, **equal) for r in found.ledger.rows
        )
        same = dict.fromkeys(("torch", "onnxruntime"), found.partitions["onnxruntime"])
        ledger = type(found.ledger)(rows, found.ledger.work_ns)
        every = run(replaced(found, partitions=same, ledger=ledger))
        assert [f.id for f in every if f.state == "failed" and f.saving_ns] == []


def test_rows_keep_their_ids_when_work_is_taken_out():
    left = given(gemm(1, MS, region="r"), gemm(2, 2 * MS, region="r")).ledger.without(
        (), ("gemm 1", "linear 1")
    )
    assert [(type(r), r.id, r.onnx_nodes, r.torch_calls) for r in left.rows] == [
        (LedgerRow, "r:kernel", ("gemm 2",), ("linear 2",))
    ]
