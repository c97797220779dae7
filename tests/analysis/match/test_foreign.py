"""Pairs without ONNX files, or with renamed ones: how much is right, and does the confidence say so."""

import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from msgspec.structs import replace

from attrib.analysis.lineage.graph import Graph
from attrib.analysis.lineage.reader import graph_from_bytes
from attrib.analysis.match.from_profile import export_orders
from attrib.analysis.match.regions import regions
from attrib.api import Analysis, load
from attrib.model.manifest import EXPORTED, OPTIMIZED
from attrib.model.region import Region
from attrib.model.work import Partition, Work
from tests.analysis.match.pairs import FOLDER, recorded
from tests.analysis.match.scoring import Score, score

SAMPLES = Path(__file__).parents[3] / "sample_traces"
MODELS = ("bert-base-uncased", "distilbert-base-uncased")


@dataclass(frozen=True)
class Sample:
    """A sample's analysis with its graphs."""

    analysis: Analysis
    graphs: tuple[Graph, Graph]

    @property
    def calls(self) -> tuple[Work, ...]:
        return self.analysis.partitions["torch"].work

    @property
    def ort(self) -> Partition:
        return self.analysis.partitions["onnxruntime"]

    def score(self, found: tuple[Region, ...]) -> Score:
        return score(found, self.analysis.regions, self.calls, self.ort)


@cache
def sample(model: str) -> Sample:
    analysis = load(SAMPLES / model)
    data = analysis.directory.graphs()
    exported, optimized = (graph_from_bytes(data[name], name) for name in (EXPORTED, OPTIMIZED))
    return Sample(analysis, (exported, optimized))


def nameless(graph: Graph, new: dict[str, str]) -> Graph:
    """The graph without metadata and with other names of its nodes."""
    nodes = (replace(n, name=new[n.name], scope=None, fx_node="", fx_target="") for n in graph.nodes)
    return replace(graph, nodes=tuple(nodes))


@pytest.mark.parametrize("model", MODELS)
def test_without_any_onnx_file_nearly_all_node_time_is_matched_right(model):
    found = sample(model).score(regions(sample(model).calls, sample(model).ort.work))
    assert found.correct >= 0.98
    assert found.mapped >= 0.99
    assert found.largest <= 0.06
    assert 0.4 <= found.confidence <= 0.55


@pytest.mark.parametrize("model", MODELS)
def test_without_node_numbers_order_names_and_shapes_still_find_most(model):
    nodes = tuple(replace(w, node_index=-1) for w in sample(model).ort.work)
    assert sample(model).score(regions(sample(model).calls, nodes)).correct >= 0.8


@pytest.mark.parametrize("model", MODELS)
def test_without_names_and_numbers_order_and_shapes_still_find_most(model):
    one = sample(model)
    new = {w.id: f"{w.order}x" for w in one.ort.work}
    nodes = tuple(replace(w, id=new[w.id], node_index=-1) for w in one.ort.work)
    old = {name: node for node, name in new.items()}
    found = (replace(r, nodes=tuple(old[n] for n in r.nodes)) for r in regions(one.calls, nodes))
    assert one.score(tuple(found)).correct >= 0.85


@pytest.mark.parametrize("model", MODELS)
def test_graphs_under_random_names_are_matched_by_structure_and_shape(model):
    one = sample(model)
    exported, optimized = one.graphs
    names = sorted({n.name for graph in one.graphs for n in graph.nodes})
    shuffled = random.Random(1).sample(range(10**6), len(names))
    new = {name: f"n{number}" for name, number in zip(names, shuffled, strict=True)}
    nodes = tuple(replace(w, id=new[w.id]) for w in one.ort.work)
    old = {name: node for node, name in new.items()}
    chain = (nameless(exported, new), nameless(optimized, new))
    found = (replace(r, nodes=tuple(old[n] for n in r.nodes)) for r in regions(one.calls, nodes, chain))
    result = one.score(tuple(found))
    assert result.correct >= 0.99
    assert 0.4 <= result.confidence <= 0.55


@pytest.mark.parametrize("model", MODELS)
def test_the_exported_graph_alone_leads_to_the_nodes_that_carry_its_names(model):
    one = sample(model)
    result = one.score(regions(one.calls, one.ort.work, one.graphs[:1], ran=False))
    assert result.correct >= 0.99
    assert result.confidence >= 0.75


@pytest.mark.parametrize("model", MODELS)
def test_metadata_matches_calls_without_modules_by_fx_targets_in_order(model):
    one = sample(model)
    calls = tuple(replace(c, scope="") for c in one.calls)
    result = one.score(regions(calls, one.ort.work, one.graphs))
    assert result.correct >= 0.99
    assert result.confidence <= 0.55


@pytest.mark.parametrize("name", sorted(path.name.removesuffix(".json.gz") for path in FOLDER.iterdir()))
def test_both_exporters_and_every_optimization_level_are_matched_without_onnx_files(name):
    result = recorded(name).score()
    assert result.correct >= 0.95, name


def test_node_numbers_in_the_order_of_execution_change_nothing():
    pair = recorded("dynamo-sdpa-disabled")
    numbered, bare = (
        pair.score(nodes=tuple(replace(w, node_index=number(w)) for w in pair.nodes))
        for number in (lambda w: w.order, lambda _: -1)
    )
    assert numbered == bare


def test_an_order_that_nodes_fit_badly_is_not_believed():
    """Numbers that swap neighboring tens of nodes rise with execution, and are wrong."""
    pair = recorded("dynamo-sdpa-basic")
    wrong = tuple(replace(w, node_index=(w.order // 10 ^ 1) * 10 + w.order % 10) for w in pair.nodes)
    assert export_orders(wrong)
    bare = tuple(replace(w, node_index=-1) for w in pair.nodes)
    assert pair.score(nodes=wrong).correct >= pair.score(nodes=bare).correct - 0.05


def test_the_pairs_cover_exporters_attention_and_levels():
    assert len(list(FOLDER.iterdir())) == 2 * 2 * 4


def test_a_wrong_match_costs_the_score():
    """The score itself can fail: regions with every call moved one on are wrong."""
    one = sample(MODELS[1])
    ids = [c.id for c in one.calls]
    moved = dict(zip(ids, ids[1:] + ids[:1], strict=True))
    wrong = tuple(replace(r, calls=tuple(moved[c] for c in r.calls)) for r in one.analysis.regions)
    assert one.score(wrong).correct < 0.1
    assert one.score(one.analysis.regions).correct == 1.0
