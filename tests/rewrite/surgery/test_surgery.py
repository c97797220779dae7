"""Surgeries on hand-made graphs: what is taken out, what stays, and that the outputs are the same, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from attrib.errors import AttribError
from attrib.rewrite.surgery.einsum_to_matmul import product_of
from attrib.rewrite.surgery.inverse_pairs import lossless
from tests.rewrite.surgery.graphs import DOUBLE, FLOAT, HALF, INT64, Bed, N, const, model_of, random_input

pytestmark = pytest.mark.engines

X = {"x": random_input()}


@pytest.fixture(scope="module")
def bed(tmp_path_factory):
    return Bed(tmp_path_factory.mktemp("surgery"))


def between(middle):
    """`middle` leads from `r` to `m`."""
    return [N("Relu", ["x"], ["r"]), *middle, N("Abs", ["m"], ["y"])]


def pair(first, second, inside=()):
    return between([first, *inside, second])


CASTS = N("Cast", ["r"], ["t"], to=DOUBLE), N("Cast", ["t"], ["m"], to=FLOAT)
SHORT = N("Cast", ["r"], ["t"], to=HALF), N("Cast", ["t"], ["m"], to=FLOAT)
TURN, BACK = N("Transpose", ["r"], ["t"], perm=[2, 0, 1]), N("Transpose", ["t"], ["m"], perm=[1, 2, 0])
BACK_U = N("Transpose", ["u"], ["m"], perm=[1, 2, 0])
FLAT, ROUND = N("Reshape", ["r", "flat"], ["t"]), N("Reshape", ["t", "round"], ["m"])
ROUND_U = N("Reshape", ["u", "round"], ["m"])
SHAPES = (const("flat", [6, 4], np.int64), const("round", [2, 3, 4], np.int64), const("one", [1], np.int64))
ROW = const("row", np.arange(3.0))

GOES = {
    "casts": (pair(*CASTS), ["Relu", "Abs"], "1 Cast pair"),
    "casts around moves": (
        pair(
            CASTS[0],
            N("Cast", ["v"], ["m"], to=FLOAT),
            [N("Transpose", ["t"], ["u"], perm=[1, 0, 2]), N("Reshape", ["u", "flat"], ["v"])],
        ),
        ["Relu", "Transpose", "Reshape", "Abs"],
        "1 Cast pair",
    ),
    "transposes": (pair(TURN, BACK), ["Relu", "Abs"], "1 Transpose pair"),
    "transposes around a constant": (
        pair(TURN, BACK_U, [N("Add", ["t", "row"], ["s"]), N("Neg", ["s"], ["u"])]),
        ["Relu", "Add", "Neg", "Abs"],
        "1 Transpose pair",
    ),
    "neighbors": (
        pair(TURN, N("Transpose", ["t"], ["m"], perm=[2, 0, 1])),
        ["Relu", "Transpose", "Abs"],
        "1 Transpose merged into the next",
    ),
    "reshapes": (pair(FLAT, ROUND), ["Relu", "Abs"], "1 Reshape pair"),
    "reshapes around a node": (
        pair(FLAT, ROUND_U, [N("Exp", ["t"], ["u"])]),
        ["Relu", "Exp", "Abs"],
        "1 Reshape pair",
    ),
    "squeeze of an unsqueeze": (
        pair(N("Unsqueeze", ["r", "one"], ["t"]), N("Squeeze", ["t", "one"], ["m"])),
        ["Relu", "Abs"],
        "1 Reshape pair",
    ),
    "flatten and reshape": (
        pair(N("Flatten", ["r"], ["t"], axis=2), ROUND),
        ["Relu", "Abs"],
        "1 Reshape pair",
    ),
}


@pytest.mark.parametrize("case", GOES)
def test_what_undoes_itself_goes_and_nothing_else(bed, case):
    nodes, ops, told = GOES[case]
    done = bed.rewrite("drop-inverse-pairs", model_of(nodes, [("y", FLOAT)], constants=(*SHAPES, ROW)), X)
    done.assert_bit_equal()
    assert done.ops == ops
    assert told in done.settings["dropped"]


STAYS = {
    "a lossy cast": pair(*SHORT),
    "a shared value on the way": [
        *pair(TURN, BACK_U, [N("Exp", ["t"], ["u"])])[:-1],
        N("Abs", ["m"], ["y"]),
        N("Neg", ["u"], ["z"]),
    ],
    "a node that minds": pair(TURN, BACK_U, [N("Softmax", ["t"], ["u"], axis=0)]),
    "a constant that would be laid out anew": pair(FLAT, ROUND_U, [N("Add", ["t", "four"], ["u"])]),
}


@pytest.mark.parametrize("case", STAYS)
def test_what_only_looks_like_a_pair_stays(bed, case):
    outputs = [("y", FLOAT)] + ([("z", FLOAT)] if case == "a shared value on the way" else [])
    model = model_of(STAYS[case], outputs, constants=(*SHAPES, const("four", np.arange(4.0))))
    done = bed.rewrite("drop-inverse-pairs", model, X)
    done.assert_bit_equal()
    assert done.ops == [node.op_type for node in model.graph.node]
    assert done.notes == ("--optimize drop-inverse-pairs changed no node of the graph",)


def test_output_of_the_graph_keeps_its_name_where_its_node_goes(bed):
    nodes = [N("Relu", ["x"], ["r"]), CASTS[0], N("Cast", ["t"], ["y"], to=FLOAT)]
    done = bed.rewrite("drop-inverse-pairs", model_of(nodes, [("y", FLOAT)]), X)
    done.assert_bit_equal()
    assert done.ops == ["Relu"]


def test_pair_between_an_input_and_an_output_stays_because_neither_can_lose_its_name(bed):
    nodes = [N("Cast", ["x"], ["t"], to=DOUBLE), N("Cast", ["t"], ["y"], to=FLOAT)]
    done = bed.rewrite("drop-inverse-pairs", model_of(nodes, [("y", FLOAT)]), X)
    done.assert_bit_equal()
    assert done.ops == ["Cast", "Cast"]


@pytest.mark.parametrize(
    ("source", "target", "nothing_lost"),
    [
        ("FLOAT", "DOUBLE", True),
        ("FLOAT", "FLOAT16", False),
        ("FLOAT16", "BFLOAT16", False),
        ("BFLOAT16", "FLOAT16", False),
        ("INT32", "FLOAT", False),
        ("INT32", "DOUBLE", True),
        ("INT64", "DOUBLE", False),
        ("INT8", "FLOAT16", True),
        ("UINT8", "INT8", False),
        ("INT8", "UINT16", False),
        ("BOOL", "INT64", True),
        ("INT64", "BOOL", False),
        ("STRING", "STRING", False),
    ],
)
def test_table_of_lossless_casts(source, target, nothing_lost):
    assert lossless(source, target) is nothing_lost


@st.composite
def chains(draw):
    """A random chain of moves and harmless nodes on a tensor of 24 elements; every value may leave the graph."""
    nodes, constants, value, shape, kind = [], [], "x", (2, 3, 4), FLOAT
    outputs = []
    for i in range(draw(st.integers(2, 9))):
        op = draw(
            st.sampled_from(["Transpose", "Reshape", "Cast", "Neg", "Relu", "Add", "Unsqueeze", "Back"])
        )
        out = f"v{i}"
        if op == "Transpose":
            perm = draw(st.permutations(range(len(shape))))
            nodes.append(N("Transpose", [value], [out], perm=perm))
            shape = tuple(shape[axis] for axis in perm)
        elif op in ("Reshape", "Back"):
            shape = (
                (2, 3, 4)
                if op == "Back"
                else draw(st.sampled_from([(6, 4), (24,), (4, 3, 2), (2, 12), (1, 24)]))
            )
            constants.append(const(f"s{i}", shape, np.int64))
            nodes.append(N("Reshape", [value, f"s{i}"], [out]))
        elif op == "Unsqueeze":
            constants.append(const(f"s{i}", [1], np.int64))
            nodes.append(N("Unsqueeze", [value, f"s{i}"], [out]))
            shape = (shape[0], 1, *shape[1:])
        elif op == "Cast":
            kind = draw(st.sampled_from([FLOAT, DOUBLE, HALF]))
            nodes.append(N("Cast", [value], [out], to=kind))
        elif op == "Add" and kind != HALF:
            # In half, ONNX Runtime itself decides where it rounds: its CPU kernels compute in float.
            held = np.arange(shape[-1]) if draw(st.booleans()) else np.array(1.5)
            constants.append(const(f"s{i}", held, helper.tensor_dtype_to_np_dtype(kind)))
            nodes.append(N("Add", [value, f"s{i}"], [out]))
        else:
            nodes.append(N("Abs" if op == "Add" else op, [value], [out]))
        value = out
        if draw(st.integers(0, 9)) == 0:
            outputs.append((value, kind))
    if (value, kind) not in outputs:
        outputs.append((value, kind))
    return model_of(nodes, outputs, constants=constants)


@settings(max_examples=60)
@given(model=chains())
def test_random_chains_give_the_same_bits_and_never_more_nodes(tmp_path_factory, model):
    done = Bed(tmp_path_factory.mktemp("chain")).rewrite("drop-inverse-pairs", model, X)
    done.assert_bit_equal()
    assert len(done.ops) <= len(model.graph.node)


def guarded(mask):
    """Attention weights whose masked rows are NaN without the guard."""
    nodes = [
        N("Add", ["x", "mask"], ["s"]),
        N("Softmax", ["s"], ["p"], axis=-1),
        N("IsNaN", ["p"], ["n"]),
        N("Where", ["n", "zero", "p"], ["w"]),
        N("Abs", ["w"], ["y"]),
    ]
    return model_of(nodes, [("y", FLOAT)], constants=[const("zero", 0.0), const("mask", mask)])


def test_guard_that_never_fires_goes_and_the_outcome_says_what_that_rests_on(bed):
    done = bed.rewrite("drop-nan-guard", guarded([0.0, 0.0, -np.inf, 0.0]), X)
    done.assert_bit_equal()
    assert done.ops == ["Add", "Softmax", "Abs"]
    assert done.settings == {"guards": "1", "dropped": "1", "kept": "0"}
    assert "proven for these inputs only" in done.notes[0]


def test_guard_that_fires_on_the_workloads_inputs_stays(bed):
    done = bed.rewrite("drop-nan-guard", guarded([-np.inf] * 4), X)
    done.assert_bit_equal()
    assert done.before["y"].max() == 0
    assert "Where" in done.ops
    assert "kept 1 guard" in done.notes[0]


def test_guard_of_something_else_than_a_softmax_stays(bed):
    nodes = [N("Exp", ["x"], ["p"]), N("IsNaN", ["p"], ["n"]), N("Where", ["n", "zero", "p"], ["y"])]
    done = bed.rewrite("drop-nan-guard", model_of(nodes, [("y", FLOAT)], constants=[const("zero", 0.0)]), X)
    done.assert_bit_equal()
    assert done.ops == ["Exp", "IsNaN", "Where"]


def test_equal_subtrees_become_one_and_random_nodes_stay_two(bed):
    nodes = [
        N("Mul", ["x", "c"], ["a1"]),
        N("Mul", ["d", "x"], ["a2"]),
        N("Softmax", ["a1"], ["b1"], axis=1),
        N("Softmax", ["a2"], ["b2"], axis=1),
        N("Softmax", ["a2"], ["other"], axis=2),
        N("RandomUniformLike", ["x"], ["r1"], seed=1.0),
        N("RandomUniformLike", ["x"], ["r2"], seed=1.0),
        N("Sub", ["r1", "r2"], ["noise"]),
        N("Mul", ["noise", "nothing"], ["none"]),
        N("Sum", ["b1", "b2", "other", "none"], ["y"]),
    ]
    constants = [const("c", 1.5), const("d", 1.5), const("nothing", 0.0)]
    done = bed.rewrite("merge-duplicates", model_of(nodes, [("y", FLOAT)], constants=constants), X)
    done.assert_bit_equal()
    assert sorted(done.ops) == sorted(
        ["Mul", "Softmax", "Softmax", "RandomUniformLike", "RandomUniformLike", "Sub", "Mul", "Sum"]
    )
    assert done.settings["merged"] == "1 Mul, 1 Softmax"
    assert {tensor.name for tensor in done.model.graph.initializer} == {"c", "nothing"}


def test_two_outputs_of_equal_nodes_keep_both_names(bed):
    nodes = [N("Exp", ["x"], ["y"]), N("Exp", ["x"], ["z"]), N("Exp", ["x"], ["w"]), N("Neg", ["w"], ["v"])]
    done = bed.rewrite("merge-duplicates", model_of(nodes, [("y", FLOAT), ("z", FLOAT), ("v", FLOAT)]), X)
    done.assert_bit_equal()
    assert sorted(done.ops) == ["Exp", "Exp", "Neg"]


def islands(*middle, exit_to=FLOAT, kind=FLOAT):
    nodes = [
        N("Relu", ["x"], ["r"]),
        N("Cast", ["r"], ["d"], to=DOUBLE),
        *middle,
        N("Cast", ["m"], ["f"], to=exit_to),
        N("Abs", ["f"], ["y"]),
    ]
    constants = [const("low", np.finfo(np.float64).min, np.float64), const("c", 0.1, np.float64)]
    return model_of(nodes, [("y", kind)], constants=constants)


def test_double_island_is_computed_in_float_and_says_by_how_much_that_differs(bed):
    middle = [N("Mul", ["d", "c"], ["e"]), N("Max", ["e", "low"], ["g"]), N("Tanh", ["g"], ["m"])]
    done = bed.rewrite("double-to-float", islands(*middle), X)
    assert done.ops == ["Relu", "Mul", "Max", "Tanh", "Abs"]
    np.testing.assert_allclose(done.after["y"], done.before["y"], rtol=1e-6)
    assert done.settings["islands"] == "1"
    assert "1 island of double in float" in done.notes[0]


@pytest.mark.parametrize(
    "model",
    [
        islands(N("Exp", ["d"], ["m"]), exit_to=INT64, kind=INT64),
        islands(N("Exp", ["d"], ["m"]), N("Greater", ["m", "c"], ["g"])),
        islands(N("Identity", ["low"], ["m"])),
    ],
    ids=["it becomes an integer", "it decides something", "nothing of it comes from float"],
)
def test_what_is_no_island_stays_double(bed, model):
    done = bed.rewrite("double-to-float", model, X)
    done.assert_bit_equal()
    assert done.settings["islands"] == "0"


def test_island_that_needs_its_precision_is_refused_with_the_size_of_the_error(bed):
    middle = [N("Add", ["d", "big"], ["e"]), N("Sub", ["e", "big"], ["m"])]
    model = islands(*middle)
    model.graph.initializer.append(const("big", 1e9, np.float64))
    with pytest.raises(
        AttribError, match=r"--optimize double-to-float failed: .* of its largest value"
    ) as caught:
        bed.rewrite("double-to-float", model, X)
    assert "\n" not in str(caught.value)


SIZES = dict(zip("abcdefijk", (2, 3, 4, 5, 6, 2, 3, 4, 5), strict=True))

TRANSPOSE, RESHAPE, MATMUL = "Transpose", "Reshape", "MatMul"
PRODUCTS = {
    "abc,dc->abd": ([MATMUL], [TRANSPOSE, MATMUL]),
    "ab,bc->ac": ([MATMUL], [MATMUL]),
    "ab, bc": ([MATMUL], [MATMUL]),
    "abcd,abed->abce": ([MATMUL], [TRANSPOSE, MATMUL]),
    "abcd,aecd->acbe": ([TRANSPOSE, MATMUL], [TRANSPOSE, TRANSPOSE, MATMUL]),
    "abc,acd->adb": ([MATMUL, TRANSPOSE], [MATMUL, TRANSPOSE]),
    "abc,bcd->ad": ([RESHAPE, MATMUL], [RESHAPE, RESHAPE, MATMUL]),
    "abc,abc->a": ([RESHAPE, MATMUL, RESHAPE], [RESHAPE, RESHAPE, MATMUL, RESHAPE]),
    "abcd,cd->ab": ([RESHAPE, MATMUL, RESHAPE], [RESHAPE, RESHAPE, MATMUL, RESHAPE]),
}
"""Equation -> the nodes that it becomes where the second operand is a constant, and where it is none."""


@pytest.mark.parametrize("equation", PRODUCTS)
def test_einsum_that_is_a_product_becomes_one(bed, equation):
    left, right = equation.replace(" ", "").split("->", maxsplit=1)[0].split(",")
    own, other = [SIZES[label] for label in left], [SIZES[label] for label in right]
    constant = random_input(other, 2)
    inputs = {"p": random_input(own, 1)}
    declared = [("p", FLOAT, own)]
    for weight in (True, False):
        model = model_of(
            [N("Einsum", ["p", "q"], ["y"], equation=equation)],
            [("y", FLOAT)],
            inputs=declared if weight else [*declared, ("q", FLOAT, other)],
            constants=[const("q", constant)] if weight else [],
        )
        done = bed.rewrite("einsum-to-matmul", model, inputs if weight else inputs | {"q": constant})
        assert done.before["y"].shape == done.after["y"].shape
        np.testing.assert_allclose(done.after["y"], done.before["y"], rtol=1e-4, atol=1e-5)
        assert done.ops == PRODUCTS[equation][0 if weight else 1]


def test_constant_operand_is_transposed_beforehand(bed):
    model = model_of(
        [N("Einsum", ["x", "w"], ["y"], equation="bsh,oh->bso")],
        [("y", FLOAT)],
        constants=[const("w", random_input((5, 4)))],
    )
    done = bed.rewrite("einsum-to-matmul", model, X)
    assert done.ops == ["MatMul"]
    assert [tensor.dims for tensor in done.model.graph.initializer] == [[4, 5]]


@pytest.mark.parametrize(
    "equation",
    ["ii->i", "ab,cd->abcd", "ab,ab->ab", "ab,bc->c", "ab,bc,cd->ad", "...ab,bc->...ac", "aab,bc->ac"],
)
def test_einsum_that_is_no_product_of_two_is_none(equation):
    assert product_of(equation) is None


def test_einsum_that_stretches_a_size_of_one_stays(bed):
    model = model_of(
        [N("Einsum", ["x", "w"], ["y"], equation="bsh,oh->bso")],
        [("y", FLOAT)],
        constants=[const("w", random_input((5, 1)))],
    )
    done = bed.rewrite("einsum-to-matmul", model, X)
    assert done.ops == ["Einsum"]
    assert done.settings == {"rewritten": "nothing", "products": "0", "left": "bsh,oh->bso"}


def norm(source, result, size, **more):
    return N(
        "BatchNormalization",
        [source, *(f"{what}{size}" for what in ("scale", "bias", "mean", "var"))],
        [result],
        **more,
    )


def statistics(size):
    values = {"scale": 1.5, "bias": 0.3, "mean": -0.2, "var": 0.7}
    return [const(f"{what}{size}", value + 0.1 * np.arange(size)) for what, value in values.items()]


NORMS = {
    "in front of a product": [norm("x", "n", 4), N("MatMul", ["n", "w"], ["y"])],
    "in front of a product and its bias": [
        norm("x", "n", 4),
        N("MatMul", ["n", "w"], ["p"]),
        N("Add", ["b", "p"], ["y"]),
    ],
    "in front of a Gemm": [
        norm("x", "n", 4),
        N("Gemm", ["n", "v", "b"], ["y"], transB=1, alpha=0.5, beta=2.0),
    ],
    "behind a Gemm": [N("Gemm", ["x", "v"], ["p"], transB=1), norm("p", "y", 5, epsilon=0.1)],
    "behind a product": [N("MatMul", ["x", "w"], ["p"]), norm("p", "y", 5)],
    "behind a product and its bias": [
        N("MatMul", ["x", "w"], ["p"]),
        N("Add", ["p", "b"], ["q"]),
        norm("q", "y", 5),
    ],
    "two around one product": [norm("x", "n", 4), N("Gemm", ["n", "w", "b"], ["p"]), norm("p", "y", 5)],
}
ROWS_OF_FOUR = {"inputs": [("x", FLOAT, [3, 4])]}


def weights(nodes):
    """Those of them that the nodes read."""
    given = {"w": (4, 5), "v": (5, 4), "b": (5,), "left": (2, 3), "tall": (3, 2)}
    every = [
        const(name, random_input(shape, seed)) for seed, (name, shape) in enumerate(given.items(), start=1)
    ]
    every += [*statistics(4), *statistics(5)]
    read = {name for node in nodes for name in node.input}
    return [tensor for tensor in every if tensor.name in read]


@pytest.mark.parametrize("case", NORMS)
def test_batch_norm_goes_into_the_weights_beside_it(bed, case):
    model = model_of(NORMS[case], [("y", FLOAT)], constants=weights(NORMS[case]), **ROWS_OF_FOUR)
    done = bed.rewrite("fold-batch-norms", model, {"x": random_input((3, 4))})
    assert done.ops == ["Gemm"]
    np.testing.assert_allclose(done.after["y"], done.before["y"], rtol=1e-5, atol=1e-5)
    assert done.settings["left"] == "0"
    assert "changes the outputs by" in done.notes[0]
    assert len(done.model.graph.initializer) == 2


CUBE = [3, 4, 5]
UNFOLDED = {
    "something between": (
        [norm("x", "n", 4), N("Relu", ["n"], ["r"]), N("MatMul", ["r", "w"], ["y"])],
        [3, 4],
    ),
    "read twice": (
        [
            norm("x", "n", 4),
            N("MatMul", ["n", "w"], ["p"]),
            N("ReduceSum", ["n"], ["s"]),
            N("Add", ["p", "s"], ["y"]),
        ],
        [3, 4],
    ),
    "the weights of the product": ([norm("x", "n", 4), N("MatMul", ["left", "n"], ["y"])], [3, 4]),
    "no constant weights": ([norm("x", "n", 4), N("MatMul", ["n", "square"], ["y"])], [4, 4]),
    "channels that nothing sums over": ([norm("x", "n", 4), N("MatMul", ["n", "v"], ["y"])], CUBE),
    "a transposed product": ([norm("x", "n", 4), N("Gemm", ["n", "tall"], ["y"], transA=1)], [3, 4]),
}


@pytest.mark.parametrize("case", UNFOLDED)
def test_batch_norm_that_no_weight_can_hold_stays(bed, case):
    nodes, shape = UNFOLDED[case]
    if case == "no constant weights":
        nodes = [N("Exp", ["x"], ["square"]), *nodes]
    model = model_of(nodes, [("y", FLOAT)], constants=weights(nodes), inputs=[("x", FLOAT, shape)])
    done = bed.rewrite("fold-batch-norms", model, {"x": random_input(shape)})
    done.assert_bit_equal()
    assert "BatchNormalization" in done.ops
    assert done.settings == {"folded": "0", "left": "1"}


def hidden_states():
    nodes = [
        N("Exp", ["x"], ["h1"]),
        N("Neg", ["h1"], ["h2"]),
        N("Abs", ["h2"], ["last"]),
        N("Sin", ["x"], ["extra"]),
    ]
    return model_of(nodes, [(name, FLOAT) for name in ("h1", "last", "h2", "extra")])


def test_outputs_that_the_model_does_not_return_go_with_what_only_they_need(bed):
    done = bed.rewrite("drop-unused-outputs", hidden_states(), X, outputs=["last"])
    assert [value.name for value in done.model.graph.output] == ["last"]
    assert done.ops == ["Exp", "Neg", "Abs"]
    assert done.settings == {"dropped": "h1, h2, extra", "kept": "last"}
    np.testing.assert_array_equal(done.after["last"], done.before["last"])


def test_initializers_that_are_inputs_become_constants(bed):
    nodes = [N("Neg", ["w"], ["n"]), N("Add", ["x", "n"], ["y"])]
    inputs = (("x", FLOAT, [2, 3, 4]), ("w", FLOAT, [4]))
    model = model_of(nodes, [("y", FLOAT)], inputs=inputs, constants=[const("w", np.arange(4.0))])
    done = bed.rewrite("drop-initializer-inputs", model, X)
    assert [value.name for value in done.model.graph.input] == ["x"]
    assert [tensor.name for tensor in done.model.graph.initializer] == ["w"]
    assert done.settings == {"dropped": "1"}
    np.testing.assert_array_equal(done.after["y"], done.before["y"])


@pytest.mark.parametrize("names", [["h1", "last", "h2", "extra"], ["a", "b", "c", "d"]])
def test_as_many_outputs_as_the_model_returns_stay(bed, names):
    done = bed.rewrite("drop-unused-outputs", hidden_states(), X, outputs=names)
    done.assert_bit_equal()


def test_outputs_by_other_names_are_not_guessed_at(bed):
    with pytest.raises(
        AttribError, match=r"the graph has 4 outputs and PyTorch returns 1, but none .* 'result'"
    ):
        bed.rewrite("drop-unused-outputs", hidden_states(), X, outputs=["result"])
