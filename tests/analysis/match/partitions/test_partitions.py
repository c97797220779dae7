"""Compiled partitions as regions: what each covers, where cut calls belong, and that nothing is lost."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.partitions.coverage_from_placement import covering_from_placement
from attrib.analysis.match.regions import regions
from attrib.model.placement import Part, PlacedNode, Placement
from attrib.model.region import Region
from attrib.model.tensor import Tensor
from attrib.model.work import Work
from tests.analysis.match.record_compiled import recorded

OPENVINO, CPU = "OpenVINOExecutionProvider", "CPUExecutionProvider"
BERT = recorded("openvino-bert-2")


def found_in(graphs, placement, nodes=BERT.nodes, calls=BERT.calls) -> tuple[Region, ...]:
    return regions(calls, nodes, graphs, ran=False, flow=BERT.flow, placement=placement)


def by_label(found):
    return {region.id.rpartition("/")[2]: region for region in found}


def conserved(found, calls, nodes):
    assert sorted(c for r in found for c in r.calls) == sorted(c.id for c in calls)
    assert sorted(n for r in found for n in r.nodes) == sorted(n.id for n in nodes)


def cover(found):
    """Calls of each compiled partition."""
    return {label: set(r.calls) for label, r in by_label(found).items() if label.startswith("compiled")}


WAYS = {
    "the graph that was divided": found_in(BERT.graphs, BERT.placement),
    "the exported graph": found_in(BERT.graphs[:1], BERT.placement),
    "no placement": found_in(BERT.graphs[:1], None),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_partition_of_a_real_capture_is_a_region_with_its_layers(way):
    found = WAYS[way]
    conserved(found, BERT.calls, BERT.nodes)
    parts = by_label(found)
    covers = [parts[f"compiled partition {k}"].match.evidence[0] for k in (1, 2, 3)]
    assert covers == [
        "covers embeddings, encoder.layer.0 (attention)",
        "covers encoder.layer.0 (attention, intermediate, output), encoder.layer.1 (attention)",
        "covers encoder.layer.1 (attention, intermediate, output), pooler",
    ]
    assert cover(found) == cover(WAYS["the graph that was divided"])


def test_the_session_is_believed_more_than_what_was_derived():
    placed, derived = by_label(WAYS["the exported graph"]), by_label(WAYS["no placement"])
    for label in cover(WAYS["no placement"]):
        assert 0 < derived[label].match.confidence < placed[label].match.confidence < 1
        assert placed[label].match.method == derived[label].match.method == "partition"
        assert "placement.json" in " ".join(placed[label].match.evidence)
        assert "did not say" in " ".join(derived[label].match.evidence)


def test_an_attention_that_is_cut_stands_where_most_of_it_lies_and_is_told_on_all_sides():
    found = WAYS["the graph that was divided"]
    name = "encoder.layer.0.attention.self/aten::scaled_dot_product_attention#0"
    first, second = (by_label(found)[f"compiled partition {k}"] for k in (1, 2))
    assert name in first.calls
    assert f"{name} is cut: 9 of its nodes lie here" in first.match.evidence[1]
    assert any(line.startswith(f"a piece of {name} lies here (2 nodes") for line in second.match.evidence)
    (island,) = (r for r in found if r.nodes == ("node_IsNaN_93",))
    assert (island.calls, island.origin, island.module) == (
        (),
        "onnxruntime",
        "encoder.layer.0.attention.self",
    )
    assert "its PyTorch time stands with compiled partition 1" in island.match.evidence[0]


def test_a_rewritten_product_lies_in_the_partition_of_its_members():
    """ONNX Runtime made `node_MatMul_109/MatMulAddFusion` of two nodes before it divided the graph."""
    for way in ("the graph that was divided", "the exported graph"):
        second = by_label(WAYS[way])["compiled partition 2"]
        assert "encoder.layer.0.intermediate.dense/aten::linear#0" in second.calls
        assert {"node_MatMul_109", "node_linear_4"} <= set(second.exported)


def test_shapes_that_do_not_fit_halve_the_confidence_and_say_so():
    other = tuple(
        replace(n, outputs=(Tensor("float", (7,)),)) if "subgraph" in n.id else n for n in BERT.nodes
    )
    right, wrong = (by_label(found_in(BERT.graphs, BERT.placement, nodes))["compiled partition 2"]
                    for nodes in (BERT.nodes, other))  # fmt: skip
    assert "SIZES DIFFER" in " ".join(wrong.match.evidence)
    assert "SIZES DIFFER" not in " ".join(right.match.evidence)
    assert wrong.match.confidence < right.match.confidence


def test_a_part_that_did_not_run_is_passed_over_by_shape():
    extra = Part(
        provider=OPENVINO, nodes=(PlacedNode(name="node_tanh", op="Tanh"), PlacedNode(name="?", op="X"))
    )
    parts = BERT.placement.parts
    trimmed = [replace(p, nodes=tuple(n for n in p.nodes if n.name != "node_tanh")) for p in parts]
    found = found_in(BERT.graphs, Placement(parts=(extra, *trimmed)))
    conserved(found, BERT.calls, BERT.nodes)
    assert {k: v - {"pooler.activation/aten::tanh#0"} for k, v in cover(found).items()} == {
        k: v - {"pooler.activation/aten::tanh#0"}
        for k, v in cover(WAYS["the graph that was divided"]).items()
    }


def test_a_placement_of_another_provider_tells_nothing():
    other = Placement(parts=tuple(replace(p, provider="Other") for p in BERT.placement.parts))
    assert cover(found_in(BERT.graphs[:1], other)) == cover(WAYS["no placement"])


def test_without_a_graph_all_compiled_nodes_are_one_region():
    found = found_in((), None)
    conserved(found, BERT.calls, BERT.nodes)
    whole = by_label(found)["compiled partitions"]
    assert len(whole.nodes) == 3
    assert whole.match.confidence < 0.5
    (alone,) = (r for r in found_in((), None, nodes=BERT.nodes[:1]) if r.nodes)
    assert alone.match.confidence > 0.5
    assert "all that ran" in alone.match.evidence[0]


def test_compiled_nodes_that_nothing_tells_apart_are_one_region():
    twin = replace(BERT.nodes[0], id=f"{OPENVINO}_twin_9", op="twin")
    nodes = (twin, *BERT.nodes)
    found = found_in(BERT.graphs[:1], None, nodes)
    conserved(found, BERT.calls, nodes)
    (joined,) = (r for r in found if twin.id in r.nodes)
    assert len(joined.nodes) == 2
    assert "nothing tells 2 compiled nodes apart" in " ".join(joined.match.evidence)


def test_calls_that_ran_outside_in_fused_nodes_are_matched_by_their_own_evidence():
    """The pooler was left to the CPU, which fused it after the graph had been divided."""
    names = ("node_linear_12", "node_tanh")
    parts = [replace(p, nodes=tuple(n for n in p.nodes if n.name not in names)) for p in BERT.placement.parts]
    parts += [Part(provider=CPU, nodes=(PlacedNode(name=n, op="Gemm"),)) for n in names]
    fused = Work(id="fused node_linear_12", engine="onnxruntime", op="FusedGemm", provider=CPU, order=9)
    lost = replace(fused, id="FusedGemm_token_3")
    for node in (fused, lost):
        nodes = (*BERT.nodes, node)
        found = found_in(BERT.graphs[:1], Placement(parts=tuple(parts)), nodes)
        conserved(found, BERT.calls, nodes)
        (pooler,) = (r for r in found if node.id in r.nodes)
        assert "pooler.dense/aten::linear#0" in pooler.calls


# Generated graphs, cut by islands.

SIZE = Tensor("float", (4, 8))


@dataclasses.dataclass
class Case:
    calls: tuple[Work, ...]
    nodes: tuple[Work, ...]
    graph: Graph
    placement: Placement
    part_of: dict[str, str]


@st.composite
def cut_graphs(draw) -> Case:
    """A random graph, divided as a provider does that takes what is ready: compiled, islands, compiled, ..."""
    count = draw(st.integers(2, 24))
    call_of, nodes = [], []
    for i in range(count):
        fresh = i == 0 or draw(st.booleans())
        call_of.append(len(set(call_of)) if fresh else call_of[-1])
        reads = draw(st.lists(st.integers(0, i - 1), max_size=2, unique=True)) if i else []
        nodes.append(
            GraphNode(
                name=f"n{i}",
                index=i,
                op="Relu",
                domain="",
                inputs=tuple(f"v{j}" for j in reads) or ("x",),
                outputs=(f"v{i}",),
                scope=f"m{call_of[i]}",
                fx_node=f"relu_{call_of[i]}",
                fx_target="aten.relu.default",
            )
        )
    islands = draw(st.sets(st.integers(0, count - 1), max_size=count // 2))
    units = _units(nodes, islands)
    names = [f"m{k}" for k in sorted(set(call_of))]
    calls = tuple(
        Work(id=f"{m}/relu", engine="torch", op="aten::relu", scope=m, order=k) for k, m in enumerate(names)
    )
    graph = Graph(nodes=tuple(nodes), inputs=("x",), outputs=(f"v{count - 1}",), constants=frozenset(),
                  values={f"v{i}": SIZE for i in range(count)} | {"x": SIZE}, opset=20)  # fmt: skip
    executed, parts, part_of = [], [], {}
    for number, inside in enumerate(units):
        compiled = not inside & islands
        op = f"part_{number}" if compiled else "Relu"
        name = f"{OPENVINO}_{op}_{number}" if compiled else f"n{min(inside)}"
        provider = OPENVINO if compiled else CPU
        executed.append(
            Work(id=name, engine="onnxruntime", op=op, provider=provider, inputs=(SIZE,), outputs=(SIZE,))
        )
        parts.append(
            Part(provider=provider, nodes=tuple(PlacedNode(name=f"n{i}", op="Relu") for i in sorted(inside)))
        )
        part_of |= {f"n{i}": name for i in inside}
    return Case(calls, tuple(executed), graph, Placement(parts=tuple(parts)), part_of)


def _units(nodes: list[GraphNode], islands: set[int]) -> list[set[int]]:
    """Sets of nodes in the order of execution: all that is ready and compiled together, each island alone."""
    left, done, units = set(range(len(nodes))), {"x"}, []
    while left:
        inside = set()
        for i in sorted(left - islands):
            if set(nodes[i].inputs) <= done:
                inside.add(i)
                done |= set(nodes[i].outputs)
        ready = [i for i in sorted(left & islands) if set(nodes[i].inputs) <= done]
        units += [inside] * bool(inside) + [{i} for i in ready]
        for i in ready:
            done |= set(nodes[i].outputs)
        left -= inside | set(ready)
    return units


@given(cut_graphs())
def test_every_call_and_node_is_in_one_region_and_every_compiled_node_has_its_part(case):
    found = regions(case.calls, case.nodes, (case.graph,), ran=False, placement=case.placement)
    conserved(found, case.calls, case.nodes)
    if not any("part_" in n.id for n in case.nodes):
        return
    for region in found:
        assert len([n for n in region.nodes if "part_" in n]) <= 1
        compiled = next((n for n in region.nodes if "part_" in n), None)
        if compiled:
            assert set(region.exported) == {n for n, part in case.part_of.items() if part == compiled}
            assert region.id.rpartition("/")[2].startswith("compiled partition")
            assert 0 < region.match.confidence <= 1


@given(cut_graphs(), st.data())
def test_names_that_a_rewrite_took_away_cost_no_call_and_no_node(case, data):
    gone = data.draw(st.sets(st.sampled_from([n.name for n in case.graph.nodes])))
    parts = tuple(
        replace(
            part,
            nodes=tuple(
                n if n.name not in gone else PlacedNode(name=f"new_{n.name}", op="Y") for n in part.nodes
            ),
        )
        for part in case.placement.parts
    )
    found = regions(case.calls, case.nodes, (case.graph,), ran=False, placement=Placement(parts=parts))
    conserved(found, case.calls, case.nodes)


@given(cut_graphs())
def test_what_is_derived_keeps_every_call_and_node_too(case):
    found = regions(case.calls, case.nodes, (case.graph,), ran=False)
    conserved(found, case.calls, case.nodes)
    for region in found:
        for node in region.nodes:
            if "part_" in node and region.exported:
                assert region.match.method == "partition"
                assert region.match.confidence <= 0.9


@given(cut_graphs(), st.lists(st.text("ab_/0", max_size=3), max_size=6))
def test_a_placement_of_strangers_loses_nothing(case, names):
    parts = (
        Part(provider=OPENVINO, nodes=tuple(PlacedNode(name=n, op="Relu") for n in names)),
        *case.placement.parts[::-1],
    )
    found = regions(case.calls, case.nodes, (case.graph,), ran=False, placement=Placement(parts=parts))
    conserved(found, case.calls, case.nodes)


def test_what_bears_no_name_lies_with_its_neighbors():
    """`node_linear_4` became a part of a node that bears the name of the product before it."""
    found = covering_from_placement(BERT.nodes, BERT.graphs[0], BERT.placement)
    assert found is not None
    place = next(i for i, node in enumerate(BERT.nodes) if node.id.endswith("_1"))
    index = {node.name: node.index for node in BERT.graphs[0].nodes}
    assert found.runs[index["node_MatMul_109"]] == found.runs[index["node_linear_4"]] == (place,)
    assert index["node_embedding_2"] not in found.runs  # folded: it depends on no input


def test_the_name_inside_a_rewritten_nodes_name_says_more_than_its_neighbors():
    names = ("a", "b", "c")
    nodes = tuple(
        GraphNode(name=n, index=i, op="MatMul", domain="", inputs=((*"x", *names)[i],), outputs=(n,))
        for i, n in enumerate(names)
    )
    graph = Graph(nodes=nodes, inputs=("x",), outputs=("c",), constants=frozenset(), values={}, opset=20)
    inside = (("a",), ("b/MatMulAddFusion", "c"))
    parts = (Part(provider=OPENVINO, nodes=tuple(PlacedNode(name=n, op="Gemm") for n in p)) for p in inside)
    ran = tuple(Work(id=f"{OPENVINO}_p_{i}", engine="onnxruntime", op="p", provider=OPENVINO) for i in (0, 1))
    found = covering_from_placement(ran, graph, Placement(parts=tuple(parts)))
    assert found is not None
    assert found.runs == {0: (0,), 1: (1,), 2: (1,)}
