"""What work would take in another form, estimated from the nodes of the same run that already have that form.

The other engine is a poor measure of what one engine could do: PyTorch's matrix products may be three times as slow, or as
fast, as ONNX Runtime's. A graph usually computes the same thing at the same size in several places, and a cause that hits
one of them leaves the others as they should be. Numbered cases, cited in the code:

1. A node of the wanted op with a result of the same size and type: its time.
2. Matrix products of other sizes: the time at their rate (operations per second). Of all of them the nearest in size,
   because small products reach lower rates.
3. A result of another size: the time in proportion to the elements.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from attrib.analysis.match.ops import base_op
from attrib.findings.evidence.kernels import MATRIX_NODES, flops_of
from attrib.model.tensor import Tensor
from attrib.model.work import Work

NEAREST = 4
"""Matrix products whose rate is taken: enough that one disturbed node does not decide."""


class Terms(msgspec.Struct, frozen=True):
    """A sum of weighted times, e.g. what nodes take less what the same work takes elsewhere.

    Attributes:
        nodes: Weights of executed nodes.
        calls: Weights of PyTorch calls.
    """

    nodes: dict[str, float] = msgspec.field(default_factory=dict)
    calls: dict[str, float] = msgspec.field(default_factory=dict)

    def add(self, weights: Mapping[str, float], factor: float = 1.0) -> None:
        """Add weights of executed nodes."""
        for name, weight in weights.items():
            self.nodes[name] = self.nodes.get(name, 0.0) + factor * weight

    def add_calls(self, weights: Mapping[str, float], factor: float = 1.0) -> None:
        """Add weights of PyTorch calls."""
        for name, weight in weights.items():
            self.calls[name] = self.calls.get(name, 0.0) + factor * weight


def weight_once(names: Iterable[str]) -> dict[str, float]:
    """Weights whose sum is the time of all of them."""
    return dict.fromkeys(names, 1.0)


def weights_of_equal_size(
    works: Iterable[Work], result: Tensor, wanted: Callable[[Work], bool]
) -> dict[str, float]:
    """Weights whose sum is the mean time of the wanted nodes with such a result (case 1); empty without any."""
    found = [work.id for work in works if wanted(work) and work.outputs and work.outputs[0] == result]
    return {name: 1 / len(found) for name in found}


def weights_by_elements(
    works: Iterable[Work], result: Tensor, wanted: Callable[[Work], bool]
) -> dict[str, float]:
    """Weights whose sum is the time of the wanted nodes in proportion to the elements of the result (case 3)."""
    found = [
        work
        for work in works
        if wanted(work) and work.outputs and work.outputs[0].dtype == result.dtype and work.outputs[0].elements > 0
    ]  # fmt: skip
    total = sum(work.outputs[0].elements for work in found)
    return {work.id: result.elements / total for work in found} if result.elements > 0 else {}


def weights_at_product_rate(works: Iterable[Work], flops: int, dtype: str) -> dict[str, float]:
    """Weights whose sum is the time of so many operations at the rate of the nearest matrix products (case 2)."""
    products = [
        (abs(count - flops), order, work, count)
        for order, work in enumerate(works)
        if work.op in MATRIX_NODES and work.outputs and work.outputs[0].dtype == dtype and (count := flops_of(work))
    ]  # fmt: skip
    nearest = [(work, count) for _, _, work, count in sorted(products, key=lambda item: item[:2])]
    equal = [(work, count) for work, count in nearest if count == flops]
    chosen = equal or nearest[:NEAREST]
    total = sum(count for _, count in chosen)
    return {work.id: flops / total for work, _ in chosen} if total else {}


def weights_at_call_rate(calls: Iterable[Work], call: Work) -> dict[str, float]:
    """Weights whose sum is the time of a PyTorch product at the rate of other calls of its op (case 2).

    Empty for other work, and where no other call tells.
    """
    flops = flops_of(call)
    like = [
        (other, count)
        for other in calls
        if base_op(other.op) == base_op(call.op) and (count := flops_of(other))
    ]
    equal = [pair for pair in like if pair[1] == flops] or like
    total = sum(count for _, count in equal)
    return {other.id: flops / total for other, _ in equal} if flops and total else {}
