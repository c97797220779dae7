"""Following the nodes of a graph."""

from attrib.analysis.lineage.graph import walk
from tests.findings.evidence_factory import graph, node


def test_a_walk_ends_where_nothing_follows_and_where_a_node_comes_again():
    line = graph(node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["c"]), node("Relu", ["c"], ["a"])).nodes
    reader = {node.inputs[0]: node for node in line}
    assert [node.index for node in walk(line[0], lambda node: reader.get(node.outputs[0]))] == [0, 1, 2]
    del reader["c"]
    assert [node.index for node in walk(line[0], lambda node: reader.get(node.outputs[0]))] == [0, 1]
    assert list(walk(None, lambda node: node)) == []
