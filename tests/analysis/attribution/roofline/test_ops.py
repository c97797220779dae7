"""Operations and bytes of calls and nodes, against figures worked out by hand."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrib.analysis.attribution.roofline.ops import CALLS, NODES, cost_of
from attrib.model.tensor import Tensor
from attrib.model.work import Work


def tensors(*shapes):
    """`(2, 3)` is float32; `("int8", 2, 3)` names its type."""
    return tuple(
        Tensor(shape[0], shape[1:]) if shape and isinstance(shape[0], str) else Tensor("float", shape)
        for shape in shapes
    )


def call(op, *inputs):
    return Work(id="c", engine="torch", op=f"aten::{op}", inputs=tensors(*inputs))


def node(op, inputs, outputs):
    return Work(id="n", engine="onnxruntime", op=op, inputs=tensors(*inputs), outputs=tensors(*outputs))


HAND = [
    # 2·128·768·3072; input 98,304, weight 2,359,296, bias 3,072, result 393,216 elements of 4 bytes
    (call("linear", (1, 128, 768), (3072, 768), (3072,)), 603_979_776, 11_415_552),
    (call("addmm", (5,), (2, 3), (3, 5)), 60, 4 * (5 + 6 + 15 + 10)),
    (call("mm", (2, 3), (3, 5)), 60, 4 * (6 + 15 + 10)),
    (call("bmm", (7, 2, 3), (7, 3, 5)), 420, 4 * 7 * (6 + 15 + 10)),
    (call("matmul", (4, 1, 2, 3), (6, 3, 5)), 24 * 60, 4 * (24 + 90 + 240)),  # broadcast to 4×6
    (call("matmul", (3,), (3, 5)), 30, 4 * (3 + 15 + 5)),
    (call("baddbmm", (7, 2, 5), (7, 2, 3), (7, 3, 5)), 420, 4 * 7 * (10 + 6 + 15 + 10)),
    # scores 2·12·128·128·64 and context the same; queries, keys, values and the result once
    (call("scaled_dot_product_attention", *[(1, 12, 128, 64)] * 3), 50_331_648, 4 * 4 * 98_304),
    # 10 queries of 8, 20 keys of 8, 20 values of 6: 2·10·20·(8 + 6)
    (call("scaled_dot_product_attention", (1, 1, 10, 8), (1, 1, 20, 8), (1, 1, 20, 6)), 5600,
     4 * (80 + 160 + 120 + 60)),
    (call("layer_norm", (2, 8), (8,), (8,)), 7 * 16, 4 * (16 + 8 + 8 + 16)),
    (call("add", (2, 8), (8,)), 16, 4 * (16 + 8 + 16)),
    (call("eq", (2, 8), (2, 8)), 16, 4 * 32 + 16),  # a byte for each truth value
    (call("gelu", ("float16", 2, 8)), 80, 2 * 32),
    (call("softmax", (2, 8)), 80, 4 * 32),
    (call("embedding", (30522, 768), ("int64", 1, 128)), 0, 8 * 128 + 2 * 4 * 128 * 768),
    (call("dropout", (2, 8)), 0, 0),
    (call("transpose", (2, 8)), 0, 0),
    (node("Gemm", [(128, 768), (768, 3072), (3072,)], [(128, 3072)]), 603_979_776, 11_415_552),
    (node("Gemm", [(128, 768), (3072,)], [(128, 3072)]), 603_979_776, 11_415_552),  # the weight was packed
    (node("MatMul", [(1, 128, 768)], [(1, 128, 3072)]), 603_979_776, 11_415_552 - 4 * 3072),
    (node("FusedMatMul", [(1, 12, 128, 64), (1, 12, 64, 128)], [(1, 12, 128, 128)]), 25_165_824,
     4 * (2 * 98_304 + 196_608)),
    (node("FusedMatMul", [(3, 2), (3, 5)], [(2, 5)]), 60, 4 * (6 + 15 + 10)),  # the first factor transposed
    # u8 and int8 factors, a float result, the packed weight one byte an element
    (node("MatMulIntegerToFloat", [("uint8", 4, 16), (8,)], [(4, 8)]), 1024, 64 + 4 * 8 + 4 * 32 + 16 * 8),
    (node("MatMulNBits", [(4, 16), ("uint8", 8, 1, 8), (8,)], [(4, 8)]), 1024, 4 * 64 + 64 + 4 * 8 + 4 * 32),
    # 3×3 kernel, 4 channels a group: 2·(1·16·10·10)·4·9
    (node("Conv", [(1, 8, 12, 12), (16, 4, 3, 3), (16,)], [(1, 16, 10, 10)]), 115_200,
     4 * (1152 + 576 + 16 + 1600)),
    (node("QLinearConv", [("uint8", 1, 8, 12, 12), (), ("uint8",), ("int8", 16, 4, 3, 3), (16,)],
          [("uint8", 1, 16, 10, 10)]), 115_200, 1152 + 4 + 1 + 576 + 4 * 16 + 1600),
    # projection 2·(2·10)·6·18, then two products of 2·10·10·6 for each of the 2 rows
    (node("Attention", [(2, 10, 6), (6, 18), (18,)], [(2, 10, 6)]), 4320 + 4800, 4 * (120 + 108 + 18 + 120)),
    (node("Attention", [(2, 10, 6), (18,)], [(2, 10, 6)]), 4320 + 4800, 4 * (120 + 108 + 18 + 120)),
    (node("MultiHeadAttention", [(1, 10, 8), (1, 20, 8), (1, 20, 8)], [(1, 10, 8)]), 4 * 10 * 20 * 8,
     4 * (80 + 160 + 160 + 80)),
    (node("SkipLayerNormalization", [(2, 8), (2, 8), (8,), (8,)], [(2, 8)]), 8 * 16, 4 * (48 + 16)),
    (node("Softmax", [(2, 8)], [(2, 8)]), 80, 4 * 32),
    (node("Where", [("bool", 2, 8), (), (2, 8)], [(2, 8)]), 16, 16 + 4 + 4 * 32),
    (node("Gather", [(30522, 768), ("int64", 1, 128)], [(1, 128, 768)]), 0, 8 * 128 + 2 * 4 * 128 * 768),
    (node("ReduceMean", [(2, 8)], [(2,)]), 16, 4 * (16 + 2)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("work", "ops", "moved"), HAND, ids=[f"{n}-{w.op}" for n, (w, _, _) in enumerate(HAND)]
)
def test_hand_computed(work, ops, moved):
    cost = cost_of(work)
    assert (cost.ops, cost.bytes) == (ops, moved)


def test_products_name_the_arithmetic_in_which_they_are_computed():
    kinds = {work.op: cost_of(work).kind for work, _, _ in HAND}
    assert kinds["aten::linear"] == kinds["Attention"] == "float"
    assert kinds["MatMulIntegerToFloat"] == kinds["QLinearConv"] == "int8"
    assert kinds["aten::gelu"] == kinds["Softmax"] == kinds["aten::embedding"] == ""
    assert cost_of(call("linear", ("bfloat16", 2, 3), ("bfloat16", 5, 3))).kind == "bfloat16"


@pytest.mark.parametrize(
    "work",
    [
        call("some_new_op", (2, 8)),
        call("linear", (2, 8)),  # no weight
        call("linear", (2, 8), (5, 7)),  # cannot be multiplied
        call("matmul", (2, 3), (4, 5)),
        call("matmul", (2, 2, 3), (3, 3, 5)),
        call("addmm", (2, 3), (3, 5)),
        call("add", (2, 3), (4, 3)),
        call("gelu", ("", 2, 3)),  # an element of unknown size
        call("gelu"),
        call("gelu", (-2, 3)),
        call("conv2d", (1, 8, 12, 12), (16, 8, 3, 3)),  # stride and padding decide on the result
        call("scaled_dot_product_attention", (2, 8), (2, 8), (2, 8)),
        node("Gemm", [(128, 768)], []),
        node("Gemm", [(100, 768)], [(128, 3072)]),
        node("Conv", [(1, 8, 12, 12)], [(1, 16, 10, 10)]),
        node("Attention", [(2, 10, 6), (6, 24), (24,)], [(2, 10, 6)]),  # values of another size
        node(
            "Attention", [(2, 10, 6), (6, 18), (18,)], [(2, 10, 6), (2, 2, 1, 20, 3)]
        ),  # a past of unknown length
        node("MatMulNBits", [(4, 16), (8,)], [(4, 8)]),  # how many bits?
        node("GroupQueryAttention", [(1, 10, 8)] * 3, [(1, 10, 8)]),
        node("OpenVINO-EP-subgraph_1", [(1, 10, 8)], [(1, 10, 8)]),
        call("gelu", (1 << 31, 1 << 31, 2)),
    ],
)
def test_what_the_tensors_do_not_tell_has_no_cost(work):
    assert cost_of(work) is None


sizes = st.integers(1, 64)


@given(batch=sizes, rows=sizes, inner=sizes, columns=sizes, factor=st.integers(2, 5))
def test_operations_scale_with_the_batch_and_weights_do_not(batch, rows, inner, columns, factor):
    def linear(count):
        return cost_of(call("linear", (count, rows, inner), (columns, inner), (columns,)))

    one, more = linear(batch), linear(batch * factor)
    assert more.ops == factor * one.ops
    weights = 4 * (columns * inner + columns)
    assert more.bytes - weights == factor * (one.bytes - weights)


@given(batch=sizes, rows=sizes, inner=sizes, columns=sizes, bias=st.booleans(), packed=st.booleans())
def test_both_engines_agree_on_a_linear_layer(batch, rows, inner, columns, bias, packed):
    added = [(columns,)] if bias else []
    ours = cost_of(call("linear", (batch, rows, inner), (columns, inner), *added))
    theirs = cost_of(node(
        "Gemm", [(batch * rows, inner), *([] if packed else [(inner, columns)]), *added], [(batch * rows, columns)]
    ))  # fmt: skip
    assert theirs == ours


@given(heads=sizes, queries=sizes, keys=sizes, width=sizes)
def test_attention_takes_the_operations_of_its_two_products_and_fewer_bytes(heads, queries, keys, width):
    whole = cost_of(
        call("scaled_dot_product_attention", (1, heads, queries, width), *[(1, heads, keys, width)] * 2)
    )
    scores = cost_of(
        node("MatMul", [(1, heads, queries, width), (1, heads, width, keys)], [(1, heads, queries, keys)])
    )
    context = cost_of(
        node("MatMul", [(1, heads, queries, keys), (1, heads, keys, width)], [(1, heads, queries, width)])
    )
    assert whole.products == scores.products + context.products
    assert whole.bytes < scores.bytes + context.bytes


@given(
    op=st.sampled_from(sorted(CALLS) + sorted(NODES)),
    inputs=st.lists(st.lists(st.integers(0, 6), max_size=5).map(tuple), max_size=5),
    outputs=st.lists(st.lists(st.integers(0, 6), max_size=5).map(tuple), max_size=2),
)
def test_no_shapes_make_a_formula_fail_or_go_below_zero(op, inputs, outputs):
    engine = "torch" if op in CALLS else "onnxruntime"
    work = Work(id="w", engine=engine, op=op, inputs=tensors(*inputs), outputs=tensors(*outputs))
    cost = cost_of(work)
    assert cost is None or min(msgspec.structs.astuple(cost)[:3]) >= 0
    assert cost is None or cost.products <= cost.ops
