"""Which nodes and calls keep a cache, by the graph and by the regions."""

import pytest

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.cache_work import cache_work, nodes_that_keep
from attrib.model.region import Match, Region
from attrib.model.work import Work

PAST, PRESENT = "past_key_values.0.key", "present.0.key"


def graph(*nodes, inputs=("x", PAST), outputs=("logits", PRESENT)):
    """Nodes as (op, its inputs, its outputs), each list in one text."""
    made = tuple(
        GraphNode(
            name=f"{op}_{index}",
            index=index,
            op=op,
            domain="",
            inputs=tuple(its.split()),
            outputs=tuple(out.split()),
        )
        for index, (op, its, out) in enumerate(nodes)
    )
    return Graph(nodes=made, inputs=inputs, outputs=outputs, constants=frozenset({"w"}), values={}, opset=20)


STEP = (
    ("MatMul", "x w", "key"),
    ("Reshape", "key w", "new"),
    ("Concat", f"{PAST} new", PRESENT),
    ("Transpose", PRESENT, "turned"),
    ("MatMul", "x turned", "scores"),
    ("Transpose", "scores", "logits"),
)


def keeping(found):
    moving, holding = nodes_that_keep(found)
    return [[found.nodes[index].name for index in sorted(its)] for its in (moving, holding)]


def test_every_move_of_what_the_cache_holds_keeps_it_up_to_what_computes():
    assert keeping(graph(*STEP)) == [["Concat_2", "Transpose_3"], []]


@pytest.mark.parametrize(
    "changes",
    [{"outputs": ("logits",)}, {"inputs": ("x", "state")}],
    ids=["nothing is returned", "no cache by its name"],
)
def test_without_a_cache_that_goes_in_and_out_nothing_keeps_one(changes):
    nodes = [(op, its.replace(PAST, changes.get("inputs", (0, PAST))[1]), out) for op, its, out in STEP]
    assert keeping(graph(*nodes, **changes)) == [[], []]


def test_a_cache_that_is_reordered_written_into_and_converted_is_kept():
    nodes = (
        ("Gather", f"{PAST} beams", "ordered"),
        ("Cast", "ordered", "wide"),
        ("ScatterND", "wide places new", PRESENT),
        ("Gather", "new wide", "logits"),
    )
    assert keeping(graph(*nodes)) == [["Gather_0", "Cast_1", "ScatterND_2"], []]


def test_an_attention_that_writes_the_cache_computes_and_does_not_only_move():
    found = graph(("Attention", f"x x x mask {PAST}", f"logits {PRESENT}"))
    assert keeping(found) == [[], ["Attention_0"]]


def test_a_cache_that_is_only_read_into_attention_after_a_move_is_kept_with_what_writes_it():
    nodes = (("Transpose", PAST, "turned"), ("GroupQueryAttention", "x x x turned", f"logits {PRESENT}"))
    assert keeping(graph(*nodes)) == [["Transpose_0"], ["GroupQueryAttention_1"]]


def test_calls_follow_the_nodes_of_their_regions():
    exported = graph(*STEP)
    nodes = [Work(id=node.name, engine="onnxruntime", op=node.op) for node in exported.nodes]
    calls = {
        name: Work(id=name, engine="torch", op=op)
        for name, op in (("cat", "aten::cat"), ("mul", "aten::mul"), ("view", "aten::view"))
    }
    match = Match(method="value", confidence=1.0)

    def region(name, calls, places):
        return Region(id=name, module="", calls=calls, nodes=(), lineage=(places, places), match=match)

    regions = [region("cache", ("cat", "mul"), (2,)), region("other", ("view",), (1,))]
    assert cache_work((exported, exported), regions, calls, nodes) == {"Concat_2", "Transpose_3", "cat"}
    assert cache_work((), regions, calls, nodes) == frozenset()


def test_moves_for_an_attention_that_keeps_the_cache_itself_are_the_caches():
    exported = graph(("Attention", f"x x x mask {PAST}", f"logits {PRESENT}"))
    calls = {"cat": Work(id="cat", engine="torch", op="aten::cat")}
    match = Match(method="value", confidence=1.0)
    region = Region(id="r", module="", calls=("cat",), nodes=(), lineage=((0,),), match=match)
    assert cache_work((exported,), [region], calls, []) == {"cat"}
