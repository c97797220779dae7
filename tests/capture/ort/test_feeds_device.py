"""Where inputs and outputs are bound for a session on a CUDA device; the session is a fake."""

import numpy as np
import onnxruntime as ort
import pytest

from attrib.capture.ort.feeds import HOST, MemoryPlace, feeds_of, place_of
from attrib.errors import AttribError
from tests.capture.device_fakes import Session, Value

X = {"x": np.ones((1, 2), np.float32)}
CUDA = "CUDAExecutionProvider"


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    """Allocation on a device, without one."""

    def made(array, device="cpu", index=0):
        return Value(array, f"{device}:{index}")

    def empty(shape, element_type, device="cpu", index=0):
        return Value(np.zeros(shape), f"{device}:{index}")

    monkeypatch.setattr(ort.OrtValue, "ortvalue_from_numpy", made)
    monkeypatch.setattr(ort.OrtValue, "ortvalue_from_shape_and_type", empty)


def feeds(session, **options):
    found, notes = feeds_of(session, X, io_binding=options.pop("io_binding", True), **options)
    assert notes == []
    return found


def test_inputs_and_outputs_are_bound_on_the_device_of_the_provider():
    session = Session(CUDA, options={CUDA: {"device_id": "1"}})
    assert feeds(session).bound == MemoryPlace("cuda", 1)
    assert session.asked == [
        ("input", "x", "cuda:1"), ("synchronize", "inputs"), ("output", "y", "cuda:1"), ("run", "graph"),
        ("preallocated", "y", "cuda:1"),
    ]  # fmt: skip


def test_a_bound_step_on_a_device_ends_when_its_outputs_are_there():
    session = Session(CUDA)
    found = feeds(session)
    session.asked.clear()
    found.step()
    assert session.asked == [("run", "graph"), ("synchronize", "outputs")]


def test_on_the_host_nothing_is_waited_for():
    session = Session()
    found = feeds(session)
    assert found.bound == HOST
    session.asked.clear()
    found.step()
    assert session.asked == [("run", "graph")]


def test_unbound_step_is_fed_with_arrays():
    session = Session(CUDA)
    found = feeds(session, io_binding=False)
    found.step()
    assert (found.bound, session.asked) == (None, [("run", "unbound")])


def test_run_that_tells_the_sizes_captures_no_graph_because_its_outputs_lie_elsewhere():
    session = Session(CUDA)
    found = feeds(session, replays=True)
    found.step()
    assert [asked for asked in session.asked if asked[0] in ("run", "preallocated")] == [
        ("run", "-1"), ("preallocated", "y", "cuda:0"), ("run", "graph"),
    ]  # fmt: skip


def test_profiled_session_launches_every_kernel_where_the_plain_one_replays_a_graph():
    session = Session(CUDA)
    found = feeds(session, replays=False)
    found.step()
    found.outputs()
    assert {asked[1] for asked in session.asked if asked[0] == "run"} == {"-1"}


def test_graph_needs_bound_memory():
    with pytest.raises(AttribError, match="nothing is bound"):
        feeds(Session(CUDA), io_binding=False, replays=True)


def test_graph_needs_outputs_of_one_size(monkeypatch):
    monkeypatch.setattr(Value, "is_tensor", lambda _: False)
    with pytest.raises(AttribError, match="outputs that are tensors"):
        feeds(Session(CUDA), replays=True)


@pytest.mark.parametrize(
    ("providers", "place"),
    [
        ((CUDA,), MemoryPlace("cuda", 0)),
        (("TensorrtExecutionProvider", CUDA), MemoryPlace("cuda", 0)),
        (("OpenVINOExecutionProvider",), HOST),
        ((), HOST),
    ],
)
def test_place_is_that_of_the_first_provider(providers, place):
    assert place_of(Session(*providers)) == place
