"""Rules about fallback where a provider compiles: which nodes cut the graph, why, and what stands on either side."""

import dataclasses

import pytest

from attrib.findings.evidence.placement import island_line, islands, nodes_outside
from attrib.findings.runner import run
from attrib.model.manifest import EXPORTED
from attrib.model.placement import Part, PlacedNode, Placement
from attrib.model.region import Match, Region
from attrib.model.work import Work
from tests.findings.evidence_factory import MS, FakeLedger, graph, manifest, node
from tests.findings.rules.devices.test_devices import CPU, CUDA, ON_CUDA, WITH_COPIES, finding, session, texts

OPENVINO = "OpenVINOExecutionProvider"
ON_OPENVINO = {"requested_providers": (OPENVINO,), "providers": (OPENVINO, CPU)}


def part(number: int) -> tuple[str, str, str]:
    op = f"OpenVINO-EP-subgraph_{number + 1}"
    return (f"{OPENVINO}_{op}_{number}", op, OPENVINO)


def cut_by(*ops: str, **more):
    """A session of compiled partitions with a node of each op between two of them."""
    nodes = [part(0)]
    for number, op in enumerate(ops):
        nodes += [(f"node_{op}_{number}", op, CPU), part(number + 1)]
    return session(*nodes, manifest=manifest(onnxruntime=ON_OPENVINO), **more)


def placed(*names: str) -> Placement:
    return Placement(parts=tuple(Part(provider=CPU, nodes=(PlacedNode(name=n, op="IsNaN"),)) for n in names))


@pytest.mark.rule("partition-cuts", "fires")
def test_twelve_guards_leave_thirteen_partitions():
    found = finding("partition-cuts", cut_by(*["IsNaN"] * 12, spent=1_000))
    assert found.state == "failed"
    assert found.title == f"The graph is cut: 12 IsNaN on {CPU} leave 13 {OPENVINO} partitions"
    assert (
        f"12 nodes (12 IsNaN) fall back to {CPU} and cut the graph into 13 {OPENVINO} partitions: 12 cuts"
        in (found.summary)
    )
    assert found.saving_ns == 0  # what a cut costs is in no profile
    assert len(found.evidence) == 7
    assert found.evidence[-1].text.startswith("and 6 more cuts: node_IsNaN_6")
    assert "nan-guard" in found.fix


def test_a_cut_is_named_with_its_time_its_provider_and_the_layers_on_either_side():
    given = cut_by("IsNaN", spent=2 * MS)
    calls = {f"c{i}": Work(id=f"c{i}", engine="torch", op="aten::mm", scope=f"enc.{i}.mlp") for i in (0, 1)}
    regions = {
        f"enc/compiled partition {i + 1}": Region(
            id=f"enc/compiled partition {i + 1}",
            module="enc",
            calls=(f"c{i}",),
            nodes=(part(i)[0],),
            match=Match(method="partition", confidence=0.9),
        )
        for i in (0, 1)
    }
    given = dataclasses.replace(given, regions=regions, work={**given.work, "torch": calls})
    line = finding("partition-cuts", given).evidence[0].text
    assert line.startswith(f"node_IsNaN_0 in encoder.layer.0.attention on {CPU}: 2 ms")
    assert line.endswith(
        "behind compiled partition 1 (enc.0 (mlp)), before compiled partition 2 (enc.1 (mlp))"
    )


@pytest.mark.rule("partition-cuts", "passes")
@pytest.mark.parametrize(
    "nodes",
    [
        [part(0)],
        [part(0), part(1)],
        [("nan", "IsNaN", CPU), part(0), ("end", "Erf", CPU)],
        [("a", "MatMul", CUDA)],
    ],
    ids=["one", "two", "at the edges", "nothing compiled"],
)
def test_nothing_between_two_partitions_cuts_nothing(nodes):
    found = finding("partition-cuts", session(*nodes, manifest=manifest(onnxruntime=ON_OPENVINO)))
    assert found.state == "passed"
    assert found.summary


def test_what_the_fallback_itself_takes_is_the_other_rules():
    given = cut_by("IsNaN", "IsNaN", spent=2 * MS)
    found = finding("fallback-nodes", given)
    assert (found.state, found.saving_ns) == ("failed", 4 * MS)
    assert "here into 3 partitions" in found.summary
    assert "see partition-cuts" in found.summary


def test_the_session_says_who_took_a_node():
    given = dataclasses.replace(cut_by("IsNaN", "Erf"), placement=placed("node_IsNaN_0"))
    assert f"No other provider took 1 of the 2 nodes when the session divided the graph: {CPU} ran them" in (
        finding("partition-cuts", given).summary
    )
    assert "No other provider took" not in finding("partition-cuts", cut_by("IsNaN")).summary
    assert "The reason was not recorded" in finding("partition-cuts", cut_by("IsNaN")).summary
    strange = dataclasses.replace(given, placement=placed("other"))
    assert "does not name them" in finding("partition-cuts", strange).summary


def test_the_captured_graph_says_between_which_nodes_an_island_stands():
    exported = graph(
        node("Softmax", ["x"], ["p"], name="softmax"),
        node("IsNaN", ["p"], ["n"], name="node_IsNaN_0"),
        node("Where", ["n", "z", "p"], ["y"], name="out"),
    )
    given = cut_by("IsNaN", graphs={EXPORTED: exported})
    (island,) = islands(given, nodes_outside(given, OPENVINO))
    assert (island.before, island.behind) == ("Softmax", "Where")
    assert island_line(given, island).endswith("behind Softmax, before Where")


@pytest.mark.rule("fallback-nodes", "fires")
def test_the_copies_that_an_island_causes_are_priced_with_it_and_claimed_by_their_own_rule():
    given = session(*WITH_COPIES, spent=2 * MS, manifest=manifest(onnxruntime=ON_CUDA))
    found = finding("fallback-nodes", given)
    assert found.saving_ns == 2 * MS
    assert "with its copies (1 MemcpyFromHost, 1 MemcpyToHost, 4 ms): 6 ms" in texts(found)
    assert finding("memcpy-nodes", given).saving_ns == 4 * MS


def test_without_copies_there_is_no_figure_with_them():
    given = session(("a", "Softmax", CUDA), ("nan", "IsNaN", CPU), manifest=manifest(onnxruntime=ON_CUDA))
    assert "with its copies" not in texts(finding("fallback-nodes", given))


def test_another_device_comes_before_every_saving():
    """Unfair threads claim time, and still stand behind what says that all figures are about another device."""
    fallen = manifest(
        onnxruntime={
            "requested_providers": (CUDA,),
            "providers": (CPU,),
            "threads": 1,
            "opt_level": "disabled",
        },
        torch={"threads": 8},
    )
    given = session(("a", "MatMul", CPU), ("b", "MatMul", CPU), spent=20 * MS, manifest=fallen)
    given = dataclasses.replace(given, ledger=FakeLedger(given.ledger.rows, {"a": 20 * MS, "b": 20 * MS}))
    failed = [found for found in run(given) if found.state == "failed"]
    assert failed[0].id == "provider-not-used"
    assert len(failed) > 1
