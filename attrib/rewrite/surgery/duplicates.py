"""Three small surgeries: nodes merged that compute the same, outputs and inputs dropped that nobody needs.

`merge-duplicates` merges the nodes, `drop-unused-outputs` drops outputs that PyTorch does not return, and
`drop-initializer-inputs` the inputs that are initializers.

onnx_ir's CommonSubexpressionEliminationPass is no substitute (1.1), not even behind its pass that merges equal initializers:
it tells a Mul from the same Mul with its operands swapped, merges Dropout, samplers of ONNX Runtime and operators of
unknown domains, puts an Identity where both duplicates are outputs of the graph, and does not say what it merged.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Hashable
from typing import Any

from attrib.errors import AttribError
from attrib.rewrite.registry import Job, Outcome
from attrib.rewrite.surgery.graph import can_redirect, holds_graph, list_counts, redirect, surgery, sweep

_RANDOM = re.compile("Random|Dropout|Sampling|Multinomial|Bernoulli|Search")
"""Ops that give something else each time, by name: those of ONNX and of ONNX Runtime."""

_DOMAINS = ("", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc")
"""Domains whose ops depend on nothing but their inputs; of other domains that is not known."""

_COMMUTATIVE = frozenset({"Add", "Mul", "And", "Or", "Xor", "Equal"})


@surgery
def merge_duplicates(model: Any, _job: Job) -> Outcome:
    """Let one node serve where several compute the same from the same."""
    graph = model.graph
    alike = _find_equal_constants(graph)
    first: dict[Hashable, Any] = {}
    merged: Counter[str] = Counter()
    for node in list(graph):
        key = _key_of(node, alike)
        kept = node if key is None else first.setdefault(key, node)
        pairs = list(zip(node.outputs, kept.outputs, strict=True))
        if kept is node or not all(can_redirect(graph, old, new) for old, new in pairs):
            continue
        for old, new in pairs:
            redirect(graph, old, new)
        sweep([node])
        merged[node.op_type] += 1
    return Outcome(settings={"merged": list_counts(merged)})


def _find_equal_constants(graph: Any) -> dict[int, int]:
    """Map each initializer or Constant to the first that holds the same, by identity.

    They stay in the graph, because they cost no time: only those go that nothing reads any more.
    """
    import onnx_ir as ir

    made = (node.outputs[0] for node in graph if node.op_type == "Constant")
    groups: dict[Hashable, list[tuple[int, Any]]] = {}
    for value in (*graph.initializers.values(), *made):
        tensor = None if value.is_graph_input() else ir.convenience.get_const_tensor(value)
        if tensor is not None:
            groups.setdefault((tensor.dtype, tuple(tensor.shape)), []).append((id(value), tensor))
    alike: dict[int, int] = {}
    for rivals in groups.values():
        seen: dict[str, int] = {}
        # Weights are read only where another one has the same type and shape.
        for value, tensor in rivals if len(rivals) > 1 else ():
            alike[value] = seen.setdefault(_digest(tensor), value)
    return alike


def _digest(tensor: Any) -> str:
    return hashlib.sha256(tensor.tobytes()).hexdigest()


def _key_of(node: Any, alike: dict[int, int]) -> Hashable:
    """What a node computes from what: equal for two nodes with the same results; None where it does not decide them."""
    random = node.op_type == "Constant" or node.domain not in _DOMAINS or _RANDOM.search(node.op_type)
    if random or holds_graph(node):
        return None
    inputs = [alike.get(id(value), id(value)) for value in node.inputs]
    if node.op_type in _COMMUTATIVE and not node.domain:
        inputs.sort()
    attributes = []
    for name, attribute in sorted(node.attributes.items()):
        value = attribute.value
        if hasattr(value, "tobytes"):
            content = f"{value.dtype} {list(value.shape)} {_digest(value)}"
        else:
            content = repr(tuple(value) if isinstance(value, list | tuple) else value)
        attributes.append((name, content))
    used = tuple(bool(out.name) for out in node.outputs)
    return (node.domain, node.op_type, node.overload, tuple(inputs), tuple(attributes), used)


@surgery
def drop_unused_outputs(model: Any, job: Job) -> Outcome:
    """Drop the graph's outputs that the PyTorch model does not return, and what only they need."""
    graph, wanted = model.graph, job.outputs()
    have = [value.name for value in graph.outputs]
    if missing := [name for name in wanted if name not in have]:
        if len(have) <= len(wanted):
            return Outcome(settings={"dropped": "nothing"})
        raise AttribError(
            f"the graph has {len(have)} outputs and PyTorch returns {len(wanted)}, but none of them is called"
            f" {missing[0]!r}, so it cannot be told which to drop",
            hint="name the graph's outputs as the model returns them",
        )
    dropped = [value for value in graph.outputs if value.name not in wanted]
    graph.outputs[:] = [value for value in graph.outputs if value.name in wanted]
    sweep(value.producer() for value in dropped if value.producer() is not None)
    names = ", ".join(value.name for value in dropped)
    return Outcome(settings={"dropped": names or "nothing", "kept": ", ".join(wanted)})


@surgery
def drop_initializer_inputs(model: Any, _job: Job) -> Outcome:
    """Make constants of the initializers that a caller may replace: only those does ONNX Runtime fold and pack."""
    graph = model.graph
    dropped = [value for value in graph.inputs if value.name in graph.initializers]
    graph.inputs[:] = [value for value in graph.inputs if value.name not in graph.initializers]
    return Outcome(settings={"dropped": str(len(dropped))})
