"""Layer norms and GELUs of single operators, found by their arithmetic, and measured by their fused peers."""

import dataclasses

import pytest

from attrib.findings.evidence.executed_graph import executed_graph
from attrib.findings.evidence.unfused_patterns import find_unfused_layers
from attrib.findings.runner import run
from attrib.model.work import Work
from tests.findings.evidence_factory import MS, node, row, tensor
from tests.findings.graph_evidence import Ran, given

WIDE = tensor(1, 32, 3072)


def finding(name, given_evidence):
    return next(f for f in run(given_evidence) if f.id == name)


def norm(source="x", result="y", i="", power=False):
    """A layer norm, its square as a product or a power."""
    square = ["Pow", [f"d{i}", "two"]] if power else ["Mul", [f"d{i}", f"d{i}"]]
    return [
        ["ReduceMean", [source, "axes"], f"m{i}"],
        ["Sub", [source, f"m{i}"], f"d{i}"],
        [*square, f"q{i}"],
        ["ReduceMean", [f"q{i}", "axes"], f"v{i}"],
        ["Add", [f"v{i}", "eps"], f"e{i}"],
        ["Sqrt", [f"e{i}"], f"s{i}"],
        ["Div", [f"d{i}", f"s{i}"], f"n{i}"],
        ["Mul", [f"n{i}", "weight"], f"w{i}"],
        ["Add", [f"w{i}", "bias"], result],
    ]


def rms(source="x", result="y"):
    return [
        ["Mul", [source, source], "q"],
        ["ReduceMean", ["q", "axes"], "v"],
        ["Add", ["v", "eps"], "e"],
        ["Sqrt", ["e"], "s"],
        ["Reciprocal", ["s"], "r"],
        ["Mul", [source, "r"], "n"],
        ["Mul", ["n", "weight"], result],
    ]


def gelu_of_halves(source="x", result="y"):
    """`x (1/2 + erf / 2)`."""
    return [
        ["Mul", [source, "root"], "a"],
        ["Erf", ["a"], "b"],
        ["Mul", ["b", "half"], "c"],
        ["Add", ["c", "half"], "d"],
        ["Mul", [source, "d"], result],
    ]


def gelu_textbook(source="x", result="y"):
    """`x (1 + erf) / 2`."""
    return [
        ["Div", [source, "root"], "a"],
        ["Erf", ["a"], "b"],
        ["Add", ["b", "one"], "c"],
        ["Mul", [source, "c"], "d"],
        ["Mul", ["d", "half"], result],
    ]


def gelu_of_tanh(source="x", result="y"):
    return [
        ["Pow", [source, "three"], "p"],
        ["Mul", ["p", "c1"], "a"],
        ["Add", [source, "a"], "b"],
        ["Mul", ["b", "c2"], "c"],
        ["Tanh", ["c"], "t"],
        ["Add", ["t", "one"], "u"],
        ["Mul", [source, "u"], "w"],
        ["Mul", ["w", "half"], result],
    ]


CONSTANTS = (
    "axes", "two", "eps", "weight", "bias", "root", "half", "one", "three", "c1", "c2", "linear weight", "linear bias",
)  # fmt: skip


def layer(specs, ns=MS, **more):
    return [
        Ran(node(op, inputs, [output], name=f"{op} {output}"), ns, result=WIDE, **more)
        for op, inputs, output in specs
    ]


def linear(output="x"):
    """What a layer reads: a product and its bias, which are no part of it."""
    return [
        Ran(node("MatMul", ["in", "linear weight"], ["p"], name="product"), 9 * MS, result=WIDE),
        Ran(node("Add", ["p", "linear bias"], [output], name="linear"), MS, result=WIDE),
    ]


class TestArithmetic:
    @pytest.mark.parametrize(
        ("specs", "name"),
        [
            (norm(), "LayerNorm"),
            (norm(power=True), "LayerNorm"),
            (rms(), "LayerNorm"),
            (gelu_of_halves(), "GELU"),
            (gelu_textbook(), "GELU"),
            (gelu_of_tanh(), "GELU"),
        ],
    )
    def test_a_layer_is_found_whole_and_nothing_beside_it(self, specs, name):
        after = [Ran(node("Add", ["y", "other"], ["z"], name="residual"), MS, result=WIDE)]
        ran = executed_graph(given(*linear(), *layer(specs), *after, constants=CONSTANTS))
        (found,) = find_unfused_layers(ran)
        assert (found.layer, found.source) == (name, "x")
        assert [one.outputs[0] for one in found.nodes] == [spec[-1] for spec in specs]

    @pytest.mark.parametrize(
        "specs",
        [
            [["Tanh", ["x"], "y"]],  # a pooler
            [["Erf", ["x"], "a"], ["Mul", ["a", "half"], "y"]],
            [["Sqrt", ["x"], "y"]],
            [["ReduceMean", ["x", "axes"], "m"], ["Sqrt", ["m"], "s"], ["Div", ["x", "s"], "y"]],
            [
                ["Mul", ["x", "other"], "q"],
                ["ReduceMean", ["q", "axes"], "m"],
                ["Sqrt", ["m"], "s"],
                ["Div", ["x", "s"], "y"],
            ],
        ],
    )  # fmt: skip
    def test_other_arithmetic_is_no_layer(self, specs):
        assert find_unfused_layers(executed_graph(given(*linear(), *layer(specs), constants=CONSTANTS))) == ()

    def test_several_layers_in_a_row_stay_apart(self):
        specs = [*norm("x", "h", 1), *norm("h", "k", 2)]
        found = find_unfused_layers(executed_graph(given(*linear(), *layer(specs), constants=CONSTANTS)))
        assert [(one.source, len(one.nodes)) for one in found] == [("x", 9), ("h", 9)]


class TestClaim:
    def peer(self, op, ns, name="peer"):
        return Ran(node(op, ["peer in"], ["peer out"], name=name), ns, result=WIDE)

    @pytest.mark.rule("unfused-layers", "fires")
    def test_the_fused_node_elsewhere_in_the_graph_is_the_measure(self):
        ran = (*linear(), *layer(gelu_of_halves()), self.peer("Gelu", 2 * MS))
        found = finding("unfused-layers", given(*ran, constants=CONSTANTS))
        assert found.title == "Not fused: 1 GELU"
        assert found.saving_ns == pytest.approx(3 * MS, rel=0.02)  # five nodes of 1 ms less 2 ms
        assert "in one node of this graph" in found.evidence[0].text

    def test_a_fused_node_with_the_residual_is_compared_with_both(self):
        residual = Ran(node("Add", ["a", "b"], ["x"], name="residual"), MS, result=WIDE)
        ran = (residual, *layer(norm()), self.peer("SkipLayerNormalization", 2 * MS))
        found = finding("unfused-layers", given(*ran, constants=CONSTANTS))
        assert found.saving_ns == pytest.approx(8 * MS, rel=0.02)  # nine nodes and the addition less 2 ms

    def test_a_peer_of_another_size_counts_by_its_elements(self):
        small = Ran(node("Gelu", ["peer in"], ["peer out"], name="peer"), MS, result=tensor(1, 32, 1536))
        found = finding(
            "unfused-layers", given(*linear(), *layer(gelu_of_halves()), small, constants=CONSTANTS)
        )
        assert found.saving_ns == pytest.approx(3 * MS, rel=0.02)

    def test_without_a_peer_a_norm_is_measured_by_pytorchs_call(self):
        calls = {"n": Work(id="n", engine="torch", op="aten::layer_norm", inputs=(WIDE,))}
        found = given(*linear(), *layer(norm(), ns=3 * MS), calls=calls, constants=CONSTANTS)
        found.ledger.work_ns["n"] = 4 * MS
        found = finding("unfused-layers", found)
        assert found.saving_ns == pytest.approx(23 * MS, rel=0.02)  # nine nodes less 4 ms
        assert "in PyTorch" in found.evidence[0].text

    def test_a_norm_that_pytorch_takes_apart_as_well_is_compared_with_its_calls(self):
        same = [
            dataclasses.replace(one, calls=((f"call {i}", "aten::mul"),), torch_ns=MS)
            for i, one in enumerate(layer(norm(), ns=3 * MS))
        ]
        found = finding("unfused-layers", given(*linear(), *same, constants=CONSTANTS))
        assert found.saving_ns == pytest.approx(
            18 * MS, rel=0.02
        )  # nine nodes of 3 ms less nine calls of 1 ms

    def test_without_a_peer_a_gelu_is_measured_by_its_own_curve(self):
        found = finding("unfused-layers", given(*linear(), *layer(gelu_of_halves()), constants=CONSTANTS))
        assert found.saving_ns == pytest.approx(4 * MS, rel=0.02)  # five nodes less the Erf
        assert "of its Erf" in found.evidence[0].text

    @pytest.mark.rule("unfused-layers", "passes")
    def test_fused_layers_pass(self):
        assert finding("unfused-layers", given(self.peer("Gelu", MS))).state == "passed"

    def test_its_time_is_not_told_again(self):
        ran = (*linear(), *layer(gelu_of_halves(), cause="extra_work"), self.peer("Gelu", 2 * MS))
        found = given(*ran, constants=CONSTANTS)
        assert finding("unfused-layers", found).state == "failed"
        assert finding("extra-nodes", found).state == "passed"

    def test_a_layer_that_no_pattern_knows_is_still_weighed_by_its_row(self):
        ran = (*linear(), *layer(gelu_of_halves()), self.peer("Gelu", 2 * MS))
        found = given(*ran, constants=CONSTANTS)
        nodes = [("log", "Pow"), ("exp", "Mul")]
        other = row("decomposed", MS, 5 * MS, module="m", calls=[("n", "aten::layer_norm")], nodes=nodes)
        ledger = type(found.ledger)(
            (*found.ledger.rows, other),
            found.ledger.work_ns | {"log": 2 * MS, "exp": 3 * MS, "n": MS},
        )
        both = finding("unfused-layers", dataclasses.replace(found, ledger=ledger))
        assert both.title == "Not fused: 1 GELU, 1 LayerNorm"
        assert both.saving_ns == pytest.approx(7 * MS, rel=0.05)
