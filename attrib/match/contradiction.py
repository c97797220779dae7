"""Whether the tensors that ONNX Runtime really read and wrote can be those of the calls of a region.

Links were checked against the exported graph, which may leave sizes open. This looks at what ran. Element counts are
compared, not layouts: exporters transpose weights and flatten batches, and fused nodes read packed weights. So one
activation of the calls that is found among the tensors of the nodes is agreement.
"""

from collections.abc import Iterable, Sequence

from attrib.match.ops import IDENTITY_OPS, base_op, call_role
from attrib.model.tensor import Tensor
from attrib.model.work import Work

_FLOATS = ("float", "float16", "bfloat16", "double")


def contradictions(calls: Sequence[Work], nodes: Sequence[Work], *, rewritten: bool) -> tuple[str, ...]:
    """What speaks against calls and nodes being the same work, one line each.

    Args:
        calls: Calls of a region.
        nodes: Its executed nodes.
        rewritten: The chain of graphs explains another element type, so that it is no contradiction.
    """
    entering = [c.inputs[0] for c in calls if c.inputs and _computes(c)]
    there = [t for n in nodes for t in (*n.inputs, *n.outputs)]
    found = []
    if entering and there and not {t.elements for t in entering} & {t.elements for t in there}:
        found.append(f"SIZES DIFFER: PyTorch computes on {_named(entering)}, ONNX Runtime on {_named(there)}")
    ours, theirs = _float_types(entering), _float_types(there)
    if ours and theirs and not ours & theirs and not rewritten:
        found.append(
            f"TYPES DIFFER: {', '.join(sorted(ours))} in PyTorch, {', '.join(sorted(theirs))} in ONNX Runtime"
        )
    return tuple(found)


def _computes(call: Work) -> bool:
    return call_role(call) == "compute" and base_op(call.op) not in IDENTITY_OPS


def _float_types(tensors: Iterable[Tensor]) -> frozenset[str]:
    return frozenset(t.dtype for t in tensors if t.dtype in _FLOATS)


def _named(tensors: Iterable[Tensor]) -> str:
    shown = list(dict.fromkeys(str(t) for t in sorted(tensors, key=lambda t: -t.elements)))[:2]
    return " and ".join(shown)
