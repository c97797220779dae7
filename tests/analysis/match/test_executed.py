"""From the profile's names back to the nodes of the saved graph."""

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.executed import executed_by_node
from attrib.model.work import Work


def saved(*rows: tuple[str, str]) -> Graph:
    nodes = tuple(
        GraphNode(name=name, index=i, op=op, domain="", inputs=("x",), outputs=(f"v{i}",))
        for i, (name, op) in enumerate(rows)
    )
    return Graph(nodes=nodes, inputs=("x",), outputs=("v0",), constants=frozenset(), values={}, opset=20)


def ran(*rows: tuple[str, str]) -> tuple[Work, ...]:
    return tuple(Work(id=name, engine="onnxruntime", op=op) for name, op in rows)


def test_nodes_go_by_their_name():
    found = executed_by_node(ran(("b", "Add"), ("a", "Mul")), saved(("a", "Mul"), ("b", "Add")))
    assert found == {1: [0], 0: [1]}


def test_nodes_without_a_name_go_by_op_and_order():
    graph = saved(
        ("", "Gather"), ("", "Add"), ("SkipLayerNormalization", "SkipLayerNormalization"), ("", "Gather")
    )
    work = ran(
        ("Gather_7", "Gather"),
        ("Add_2", "Add"),
        ("SkipLayerNormalization", "SkipLayerNormalization"),
        ("Gather_1", "Gather"),
    )
    assert executed_by_node(work, graph) == {0: [0], 1: [1], 2: [2], 3: [3]}


def test_a_name_that_ends_in_a_number_is_still_a_name():
    graph = saved(("", "Add"), ("Add_2", "Add"))
    assert executed_by_node(ran(("Add_2", "Add"), ("Add_0", "Add")), graph) == {1: [0], 0: [1]}


def test_every_turn_of_a_loop_is_the_same_node():
    assert executed_by_node(ran(("body#1", "Add"), ("body#2", "Add")), saved(("body", "Add"))) == {0: [0, 1]}


def test_a_node_that_the_graph_does_not_have_leads_nowhere():
    assert executed_by_node(ran(("Memcpy", "MemcpyToHost")), saved(("", "Add"), ("a", "Add"))) == {}


def test_every_turn_of_a_loop_is_the_same_node_also_where_it_has_no_name():
    graph = saved(("", "Cast"), ("", "Add"), ("", "Cast"))
    work = ran(
        *(
            (f"{name}#{turn}", name.split("_")[0])
            for turn in (1, 2, 3)
            for name in ("Cast_17", "Add_3", "Cast_16")
        )
    )
    assert executed_by_node(work, graph) == {0: [0, 3, 6], 1: [1, 4, 7], 2: [2, 5, 8]}
