"""Times against CUDA events: whole steps within a few percent, single kernels within ten."""

import statistics

import numpy as np
import pytest
from gpu_cases import SINGLE
from gpu_truth import session_ns_by_events, walls_by_events

from attrib.capture.ort.feeds import feeds_of
from attrib.capture.workload.inputs import load_inputs

pytestmark = pytest.mark.gpu

STEPS = 50
WALL, KERNEL = 0.05, 0.10


@pytest.mark.parametrize("factory", SINGLE)
def test_node_takes_on_the_device_what_cuda_events_say(made, factory):
    analysis = made(factory)
    partition = analysis.partitions["onnxruntime"]
    ops = [work.op for work in partition.work]
    own = statistics.median(partition.split.kernels_ns[ops.index(SINGLE[factory])].tolist())
    root = analysis.directory.root
    truth = session_ns_by_events(
        root.with_name(f"{root.name}-models") / "exported.onnx", load_inputs(root / "inputs.npz")
    )
    assert own == pytest.approx(truth, rel=KERNEL)


@pytest.mark.parametrize("bound", [True, False])
def test_wall_of_an_onnx_runtime_step_holds_the_devices_work(made, bound):
    """Events on the session's own stream would end after the step where the step did not wait for it."""
    import onnxruntime as ort
    import torch

    root = made("matmul").directory.root
    stream = torch.cuda.Stream()
    options = {"user_compute_stream": str(stream.cuda_stream)}
    session = ort.InferenceSession(
        str(root.with_name(f"{root.name}-models") / "exported.onnx"),
        providers=[("CUDAExecutionProvider", options)],
    )
    feeds, _ = feeds_of(session, load_inputs(root / "inputs.npz"), io_binding=bound)
    for _ in range(5):
        feeds.step()
    walls, events = walls_by_events(feeds.step, stream, STEPS)
    assert statistics.median(walls) == pytest.approx(statistics.median(events), rel=WALL)


def test_wall_of_a_pytorch_step_holds_the_devices_work():
    import torch

    from attrib.capture.pytorch.modes import prepare
    from attrib.capture.workers.messages import Recipe
    from attrib.capture.workload.build import build

    recipe = Recipe(
        kind="configuration", location="bert-base-uncased", task="", batch_size=8, seq_len=128, device="cuda",
        precision="fp16", attention="sdpa", seed=0, padding=0.0,
    )  # fmt: skip
    with torch.inference_mode():
        step = prepare(build(recipe), "eager", None).step
        for _ in range(5):
            step()
        walls, events = walls_by_events(step, torch.cuda.current_stream(), STEPS)
    assert statistics.median(walls) == pytest.approx(statistics.median(events), rel=WALL)


def test_bound_outputs_are_read_back_as_they_are(made):
    analysis = made("matmul")
    assert analysis.directory.manifest.sides["onnxruntime"].settings["bound_on"] == "cuda"
    assert [output.equal for output in analysis.document.outputs] == [True]
    assert np.isfinite([output.max_abs for output in analysis.document.outputs]).all()
