"""The nodes that ONNX Runtime executed, by their role, with their time and the executor's time for them."""

from collections.abc import Collection, Iterable

from attrib.analysis.match.ops import SPELLED, node_role
from attrib.findings.evidence.attention import ATTENTION_NODES
from attrib.findings.evidence.kernels import MATRIX_NODES
from attrib.findings.evidence.unfused_patterns import MEANS, POINTWISE
from attrib.model.estimate import Delta
from attrib.model.work import Work
from attrib.verify.predict.prediction import plus, times
from attrib.verify.protocol import ExperimentContext

MOVING = frozenset({"layout", "cast", "shape"})
"""Roles of nodes that compute nothing of the model: how many there are is the exporter's choice."""

_CHOOSING = frozenset(
    {
        "Where",
        "IsNaN",
        "IsInf",
        "Not",
        "And",
        "Or",
        "Equal",
        "Greater",
        "Less",
        "GreaterOrEqual",
        "LessOrEqual",
    }
)
ELEMENTWISE = POINTWISE | _CHOOSING | {"Relu", "Clip", "Max", "Min", "Sum", "Log", "Abs", "Exp"}
"""Ops that make each element from one element of every input."""

HEAVY = MATRIX_NODES | ATTENTION_NODES | {
    "Conv", "ConvTranspose", "Einsum", "LSTM", "GRU", "RNN", "MatMulInteger", "QLinearMatMul", "MatMulNBits", "QGemm",
}  # fmt: skip
"""Products and convolutions: whatever is fused around them, they stay."""


def nodes(context: ExperimentContext) -> tuple[Work, ...]:
    """The nodes that ONNX Runtime executed in a step, in its order."""
    return tuple(context.evidence.work.get("onnxruntime", {}).values())


def is_heavy(op: str) -> bool:
    """Whether an op is a product or a convolution, fused with something or not."""
    return op in HEAVY or SPELLED.get(op, op) in HEAVY


def is_moving(node: Work) -> bool:
    """Whether a node only moves, converts or measures data."""
    return node_role(node) in MOVING


def is_glue(node: Work) -> bool:
    """Whether a node is of the kind that fusions take in: moving, elementwise, or a mean."""
    return is_moving(node) or node.op in ELEMENTWISE or node.op in MEANS


def time_of(context: ExperimentContext, works: Iterable[str]) -> Delta:
    """Time of executed nodes, without the executor's own."""
    return context.evidence.ledger.work("onnxruntime", works)


def time_of_removal(context: ExperimentContext, works: Collection[str]) -> Delta:
    """Time that is saved when nodes are removed: their own, and at most what the executor needs for each of them."""
    return plus(time_of(context, works), executor(context, len(works)))


def executor(context: ExperimentContext, count: int) -> Delta:
    """The executor's time for a number of nodes: for each between nothing and what a trivial node takes in all."""
    side = context.manifest.sides.get("onnxruntime")
    most = (side.overhead.between_ns if side and side.overhead else None) or 0.0
    return times(Delta(median=round(most / 2), low=0, high=round(most)), count)
