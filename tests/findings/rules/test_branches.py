"""What became of a branch that was not taken, and of work that the export folded away."""

import dataclasses

import pytest

from attrib.analysis.lineage.graph import Graph
from attrib.findings.evidence.branches import conditionals, nodes_of_module, owners_of, selections
from attrib.findings.evidence.linear_layers import linear_layers, unmerged_products
from attrib.findings.runner import run
from attrib.model.manifest import EXPORTED, OPTIMIZED, InputSpec, UnusedModule
from attrib.model.region import Match, Region
from attrib.model.tensor import Tensor
from attrib.model.work import Work
from tests.findings.evidence_factory import MS, evidence, graph, manifest, node, row

OTHER = UnusedModule(name="if_false", kind="Linear", parameters=32_896)
MATCH = Match(method="identity", confidence=1.0)


def finding(given, name="untaken-branches"):
    return next(f for f in run(given) if f.id == name)


def texts(found):
    return " | ".join(line.text for line in found.evidence)


def indexed(*nodes, values=None, inputs=("x", "chosen"), outputs=("y",)):
    """A graph whose nodes know their place; constants are the names with `weight` or `bias` in them."""
    placed = tuple(n.__class__(**{**fields(n), "index": i}) for i, n in enumerate(nodes))
    constants = {name for n in nodes for name in n.inputs if name.endswith(("weight", "bias"))}
    return Graph(
        nodes=placed,
        inputs=inputs,
        outputs=outputs,
        constants=frozenset(constants),
        values={"chosen": Tensor("bool", ()), **(values or {})},
        opset=18,
    )


def fields(value):
    return {name: getattr(value, name) for name in value.__struct_fields__}


def changed(value, **changes):
    return value.__class__(**{**fields(value), **changes})


def linear(module, output, *, wrapper="", source="x", **changes):
    names = [f"{wrapper}{module}.{part}" for part in ("weight", "bias")]
    return changed(node("Gemm", [source, *names], [output], name=f"Gemm {module}"), **changes)


def branching(*, wrapper="", then="if_true", other="if_false"):
    """`If` behind its two branches, as the reader flattens it."""
    return indexed(
        linear(then, "a", wrapper=wrapper, parent=2, branch="then_branch"),
        linear(other, "b", wrapper=wrapper, parent=2, branch="else_branch"),
        node("If", ["chosen", "a", "b"], ["y"], name="choice"),
    )


def taken(*, region="if_true/linear"):
    return row(
        "kernel", 2 * MS, MS, module="if_true", region=region, noise=0.001 * MS,
        calls=[("if_true/aten::linear#0", "aten::linear")], nodes=[("Gemm if_true", "Gemm")],
    )  # fmt: skip


def choice(time=MS // 10):
    return row("extra_work", 0, time, module="", nodes=[("choice", "If")], noise=0.001 * MS)


def given(exported, *rows, optimized=None, unused=(OTHER,), **changes):
    works = {
        "torch": {
            name: Work(id=name, engine="torch", op=op, scope=name.rpartition("/")[0])
            for r in rows
            for name, op in zip(r.torch_calls, r.torch_ops, strict=True)
        },
        "onnxruntime": {
            name: Work(id=name, engine="onnxruntime", op=op, order=i)
            for i, (name, op) in enumerate(
                (n, op) for r in rows for n, op in zip(r.onnx_nodes, r.onnx_ops, strict=True)
            )
        },
    }
    return evidence(
        *rows,
        works=works,
        graphs={EXPORTED: exported, OPTIMIZED: optimized or exported},
        manifest=manifest(workload={"unused": unused}),
        **changes,
    )


class TestTracedAway:
    def test_a_module_that_neither_side_has_left_is_named_with_its_weights(self):
        found = finding(given(indexed(linear("if_true", "y")), taken()))
        assert (found.state, found.title) == ("failed", "Branches: if_false traced away")
        assert "if_false (Linear, 32,896 weights)" in texts(found)
        assert "costs no time" in found.summary
        assert "torch.cond" in found.fix

    def test_the_wrapper_of_an_exporter_hides_no_module(self):
        graphs = indexed(linear("if_true", "y", wrapper="model."))
        assert finding(given(graphs, taken())).title == "Branches: if_false traced away"
        both = indexed(
            linear("if_true", "a", wrapper="model."), linear("if_false", "y", wrapper="model.", source="a")
        )
        assert "traced away" not in finding(given(both, taken())).title

    def test_a_graph_without_names_says_nothing_of_modules(self):
        nameless = indexed(node("Gemm", ["x", "w"], ["y"], name="Gemm if_true"))
        assert finding(given(nameless, taken())).state == "passed"

    def test_a_module_of_a_similar_name_is_another(self):
        other = UnusedModule(name="if", kind="Linear", parameters=1)
        found = finding(given(indexed(linear("if_true", "y")), taken(), unused=(other,)))
        assert found.title == "Branches: if traced away"

    @pytest.mark.rule("untaken-branches", "passes")
    def test_a_model_that_uses_everything_passes(self):
        found = finding(given(indexed(linear("if_true", "y")), taken(), unused=()))
        assert found.state == "passed"
        assert "PyTorch used every module" in found.summary

    def test_without_a_record_of_what_pytorch_used_nothing_is_claimed(self):
        found = finding(given(indexed(linear("if_true", "y")), taken(), unused=None))
        assert found.state == "passed"
        assert "was not recorded" in found.summary


class TestFrozenInput:
    def of(self, inputs, given_inputs=("x", "chosen")):
        specs = tuple(InputSpec(name=name, tensor=Tensor("float", (1,))) for name in given_inputs)
        graphs = indexed(linear("if_true", "y"), inputs=inputs)
        base = given(graphs, taken(), unused=())
        return finding(dataclasses.replace(base, manifest=manifest(workload={"inputs": specs, "unused": ()})))

    def test_an_input_that_the_graph_does_not_take_is_named(self):
        found = self.of(("x",))
        assert found.title == "Branches: chosen ignored by the graph"
        assert "whatever it decides was decided at export" in texts(found)

    @pytest.mark.parametrize("inputs", [("x", "chosen"), ("input.1",), ()])
    def test_all_inputs_or_other_names_say_nothing(self, inputs):
        assert self.of(inputs).state == "passed"


class TestIf:
    @pytest.mark.rule("untaken-branches", "fires")
    @pytest.mark.parametrize("wrapper", ["", "model."])
    def test_the_branch_that_ran_and_the_price_of_the_choice_are_told(self, wrapper):
        found = finding(given(branching(wrapper=wrapper), taken(), choice()))
        assert found.title == "Branches: if_true or if_false exported as If (100 µs)"
        assert "then_branch (if_true) ran: Gemm" in texts(found)
        assert "else_branch (if_false) did not run" in texts(found)
        assert "the `If` itself takes 100 µs" in texts(found)
        assert found.evidence[0].value_ns == MS // 10
        assert found.evidence[0].rows == (choice().id,)

    def test_a_branch_without_nodes_is_not_said_to_have_stood_still(self):
        empty = indexed(
            linear("if_true", "a", parent=1, branch="then_branch"),
            node("If", ["chosen", "a", "x"], ["y"], name="choice"),
        )
        assert "else_branch holds no node" in texts(finding(given(empty, choice(), unused=())))

    def test_a_nested_choice_belongs_to_both(self):
        nested = indexed(
            linear("inner", "a", parent=1, branch="else_branch"),
            node("If", ["chosen", "a"], ["b"], name="inner choice"),
            node("If", ["chosen", "b"], ["y"], name="choice"),
        )
        nested = changed(
            nested,
            nodes=(
                nested.nodes[0],
                changed(nested.nodes[1], parent=2, branch="then_branch"),
                nested.nodes[2],
            ),
        )
        inner, outer = conditionals(nested)
        assert [n.name for n in inner.branches["else_branch"]] == ["Gemm inner"]
        assert [n.name for n in outer.branches["then_branch"]] == ["Gemm inner", "inner choice"]

    def test_a_choice_that_the_session_could_make_itself_is_told(self):
        found = finding(given(branching(), taken(), optimized=indexed(linear("if_true", "y"))))
        assert found.title == "Branches: 1 branch exported as If"
        assert "kept the branch that is taken" in texts(found)


class TestBothComputed:
    def where(self, **changes):
        values = changes.pop("values", {})
        return indexed(
            linear("if_true", "a"),
            linear("if_false", "b"),
            node("Where", ["chosen", "a", "b"], ["y"], name="keep"),
            values=values,
            **changes,
        )

    def rows(self):
        other = row(
            "kernel", 2 * MS, 3 * MS, module="if_false",
            calls=[("if_false/aten::linear#0", "aten::linear")], nodes=[("Gemm if_false", "Gemm")],
        )  # fmt: skip
        return taken(), other

    def test_the_cheaper_result_is_what_is_lost_for_certain(self):
        found = finding(given(self.where(), *self.rows(), unused=()))
        assert found.title == "Branches: if_true and if_false both computed (1 ms)"
        assert found.evidence[0].value_ns == MS
        assert "PyTorch computes both, too" in texts(found)
        assert "at least 1" in found.summary

    def test_a_where_that_chooses_element_by_element_keeps_both(self):
        mask = self.where(values={"chosen": Tensor("bool", (4, 128))})
        assert selections(mask) == ()
        assert finding(given(mask, *self.rows(), unused=())).state == "passed"

    def test_a_condition_of_unknown_size_is_no_choice(self):
        assert selections(self.where(values={"chosen": Tensor("bool", (-1, -1))})) == ()

    def test_what_serves_both_sides_or_an_output_is_not_lost(self):
        shared = indexed(
            linear("common", "c"),
            linear("if_true", "a", source="c"),
            linear("if_false", "b", source="c"),
            node("Where", ["chosen", "a", "b"], ["y"], name="keep"),
        )
        (found,) = selections(shared)
        assert [n.name for n in (*found.first, *found.second)] == ["Gemm if_true", "Gemm if_false"]
        assert selections(self.where(outputs=("y", "a"))) == ()

    def test_a_chain_before_the_choice_is_lost_with_it(self):
        chain = indexed(
            linear("if_true", "h"),
            node("Relu", ["h"], ["a"]),
            linear("if_false", "b"),
            node("Where", ["chosen", "a", "b"], ["y"], name="keep"),
        )
        (found,) = selections(chain)
        assert [n.op for n in found.first] == ["Gemm", "Relu"]

    def test_nodes_of_a_module_that_pytorch_left_out_are_told_with_their_time(self):
        exported = self.where()
        rows = self.rows()
        silent = changed(rows[1], torch_calls=(), torch_ops=(), torch_ns=0, delta_ns=3 * MS)
        regions = {
            r.region: Region(
                id=r.region, module=r.module, calls=r.torch_calls, nodes=r.onnx_nodes, match=MATCH,
                lineage=((i,), (i,)),
            )
            for i, r in enumerate((rows[0], silent))
        }  # fmt: skip
        found = finding(given(exported, rows[0], silent, regions=regions))
        assert "if_false executed in ONNX Runtime only" in found.title
        assert "ONNX Runtime ran Gemm of it in 3" in texts(found)


def test_names_of_modules_survive_a_wrapper_only_where_they_are_known():
    wrapped = indexed(linear("if_true.0", "y", wrapper="model."))
    assert owners_of(wrapped, {"if_true.0"}) == [("if_true.0",)]
    plain = indexed(linear("if_true.0", "y"))
    assert owners_of(plain, {"if_true.0"}) == [("if_true.0",)]
    assert [n.op for n in nodes_of_module(plain, owners_of(plain, {"if_true.0"}), "if_true")] == ["Gemm"]
    assert nodes_of_module(plain, owners_of(plain, {"if_true.0"}), "if") == ()


class TestFoldedWork:
    def folded(self, torch_ns=5 * MS, **changes):
        calls = [("/aten::arange#0", "aten::arange"), ("/aten::exp#0", "aten::exp")]
        return row("missing_work", torch_ns, 0, module="", calls=calls, **changes)

    def graph(self):
        return graph(
            node("Exp", ["positions"], ["matrix"]),
            node("MatMul", ["x", "matrix"], ["y"], name="product"),
            values={"matrix": Tensor("float", (256, 256))},
        )

    def given(self, *rows):
        exported = changed(self.graph(), constants=frozenset({"positions"}))
        return evidence(*rows, graphs={EXPORTED: exported, OPTIMIZED: exported})

    @pytest.mark.rule("folded-work", "fires")
    def test_what_only_pytorch_runs_is_told_with_the_constant_in_its_place(self):
        found = finding(self.given(self.folded()), "folded-work")
        assert found.title == "Run in PyTorch only: 2 calls that the export folded or dropped"
        assert (found.explains_ns, found.saving_ns) == (-5 * MS, 0)
        assert "product reads matrix, float[256×256], which depends on no input" in texts(found)

    @pytest.mark.parametrize(
        ("free", "state", "told"),
        [
            (None, "failed", "See whether these calls depend on an input"),
            ({"/aten::arange#0", "/aten::exp#0"}, "failed", "these calls depend on no input"),
            ({"/aten::arange#0"}, "passed", ""),
        ],
    )
    def test_what_depends_on_an_input_is_not_said_to_be_constant(self, free, state, told):
        free = None if free is None else frozenset(free)
        given_evidence = dataclasses.replace(self.given(self.folded()), input_free=free)
        found = finding(given_evidence, "folded-work")
        assert found.state == state
        assert told in found.fix

    def test_a_module_with_nodes_that_nobody_called_is_left_to_the_match(self):
        missed = row("extra_work", 0, MS, module="", nodes=[("n", "ReduceMean")])
        assert finding(self.given(self.folded(), missed), "folded-work").state == "passed"

    @pytest.mark.rule("folded-work", "passes")
    def test_little_work_is_listed_as_checked(self):
        found = finding(self.given(self.folded(MS // 2, noise=1000)), "folded-work")
        assert found.state == "passed"
        assert "2 calls of PyTorch left no node" in found.summary


class TestLinearLayers:
    def given(self, exported, op="Gemm", inner=("aten::t", "aten::addmm")):
        one = row("kernel", MS, MS, region="first", calls=[("c", "aten::linear")], nodes=[("n", op)])
        works = {
            "torch": {"c": Work(id="c", engine="torch", op="aten::linear", inner=inner)},
            "onnxruntime": {"n": Work(id="n", engine="onnxruntime", op=op)},
        }
        lineage = (tuple(range(len(exported.nodes))), (0,))
        region = Region(id="first", module="", calls=("c",), nodes=("n",), match=MATCH, lineage=lineage)
        graphs = {EXPORTED: exported, OPTIMIZED: indexed(linear("first", "y"))}
        return evidence(one, works=works, regions={"first": region}, graphs=graphs)

    def test_what_either_side_runs_and_what_was_exported_is_said(self):
        exported = indexed(node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["y"]))
        assert linear_layers(self.given(exported)) == (
            "1 linear layer: PyTorch runs each as aten::addmm, ONNX Runtime as Gemm (exported as MatMul + Add)."
        )

    def test_an_export_that_ran_as_it_was_is_not_repeated(self):
        said = linear_layers(self.given(indexed(linear("first", "y")), inner=()))
        assert said == "1 linear layer: PyTorch runs each as aten::linear, ONNX Runtime as Gemm."

    def test_two_in_a_row_are_named(self):
        row_of_two = indexed(linear("first", "h"), linear("second", "y", source="h"))
        assert unmerged_products(row_of_two) == (("Gemm first", "Gemm second"),)

    @pytest.mark.parametrize("between", [node("Relu", ["h"], ["k"]), node("Identity", ["h"], ["k"])])
    def test_two_with_something_between_are_not(self, between):
        assert (
            unmerged_products(indexed(linear("first", "h"), between, linear("second", "y", source="k"))) == ()
        )

    def test_a_result_that_is_read_twice_is_needed(self):
        twice = indexed(
            linear("first", "h"), linear("second", "k", source="h"), node("Add", ["h", "k"], ["y"])
        )
        assert unmerged_products(twice) == ()

    def test_a_product_of_two_computed_values_is_no_layer(self):
        attention = indexed(linear("first", "h"), node("MatMul", ["h", "x"], ["y"], name="scores"))
        assert unmerged_products(attention) == ()
