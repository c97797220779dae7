"""Matched regions hold the same numbers in both engines, on real captures; and the check sees a match that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from attrib.analysis.lineage.reader import graph_from_bytes
from attrib.analysis.match.step_values import StepValues
from attrib.analysis.match.value_check import ValueCheck, with_verdicts
from attrib.api import Analysis, load
from attrib.model.values import CallValues, Values
from attrib.model.work import Member, Work

if TYPE_CHECKING:
    from attrib.model.region import Region

VERIFIED_TIME = 0.97
"""Floor of the time that is verified, of either engine."""


def test_a_member_of_a_compiled_kernel_is_the_nth_call_of_its_module():
    names = ["add", "add_2", "add_10"]
    members = [Member("h", "aten::add", name) for name in names]
    kernels = [
        Work(id="k0", engine="torch", op="k0", members=(members[2], members[1])),
        Work(id="k1", engine="torch", op="k1", members=(members[1], members[0])),
    ]
    calls = tuple(CallValues(id=f"h/aten::add#{i}", outputs=(i,)) for i in range(3))

    def found(recorded: tuple[CallValues, ...]) -> dict[Member, list[int]]:
        of = StepValues(Values(kinds=("numbers",) * 3, calls=recorded)).calls_of_members(kernels)
        return {member: [int(call.rpartition("#")[2]) for call in its] for member, its in of.items()}

    assert found(calls) == {member: [i] for i, member in enumerate(members)}
    assert found(calls[:2]) == {member: [0, 1] for member in members}


@pytest.fixture(scope="module")
def bert(two_layers: Path) -> Analysis:
    """Two layers of BERT-base at full width, captured with its values."""
    return load(two_layers / "trace")


@pytest.fixture(scope="module")
def check(bert: Analysis) -> ValueCheck:
    values = bert.directory.values("onnxruntime")
    assert values is not None
    graphs = {name: graph_from_bytes(data, name) for name, data in bert.directory.graphs().items()}
    return ValueCheck(StepValues(values), bert.partitions["torch"].work, graphs, rough=False)


def region_of(bert: Analysis, call: str) -> Region:
    return next(region for region in bert.regions if call in region.calls)


@pytest.mark.engines
def test_every_region_computes_the_same_numbers_in_both_engines(bert):
    states = {region.id: region.match.verified for region in bert.regions if region.origin == "both"}
    assert {region: state for region, state in states.items() if state in ("wrong", "loose", "")} == {}
    coverage = bert.document.coverage
    assert coverage.ort_node_time_verified >= VERIFIED_TIME
    assert coverage.torch_call_time_verified >= VERIFIED_TIME


@pytest.mark.engines
def test_the_calls_of_the_check_are_the_calls_of_the_trace(bert):
    traced = [work.id for work in bert.partitions["torch"].work]
    seen = [call.id for call in bert.directory.values("onnxruntime").calls]
    # A dispatch mode also sees the detach behind a `.data` or a deep copy, for which the profiler has no event.
    assert [call for call in seen if "/aten::detach#" not in call] == traced


@pytest.mark.engines
@pytest.mark.parametrize("layer", [0, 1])
def test_query_and_key_mistaken_for_each_other_are_wrong(bert, check, layer):
    scope = f"encoder.layer.{layer}.attention.self"
    query, key = (f"{scope}.{name}/aten::linear#0" for name in ("query", "key"))
    first, second = region_of(bert, query), region_of(bert, key)
    swapped = [replace(first, calls=second.calls), replace(second, calls=first.calls)]
    others = [region for region in bert.regions if region.id not in (first.id, second.id)]
    verdicts = check.verdicts([*swapped, *others])
    assert [verdicts[region.id].state for region in swapped] == ["wrong", "wrong"]
    assert query in verdicts[first.id].elsewhere
    assert key in verdicts[second.id].elsewhere
    told = with_verdicts(swapped, verdicts)
    assert "NUMBERS DIFFER" in told[0].match.evidence[0]
    assert told[0].match.confidence < first.match.confidence / 2


@pytest.mark.engines
def test_a_call_too_many_in_a_region_is_noticed(bert, check):
    scope = "encoder.layer.0.attention.self"
    region = region_of(bert, f"{scope}.query/aten::linear#0")
    widened = replace(region, calls=(*region.calls, f"{scope}.value/aten::linear#0"))
    others = [other for other in bert.regions if other.id != region.id]
    assert check.verdicts([widened, *others])[region.id].state == "loose"
