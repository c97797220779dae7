"""Two traces of different models are told by the sizes on which their operators work."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrib.analysis.match.same_model import strangers
from attrib.api import load
from attrib.model.manifest import Role
from attrib.model.tensor import Tensor
from attrib.model.work import Partition, Work
from tests.conftest import ROOT


class Side:
    """What `strangers` reads of a partition."""

    def __init__(self, engine: str, *units: tuple[str, int, tuple[int, ...]]) -> None:
        self.work = tuple(
            Work(
                id=f"{op}#{i}", engine=engine, op=op, inputs=tuple(Tensor("float", (size,)) for size in sizes)
            )
            for i, (op, _, sizes) in enumerate(units)
        )
        self.work_ns = np.array([ns for _, ns, _ in units]).reshape(-1, 1)


def told(torch: Side, ort: Side) -> str:
    both: dict[Role, Partition] = {"torch": torch, "onnxruntime": ort}  # type: ignore[dict-item]
    return strangers(both)


def test_other_sizes_on_both_sides_are_of_another_model():
    ours = Side("torch", ("aten::linear", 900, (768 * 768, 98304)), ("aten::gelu", 100, (393216,)))
    theirs = Side("onnxruntime", ("Conv", 900, (64 * 64 * 9, 802816)), ("Relu", 100, (802816,)))
    assert "different models" in told(ours, theirs)
    assert "all operators that compute" in told(ours, theirs)


def test_another_batch_of_one_model_shares_its_weights():
    ours = Side("torch", ("aten::linear", 900, (768 * 768, 98304)), ("aten::gelu", 100, (393216,)))
    theirs = Side("onnxruntime", ("MatMul", 900, (768 * 768, 8 * 98304)), ("Gelu", 100, (8 * 393216,)))
    assert told(ours, theirs) == ""


@pytest.mark.parametrize("sizes", [(), (16, 64)])
def test_without_sizes_nothing_is_said(sizes):
    ours = Side("torch", ("aten::linear", 900, sizes))
    theirs = Side("onnxruntime", ("Conv", 900, (36864, 802816)))
    assert told(ours, theirs) == ""
    assert strangers({}) == ""


@pytest.mark.parametrize("name", ["bert-base-uncased", "distilbert-base-uncased"])
def test_the_samples_are_of_one_model(name):
    assert strangers(load(ROOT / "sample_traces" / name).partitions) == ""


def test_two_samples_of_different_width_are_told_apart_only_where_nothing_is_shared():
    """DistilBERT has BERT's layers: half of a model is no other model by its sizes."""
    bert, distil = (
        load(ROOT / "sample_traces" / n).partitions for n in ("bert-base-uncased", "distilbert-base-uncased")
    )
    assert strangers({"torch": bert["torch"], "onnxruntime": distil["onnxruntime"]}) == ""


@given(st.lists(st.tuples(st.integers(0, 10**6), st.lists(st.integers(1, 10**7), max_size=3)), max_size=6))
def test_a_trace_is_no_stranger_to_itself(units):
    rows = [("aten::linear", ns, tuple(sizes)) for ns, sizes in units]
    nodes = [("MatMul", ns, tuple(sizes)) for ns, sizes in units]
    assert told(Side("torch", *rows), Side("onnxruntime", *nodes)) == ""
