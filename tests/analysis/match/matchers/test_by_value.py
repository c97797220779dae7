"""Calls and nodes that make the same numbers are the same work, and so is what only leads to such numbers."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.regions import regions
from attrib.analysis.match.step_values import StepValues
from attrib.analysis.match.value_check import ValueCheck
from attrib.model.flow import Flow, FlowCall
from attrib.model.manifest import EXPORTED, OPTIMIZED
from attrib.model.region import Region
from attrib.model.tensor import Tensor
from attrib.model.values import CallValues, GraphValue, Kind, Values
from attrib.model.work import Work

X = Tensor("float", (4, 8))

Call = tuple[str, str, str]
"""`op`, the numbers that it takes, and those that it returns: one letter a class."""

Node = tuple[str, str, str]
"""`op`, the values that it reads, and those that it makes; a value holds the class of its first letter."""


class Step:
    """A step of either engine, in which `x` is the model's input; numbers with capital letters are one throughout."""

    def __init__(
        self,
        calls: Sequence[Call],
        nodes: Sequence[Node],
        output: str,
        *,
        nowhere: str = "",
        scope: str | None = None,
        modules: Sequence[str] = (),
        origins: Sequence[int] = (),
    ) -> None:
        """`modules`: of each call; `origins`: by node, the call whose module and fx node the exporter wrote into it."""
        letters = sorted({letter for _, taken, made in calls for letter in taken + made})
        number = {letter: i for i, letter in enumerate(letters)}
        kinds: tuple[Kind, ...] = tuple("constant" if letter.isupper() else "numbers" for letter in letters)
        self.calls = tuple(
            Work(
                id=f"/aten::{op}#{i}",
                engine="torch",
                op=f"aten::{op}",
                scope=modules[i] if modules else "",
                inputs=(X,),
            )
            for i, (op, _, _) in enumerate(calls)
        )
        makers: dict[str, int] = {}
        flow = []
        for i, (_, taken, made) in enumerate(calls):
            flow.append(
                FlowCall(id=self.calls[i].id, sources=tuple((makers[t], 0) for t in taken if t in makers))
            )
            makers |= dict.fromkeys(made, i)
        self.flow = Flow(calls=tuple(flow))
        graph_nodes = tuple(
            GraphNode(name=f"{i} {op}", index=i, op=op, domain="", inputs=tuple(ins.split()), outputs=tuple(outs.split()),
                      scope=modules[origins[i]] if origins else scope,
                      fx_node=f"fx_{origins[i]}" if origins else "",
                      fx_target=f"aten.{calls[origins[i]][0]}.default" if origins else "")
            for i, (op, ins, outs) in enumerate(nodes)
        )  # fmt: skip
        self.graph = Graph(
            nodes=graph_nodes,
            inputs=("x",),
            outputs=tuple(output.split()),
            constants=frozenset({"W"}),
            values={},
            opset=18,
        )
        held = {name for node in graph_nodes for name in (*node.inputs, *node.outputs) if name != "W"}
        row = {
            name: GraphValue(
                "constant" if name[0].isupper() else "numbers",
                (number[name[0]],)
                if name[0] in number and name[0] not in nowhere and not name[0].isupper()
                else (),
            )
            for name in held
        }
        rows = tuple(
            CallValues(
                id=w.id, inputs=tuple(number[t] for t in taken), outputs=tuple(number[m] for m in made)
            )
            for w, (_, taken, made) in zip(self.calls, calls, strict=True)
        )
        self.values = StepValues(Values(kinds=kinds, calls=rows, graphs={EXPORTED: row, OPTIMIZED: row}))

    def regions(self) -> list[Region]:
        ran = tuple(Work(id=n.name, engine="onnxruntime", op=n.op, inputs=(X,)) for n in self.graph.nodes)
        return list(
            regions(self.calls, ran, (self.graph, self.graph), ran=True, flow=self.flow, values=self.values)
        )

    def states(self) -> dict[str, str]:
        graphs = {EXPORTED: self.graph, OPTIMIZED: self.graph}
        found = self.regions()
        verdicts = ValueCheck(self.values, self.calls, graphs, rough=False).verdicts(found)
        return {told(region): verdicts[region.id].state for region in found if region.id in verdicts}


def told(region: Region) -> str:
    calls = " ".join(call.split("::")[1].split("#")[0] for call in region.calls)
    return f"{calls} = {' '.join(node.split(' ')[1] for node in region.nodes)}"


def matched(step: Step) -> set[str]:
    return set(map(told, step.regions()))


def test_a_call_that_returns_the_numbers_it_took_is_proved_to_pass_them_on():
    step = Step([("linear", "x", "a"), ("dropout", "a", "a")], [("Gemm", "x W", "a")], "a")
    (region,) = step.regions()
    assert told(region) == "linear dropout = Gemm"
    assert (region.match.method, region.match.confidence) == ("values", 0.999)


def test_a_call_whose_numbers_tell_nothing_passes_on_by_the_flow_only():
    step = Step([("linear", "x", "a"), ("dropout", "a", "C")], [("Gemm", "x W", "a")], "a")
    (region,) = step.regions()
    assert (region.match.method, region.match.confidence) == ("data-flow", 0.8)


def test_names_do_not_matter_where_the_numbers_agree():
    step = Step([("foo", "x", "a"), ("bar", "a", "b")], [("Qux", "x", "a"), ("Corge", "a", "b")], "b")
    assert matched(step) == {"foo = Qux", "bar = Corge"}
    assert {region.match.method for region in step.regions()} == {"values"}
    assert {region.match.confidence for region in step.regions()} == {0.999}
    assert set(step.states().values()) == {"verified"}


def test_two_branches_in_another_order_are_told_apart():
    step = Step(
        [("mul", "x", "a"), ("mul", "x", "b"), ("add", "ab", "c")],
        [("Mul", "x", "b"), ("Mul", "x", "a"), ("Add", "b a", "c")],
        "c",
    )
    by_nodes = {region.nodes: region.calls for region in step.regions()}
    assert by_nodes["0 Mul",] == ("/aten::mul#1",)
    assert by_nodes["1 Mul",] == ("/aten::mul#0",)


def test_nodes_that_only_lead_to_a_result_belong_to_its_call():
    step = Step(
        [("linear", "x", "a"), ("attention", "a", "b")],
        [("MatMul", "x W", "m"), ("Add", "m W", "a"), ("MatMul", "a a", "s"), ("Softmax", "s", "p"), ("MatMul", "p a", "b")],
        "b",
    )  # fmt: skip
    assert matched(step) == {"linear = MatMul Add", "attention = MatMul Softmax MatMul"}


def test_calls_that_only_lead_to_a_result_belong_to_its_node():
    step = Step([("mul", "x", "a"), ("tanh", "a", "b"), ("add", "bx", "c")], [("FastGelu", "x", "c")], "c")
    assert matched(step) == {"mul tanh add = FastGelu"}
    assert set(step.states().values()) == {"verified"}


def test_what_leads_to_two_results_ties_neither_to_the_other():
    step = Step(
        [("relu", "x", "a"), ("tanh", "x", "b"), ("add", "ab", "c")],
        [("Abs", "x", "m"), ("Relu", "m", "a"), ("Tanh", "m", "b"), ("Add", "a b", "c")],
        "c",
        scope="",
    )
    assert {"relu = Relu", "tanh = Tanh", "add = Add"} <= matched(step)


def test_what_one_side_computes_again_is_one_region():
    step = Step(
        [("cos", "x", "a"), ("cos", "x", "a"), ("mul", "a", "b")], [("Cos", "x", "a"), ("Mul", "a", "b")], "b"
    )
    assert matched(step) == {"cos cos = Cos", "mul = Mul"}


def test_as_many_on_both_sides_are_paired_in_order():
    step = Step(
        [("foo", "x", "a"), ("foo", "x", "a"), ("mul", "a", "b")],
        [("Qux", "x", "a"), ("Qux", "x", "a2"), ("Mul", "a a2", "b")],
        "b",
    )
    by_nodes = {region.nodes: region.calls for region in step.regions()}
    assert by_nodes["0 Qux",] == ("/aten::foo#0",)
    assert by_nodes["1 Qux",] == ("/aten::foo#1",)


def test_a_call_that_changes_its_input_too_little_makes_nothing():
    step = Step([("conv2d", "x", "a"), ("add", "a", "b")], [("Conv", "x W", "a"), ("Add", "a W", "b")], "b")
    from attrib.analysis.match.step_values import StepValues
    from attrib.model.values import CallValues, Values

    rows = tuple(
        CallValues(id=w.id, inputs=taken, outputs=made)
        for w, taken, made in zip(step.calls, ((0,), (1,)), ((1,), (2,)), strict=True)
    )
    near = StepValues(Values(kinds=("numbers",) * 3, calls=rows, near=((1, 2),)))
    assert [classes.made for classes in near.calls.values()] == [{1}, set()]


def test_what_leads_through_another_calls_work_does_not_belong_to_what_comes_after():
    step = Step(
        [("foo", "x", "a"), ("bar", "x", "a"), ("cat", "aa", "c")],
        [("Pre", "x", "p"), ("Qux", "p", "a"), ("Corge", "x", "a2"), ("More", "x", "a3"), ("Concat", "a a2 a3", "c")],
        "c",
        scope="",
    )  # fmt: skip
    (region,) = (region for region in step.regions() if "4 Concat" in region.nodes)
    assert "0 Pre" not in region.nodes


def test_several_on_both_sides_are_not_told_apart_by_their_numbers_and_no_work_of_one_side():
    step = Step(
        [("foo", "x", "a"), ("bar", "x", "a"), ("mul", "a", "b")],
        [("Qux", "x", "a"), ("Corge", "x", "a2"), ("Mul", "a a2", "b")],
        "b",
        scope="",
    )
    assert {region.origin for region in step.regions() if told(region) != "mul = Mul"} <= {"both", "unknown"}


def test_a_view_is_not_what_makes_its_numbers():
    step = Step(
        [("linear", "x", "a"), ("transpose", "a", "a"), ("relu", "a", "b")],
        [("Gemm", "x W", "a"), ("Transpose", "a", "a1"), ("Relu", "a1", "b")],
        "b",
    )  # fmt: skip
    found = {told(region): region.match.method for region in step.regions()}
    assert found["linear = Gemm"] == "values"
    assert found["relu = Relu"] == "values"


def test_numbers_that_are_one_throughout_tell_nothing():
    step = Step([("zeros", "x", "A"), ("add", "Ax", "b")], [("Expand", "x", "A"), ("Add", "A x", "b")], "b")
    assert {r.match.method for r in step.regions() if "add" in told(r)} == {"values"}
    assert {r.match.method for r in step.regions() if "zeros" in told(r)} != {"values"}


def test_a_region_of_which_something_was_not_read_is_not_verified():
    step = Step([("foo", "x", "a"), ("bar", "a", "b")], [("Qux", "x", "a"), ("Corge", "a", "b")], "b")
    regions_ = step.regions()
    for values in step.values.graphs.values():
        del values["a"]
    graphs = {EXPORTED: step.graph, OPTIMIZED: step.graph}
    found = ValueCheck(step.values, step.calls, graphs, rough=False).verdicts(regions_)
    (region,) = (r for r in regions_ if "0 Qux" in r.nodes and r.origin == "both")
    assert (found[region.id].state, found[region.id].reason) == (
        "unchecked",
        "something that leaves it was not read",
    )


def test_a_result_of_another_call_refutes_a_match():
    step = Step([("foo", "x", "a"), ("bar", "x", "b")], [("Qux", "x", "a"), ("Corge", "x", "b")], "a b")
    first, second = step.regions()
    from msgspec.structs import replace

    swapped = [replace(first, calls=second.calls), replace(second, calls=first.calls)]
    check = ValueCheck(
        step.values, step.calls, {EXPORTED: step.graph, OPTIMIZED: step.graph}, rough=False
    ).verdicts(swapped)
    assert {verdict.state for verdict in check.values()} == {"wrong"}
    assert check[swapped[0].id].elsewhere == first.calls


@given(st.integers(1, 12), st.randoms(use_true_random=False))
def test_every_unit_of_work_is_in_one_region_whatever_is_equal(size, chance):
    """Any step: chains and joins of calls, nodes that hold their numbers in any order or nowhere."""
    letters = "abcdefghijkl"[:size]
    calls: list[Call] = []
    for i, letter in enumerate(letters):
        before = ["x", *letters[:i]]
        calls.append(
            ("op", "".join(chance.sample(before, min(len(before), 1 + chance.randrange(2)))), letter)
        )
    kept = [letter for letter in letters if chance.random() < 0.7] or [letters[-1]]
    nodes: list[Node] = []
    for i, letter in enumerate(kept):
        before = ["x", *kept[:i]]
        nodes.append(
            ("Op", " ".join(chance.sample(before, min(len(before), 1 + chance.randrange(2)))), letter)
        )
    nowhere = "".join(letter for letter in kept if chance.random() < 0.3)
    step = Step(calls, nodes, kept[-1], nowhere=nowhere)
    found = step.regions()
    assert sorted(call for region in found for call in region.calls) == sorted(call.id for call in step.calls)
    assert len([node for region in found for node in region.nodes]) == len(nodes)
    for region in found:
        if region.match.method == "values":
            assert region.origin == "both"


ROUNDED = {
    "calls": [("linear", "x", "q"), ("addmm", "x", "k"), ("attention", "qk", "s"), ("relu", "s", "r")],
    "nodes": [
        ("Cast", "x", "p"), ("Gemm", "p W", "q"), ("Cast", "x", "o"), ("Gemm", "o W", "k"),
        ("MatMul", "q k", "m"), ("Softmax", "m", "s"), ("Relu", "s", "r"),
    ],
}  # fmt: skip
"""A tool rounds what two projections read: only from the attention on are the numbers equal."""


class TestInside:
    def step(self, **more):
        return Step(ROUNDED["calls"], ROUNDED["nodes"], "r", nowhere="pqokm", **more)

    def test_what_leads_to_one_call_goes_with_it_where_no_name_divides_it(self):
        assert matched(self.step()) == {
            "linear addmm attention = Cast Gemm Cast Gemm MatMul Softmax",
            "relu = Relu",
        }

    def test_fx_nodes_divide_it(self):
        step = self.step(modules=("q", "k", "a", "r"), origins=(0, 0, 1, 1, 2, 2, 3))
        assert matched(step) == {
            "linear = Cast Gemm",
            "addmm = Cast Gemm",
            "attention = MatMul Softmax",
            "relu = Relu",
        }
        assert {region.match.method for region in step.regions()} == {"fx-node", "values"}

    def test_a_part_is_verified_by_what_its_results_lead_to(self):
        step = self.step(modules=("q", "k", "a", "r"), origins=(0, 0, 1, 1, 2, 2, 3))
        assert set(step.states().values()) == {"verified"}

    def test_a_part_whose_results_never_become_pytorchs_is_not(self):
        step = Step(
            ROUNDED["calls"], ROUNDED["nodes"], "r", nowhere="pqokmsr",
            modules=("q", "k", "a", "r"), origins=(0, 0, 1, 1, 2, 2, 3),
        )  # fmt: skip
        states = step.states()
        assert states["linear = Cast Gemm"] == "wrong"  # here the numbers begin to differ
        assert states["attention = MatMul Softmax"] == states["relu = Relu"] == "unchecked"

    def test_a_part_whose_result_leaves_the_model_is_not_verified_by_its_other_readers(self):
        step = Step(
            ROUNDED["calls"], ROUNDED["nodes"], "r q", nowhere="pqokm",
            modules=("q", "k", "a", "r"), origins=(0, 0, 1, 1, 2, 2, 3),
        )  # fmt: skip
        assert matched(step) == {
            "linear = Cast Gemm",
            "addmm = Cast Gemm",
            "attention = MatMul Softmax",
            "relu = Relu",
        }
        states = step.states()
        assert (states["linear = Cast Gemm"], states["addmm = Cast Gemm"]) == ("wrong", "verified")
