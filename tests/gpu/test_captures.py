"""BERT-base on a GPU: complete, on one clock, conserved exactly, and as Kineto's own sums have it."""

import pytest
from gpu_cases import CASES
from gpu_truth import plain_steps

from attrib.model.device import SPENT

pytestmark = pytest.mark.gpu

FILES = {
    "torch": ("torch/trace.json.gz", "attrib.step#"),
    "onnxruntime": ("ort/device.json.gz", "attrib.run#"),
}
EVERY = tuple(CASES)
SIDES = [(case, role) for case in EVERY for role in FILES]


@pytest.mark.parametrize("case", EVERY)
def test_both_sides_are_complete_and_on_one_clock(made, case):
    manifest = made(case).directory.manifest
    assert {side.state for side in manifest.sides.values()} == {"complete"}
    side = manifest.sides["onnxruntime"]
    assert side.providers[0] == "CUDAExecutionProvider"
    assert int(side.settings["device_events"]) > 0
    assert int(side.settings["clock_residual_ns"]) <= 50_000
    assert not [text for text in manifest.warnings if "not recorded" in text or "clocks" in text]


@pytest.mark.parametrize("case", EVERY)
def test_outputs_agree(made, case):
    assert [output for output in made(case).document.outputs if not output.equal] == []


@pytest.mark.parametrize("case", EVERY)
def test_ledger_sums_to_the_headline(made, case):
    document = made(case).document
    assert sum(row.delta_ns for row in document.ledger) == document.latency.delta_ns.median


@pytest.mark.parametrize(("case", "role"), SIDES)
def test_every_instant_of_a_step_has_one_owner(made, case, role):
    partition = made(case).partitions[role]
    partition.self_check()
    split = partition.split
    assert split is not None, "the device's work was not recorded"
    assert (split.busy_ns + split.idle_ns == partition.walls_ns).all()
    assert (sum(split.work_ns[kind] for kind in SPENT) == partition.work_ns).all()


@pytest.mark.parametrize(("case", "role"), SIDES)
def test_sums_are_those_of_the_trace_itself(made, case, role):
    analysis = made(case)
    name, prefix = FILES[role]
    plain = [step.key() for step in plain_steps(analysis.directory.root / name, prefix)]
    use = analysis.partitions[role].device
    columns = (use.kernels, use.kernels_ns, use.copies_ns, use.busy_ns)
    own = list(zip(*(column.tolist() for column in columns), strict=True))
    assert own
    assert [step for step in own if step not in plain] == []


@pytest.mark.parametrize(("case", "role"), SIDES)
def test_every_kernel_has_one_owner(made, case, role):
    partition = made(case).partitions[role]
    owned = partition.split.kernels.sum(axis=0)
    assert (owned <= partition.device.kernels).all()
    assert owned.sum() >= 0.99 * partition.device.kernels.sum()


@pytest.mark.parametrize(("case", "role"), SIDES)
def test_device_is_never_busy_for_longer_than_the_step(made, case, role):
    """On one stream kernels do not overlap, so their sum is the busy time; with bound outputs and a wait at its end a
    step holds all of it."""
    analysis = made(case)
    name, prefix = FILES[role]
    for step in plain_steps(analysis.directory.root / name, prefix):
        assert step.busy_ns <= step.wall_ns
        assert step.kernels_ns <= step.sum_ns
        if len(step.streams) == 1:
            assert abs(step.sum_ns - step.busy_ns) <= 0.001 * step.busy_ns


def test_half_precision_and_larger_batches_change_the_kernels_as_they_must(made):
    """Independent of any trace: fp16 halves the bytes, eight rows are more work than one."""
    kernels = {case: made(case).partitions["onnxruntime"].device.kernels_ns.mean() for case in EVERY[:4]}
    assert kernels["fp16-b8"] < kernels["fp32-b8"]
    assert kernels["fp32-b1"] < kernels["fp32-b8"]
