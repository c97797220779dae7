"""Matched regions hold the same numbers in both engines, on real captures; and the check sees a match that is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec.structs import replace

from attrib.api import load
from attrib.model.region import Region
from attrib.model.work import Member, Work
from tests.numeric.tensors import Values, same

if TYPE_CHECKING:
    from tests.numeric.captured import Numbers

VERIFIED_REGIONS, VERIFIED_TIME = 0.95, 0.99
"""Floors of what could be verified: what is left hands on integers only."""

LARGE = np.random.default_rng(0).standard_normal((2, 12, 5, 16)).astype(np.float32)


def test_a_tensor_is_the_same_in_any_order_of_its_axes():
    ours = Values(LARGE)
    assert same(ours, Values(LARGE.transpose(0, 2, 1, 3).reshape(10, 192)), 1e-3)
    assert same(Values(LARGE.reshape(2, 12, 80)), Values(LARGE.reshape(24, 80)), 1e-3)
    blocked = LARGE.reshape(2, 3, 4, 5, 16).transpose(0, 1, 3, 4, 2).reshape(LARGE.shape)
    assert same(ours, Values(blocked), 1e-3)


def test_tensors_that_only_look_alike_differ():
    shuffled = np.random.default_rng(1).permutation(LARGE.reshape(-1)).reshape(LARGE.shape)
    nudged = LARGE.copy()
    nudged[0, 0, 0, 0] += 0.1
    assert not any(
        same(Values(LARGE), Values(other), 1e-3) for other in (shuffled, nudged, -LARGE, LARGE[:1])
    )


def test_masked_numbers_do_not_hide_a_difference():
    masked = LARGE.copy()
    masked[..., 8:] = np.finfo(np.float32).min
    other = masked.copy()
    other[..., :8] += 0.1
    assert same(Values(masked), Values(masked.copy()), 1e-3)
    assert not same(Values(masked), Values(other), 1e-3)
    assert not same(Values(masked), Values(np.roll(masked, 1, axis=-1)), 1e-3)


def test_quantized_numbers_are_the_same_but_not_every_two_tensors():
    coarse = np.round(LARGE * 20) / 20 + np.where(np.abs(LARGE) > 3, 1.0, 0.0)
    unrelated = np.random.default_rng(1).standard_normal(LARGE.shape)
    assert same(Values(LARGE), Values(coarse), 0.15)
    assert not same(Values(LARGE), Values(coarse), 1e-3)
    assert not same(Values(LARGE), Values(unrelated), 0.15)
    steps = Values(np.clip(np.round(LARGE * 40) + 128, 0, 255).astype(np.uint8))
    assert same(steps.standard, Values(LARGE).standard, 0.15)


def test_a_member_of_a_compiled_kernel_is_the_nth_call_of_its_module():
    pytest.importorskip("torch")
    from tests.numeric.torch_values import Call
    from tests.numeric.verdicts import members_of

    names = ["add", "add_2", "add_10"]
    members = [Member("h", "aten::add", name) for name in names]
    kernels = [
        Work(id="k0", engine="torch", op="k0", members=(members[2], members[1])),
        Work(id="k1", engine="torch", op="k1", members=(members[1], members[0])),
    ]
    calls = [Call(id=str(i), scope="h", op="aten::add", inputs=(), makers=(), outputs=()) for i in range(3)]
    assert members_of(kernels, calls) == {member: [i] for i, member in enumerate(members)}
    assert members_of(kernels, calls[:2]) == {member: [0, 1] for member in members}


@dataclass(frozen=True)
class Captured:
    numbers: Numbers

    def region_of(self, call: str) -> Region:
        return next(region for region in self.numbers.matched if call in region.calls)


@pytest.fixture(scope="module")
def bert(two_layers: Path) -> Captured:
    """Two layers of BERT-base at full width, captured with its graphs and weights."""
    from attrib.capture.session.request_from_manifest import options_of
    from tests.numeric.captured import numbers_of

    manifest = load(two_layers / "trace").directory.manifest
    return Captured(numbers_of(options_of(manifest), two_layers / "trace", two_layers / "models"))


@pytest.mark.engines
def test_every_region_computes_the_same_numbers_in_both_engines(bert):
    numbers = bert.numbers
    verdicts = {verdict.region: verdict for verdict in numbers.verdicts()}
    assert [v for v in verdicts.values() if v.state in ("wrong", "loose")] == []
    verified = {region for region, v in verdicts.items() if v.state == "verified"}
    assert len(verified) >= VERIFIED_REGIONS * len(verdicts)
    partition = numbers.analysis.partitions["onnxruntime"]
    times = {w.id: int(ns.sum()) for w, ns in zip(partition.work, partition.work_ns, strict=True)}
    spent = sum(times[node] for r in numbers.matched if r.id in verified for node in r.nodes)
    assert spent >= VERIFIED_TIME * sum(times.values())


@pytest.mark.engines
def test_the_calls_of_the_check_are_the_calls_of_the_trace(bert):
    traced = [work.id for work in bert.numbers.analysis.partitions["torch"].work]
    seen = [call.id for call in bert.numbers.step.calls]
    # A dispatch mode also sees the detach behind a `.data` or a deep copy, for which the profiler has no event.
    assert [call for call in seen if "/aten::detach#" not in call] == traced


@pytest.mark.engines
@pytest.mark.parametrize("layer", [0, 1])
def test_query_and_key_mistaken_for_each_other_are_wrong(bert, layer):
    scope = f"encoder.layer.{layer}.attention.self"
    query, key = (f"{scope}.{name}/aten::linear#0" for name in ("query", "key"))
    first, second = bert.region_of(query), bert.region_of(key)
    swapped = replace(first, calls=second.calls), replace(second, calls=first.calls)
    verdicts = [bert.numbers.verdict(region) for region in swapped]
    assert [v.state for v in verdicts] == ["wrong", "wrong"]
    assert query in verdicts[0].elsewhere
    assert key in verdicts[1].elsewhere


@pytest.mark.engines
def test_a_call_too_many_in_a_region_is_noticed(bert):
    scope = "encoder.layer.0.attention.self"
    region = bert.region_of(f"{scope}.query/aten::linear#0")
    widened = replace(region, calls=(*region.calls, f"{scope}.value/aten::linear#0"))
    assert bert.numbers.verdict(widened).state == "loose"
