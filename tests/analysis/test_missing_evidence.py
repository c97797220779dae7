"""What is said of evidence that a trace directory lacks."""

import pytest

from attrib.analysis.missing_evidence import Recorded, find_missing_evidence
from attrib.model.region import Match, Region
from attrib.model.work import Work
from tests.findings.evidence_factory import partition

NODES = tuple(Work(id=name, engine="onnxruntime", op="MatMul") for name in ("large", "small"))
CALL = Work(id="call", engine="torch", op="aten::linear", scope="encoder")


def region(node, method):
    return Region(
        id=node, module="", calls=("call",), nodes=(node,), match=Match(method=method, confidence=0.5)
    )


def test_a_share_that_rounds_to_nothing_is_not_called_0_percent():
    recorded = Recorded(
        plain=frozenset({"torch", "onnxruntime"}),
        graphs={},
        partitions={
            "torch": partition("torch", (CALL,), (1_000,), ("torch dispatch",), (1,)),
            "onnxruntime": partition("onnxruntime", NODES, (999_000, 1_000)),
        },
        regions=(region("large", "identity"), region("small", "shape-order")),
    )
    gap = next(gap for gap in find_missing_evidence(recorded) if gap.what == "the exported graph")
    assert (
        gap.cost == "under 1 % of the node time is matched by order and shape alone (confidence at most 0.5)"
    )


def test_what_the_comparison_of_values_left_out_is_said_with_its_reason():
    recorded = Recorded(
        plain=frozenset(),
        graphs={},
        partitions={"onnxruntime": partition("onnxruntime", NODES, (999_000, 1_000))},
        regions=(),
        unread={"torch": "2 tensors of PyTorch's step had no place", "onnx/optimized.onnx": "no such kernel"},
    )
    told = {gap.what: gap.cost for gap in find_missing_evidence(recorded)}
    assert "2 tensors" in told["some values of PyTorch's step"]
    assert "no such kernel" in told["some values of onnx/optimized.onnx"]


@pytest.mark.parametrize("engine", ["torch", "onnxruntime"])
def test_of_an_engine_that_did_not_run_nothing_is_missing(engine):
    """An engine against itself: no trace of the other one is called poor."""
    nodes = tuple(Work(id=name, engine=engine, op="MatMul") for name in ("large", "small"))
    recorded = Recorded(
        plain=frozenset({"torch", "onnxruntime"}),
        graphs={},
        partitions={role: partition(engine, nodes, (999_000, 1_000)) for role in ("torch", "onnxruntime")},
        regions=(),
    )
    told = [gap.what for gap in find_missing_evidence(recorded)]
    other, own = ("ONNX Runtime", "PyTorch") if engine == "torch" else ("PyTorch", "ONNX Runtime")
    assert not [what for what in told if other in what]
    assert [what for what in told if own in what]
