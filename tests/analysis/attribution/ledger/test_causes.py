"""Which cause the work of a region has."""

import pytest

from attrib.analysis.attribution.ledger.causes import by_cause
from attrib.model.work import Work


def split(calls, nodes):
    """The ops under each cause: those of PyTorch, and those of ONNX Runtime."""
    works = [
        [Work(id=f"{engine} {i} {op}", engine=engine, op=op) for i, op in enumerate(ops.split())]
        for engine, ops in (("torch", calls), ("onnxruntime", nodes))
    ]
    found = by_cause(*works, "both", "")
    return {
        cause: tuple(" ".join(work.op for work in side) for side in sides) for cause, sides in found.items()
    }


@pytest.mark.parametrize(
    ("calls", "nodes", "expected"),
    [
        ("aten::linear", "Gemm", {"kernel": ("aten::linear", "Gemm")}),
        ("aten::gelu", "Mul Erf Add Mul", {"decomposed": ("aten::gelu", "Mul Erf Add Mul")}),
        ("aten::add aten::layer_norm", "SkipLayerNormalization",
         {"fused": ("aten::add aten::layer_norm", "SkipLayerNormalization")}),
    ],
)  # fmt: skip
def test_one_for_several_is_decomposed_and_several_for_one_is_fused(calls, nodes, expected):
    assert split(calls, nodes) == expected


@pytest.mark.parametrize(
    ("product", "absorbed", "node"),
    [
        ("aten::linear", "aten::relu", "FusedGemm"),
        ("aten::conv2d", "aten::relu", "FusedConv"),
        ("aten::conv2d", "aten::batch_norm", "Conv"),
        ("aten::matmul", "aten::mul", "FusedMatMul"),
    ],
)
def test_a_product_is_a_kernel_and_only_what_it_took_in_is_fused(product, absorbed, node):
    assert split(f"{product} {absorbed}", node) == {"kernel": (product, node), "fused": (absorbed, "")}


def test_what_is_fused_apart_from_the_product_stays_with_its_node():
    found = split("aten::linear aten::add aten::layer_norm", "Gemm SkipLayerNormalization")
    assert found == {
        "kernel": ("aten::linear", "Gemm"),
        "fused": ("aten::add aten::layer_norm", "SkipLayerNormalization"),
    }


def test_products_that_became_one_are_fused():
    calls = "aten::linear aten::linear aten::linear"
    assert split(calls, "Gemm") == {"fused": (calls, "Gemm")}


@pytest.mark.parametrize(
    ("call", "nodes", "product", "beside"),
    [
        ("aten::linear", "MatMul Add", "MatMul", "Add"),
        ("aten::linear", "Max Gemm", "Gemm", "Max"),
        ("aten::conv2d", "Conv Mul Add", "Conv", "Mul Add"),
    ],
)
def test_a_product_is_a_kernel_and_only_what_stands_beside_it_is_decomposed(call, nodes, product, beside):
    assert split(call, nodes) == {"kernel": (call, product), "decomposed": ("", beside)}


@pytest.mark.parametrize(
    ("call", "nodes"),
    [
        (
            "aten::linear",
            "MatMul MatMul Max",
        ),  # computed twice, or in two halves: which is the call's is not known
        ("aten::scaled_dot_product_attention", "MatMul Softmax MatMul"),
    ],
)
def test_of_several_products_none_is_the_kernel(call, nodes):
    assert split(call, nodes) == {"decomposed": (call, nodes)}


@pytest.mark.parametrize(
    ("calls", "fusion", "beside"),
    [
        ("aten::add aten::layer_norm", "SkipLayerNormalization", "Trilu"),
        ("aten::add aten::layer_norm", "SkipLayerNormalization", "Max Min"),
        ("aten::add aten::softmax", "BiasSoftmax", "Trilu"),
    ],
)
def test_a_fusion_of_all_calls_is_fused_whatever_stands_beside_it(calls, fusion, beside):
    assert split(calls, f"{beside} {fusion}") == {"fused": (calls, fusion), "decomposed": ("", beside)}


def test_a_fusion_that_is_a_product_is_the_kernel_and_what_it_took_in_is_fused():
    found = split("aten::linear aten::relu", "FusedGemm Max")
    assert found == {
        "kernel": ("aten::linear", "FusedGemm"), "fused": ("aten::relu", ""), "decomposed": ("", "Max"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("calls", "nodes"),
    [
        ("aten::tanh aten::layer_norm", "Trilu SkipLayerNormalization"),  # that takes in no tanh
        ("aten::add aten::add", "Trilu SkipLayerNormalization"),  # nor is this the layer norm of any
        ("aten::layer_norm aten::layer_norm", "LayerNormalization LayerNormalization"),
    ],
)
def test_several_calls_without_a_known_fusion_are_counted(calls, nodes):
    assert split(calls, nodes) == {"kernel": (calls, nodes)}
