"""The matchers as a table: what a row says of itself holds, and how a matcher is added."""

import pytest

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match import regions as under_test
from attrib.analysis.match.candidates import Link, Matcher, MatchState, initial_state
from attrib.analysis.match.matchers.registry import MATCHERS
from attrib.analysis.match.regions import regions
from attrib.model.region import Region
from attrib.model.tensor import Tensor
from attrib.model.work import Work

X = Tensor("float", (4, 4))
CALLS = (Work(id="call", engine="torch", op="custom::fold_sheep", scope="flock", inputs=(X,)),)
GRAPH = Graph(
    nodes=(
        GraphNode(name="pen", index=0, op="SheepPen", domain="farm", inputs=("x",), outputs=("y",), scope="farm"),
    ),
    inputs=("x",), outputs=("y",), constants=frozenset(), values={"x": X, "y": X}, opset=20,
)  # fmt: skip
RAN = (Work(id="pen", engine="onnxruntime", op="SheepPen", inputs=(X,), outputs=(X,)),)


def found() -> dict[str, Region]:
    return {name: region for region in regions(CALLS, RAN, (GRAPH, GRAPH)) for name in region.nodes}


def by_sheep(state: MatchState, matcher: Matcher) -> list[Link]:
    """The recipe's matcher: what has sheep in the names of both sides is the same work."""
    return [
        matcher.link(
            call, node, f"{state.graph.nodes[node].op} and {state.calls[call].op} are both about sheep"
        )
        for call in state.open_calls
        for node in state.open_nodes
        if "sheep" in state.calls[call].op.lower() and "sheep" in state.graph.nodes[node].op.lower()
    ]


def test_a_matcher_is_added_by_its_function_and_one_row(monkeypatch):
    assert found()["pen"].calls == ()
    with monkeypatch.context() as patch:
        patch.setattr(
            under_test, "MATCHERS", (*MATCHERS, Matcher(by_sheep, "sheep", 0.7, needs=("modules",)))
        )
        region = found()["pen"]
        assert (region.calls, region.nodes, region.origin) == (("call",), ("pen",), "both")
        assert (region.match.method, region.match.confidence) == ("sheep", 0.7)
        assert "SheepPen and custom::fold_sheep are both about sheep" in region.match.evidence
    assert found()["pen"].calls == ()


def test_a_matcher_whose_needs_are_not_met_is_passed_over(monkeypatch):
    row = Matcher(by_sheep, "sheep", 0.7, needs=("modules", "data flow"))
    monkeypatch.setattr(under_test, "MATCHERS", (*MATCHERS, row))
    assert found()["pen"].calls == ()


@pytest.mark.parametrize("matcher", MATCHERS, ids=lambda matcher: matcher.find.__name__)
def test_a_row_says_what_its_links_are_worth_or_takes_over_others(matcher):
    assert 0 < matcher.confidence < 1 if matcher.method else matcher.confidence == 0
    assert matcher.find.__doc__


@pytest.mark.parametrize("matcher", MATCHERS, ids=lambda matcher: matcher.find.__name__)
def test_a_matcher_finds_nothing_without_what_it_needs(matcher):
    """So that a need may be stated: it changes no result, it only says why there is none."""
    bare = Graph(
        nodes=(GraphNode(name="n", index=0, op="Relu", domain="", inputs=("x",), outputs=("y",)),),
        inputs=("x",), outputs=("y",), constants=frozenset(), values={}, opset=20,
    )  # fmt: skip
    calls = (Work(id="c", engine="torch", op="aten::relu", scope="a", inputs=(X,)),)
    links = matcher.find(initial_state(calls, bare), matcher)
    assert not (links and matcher.needs)
