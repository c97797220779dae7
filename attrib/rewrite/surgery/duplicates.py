"""`merge-duplicates` and `drop-unused-outputs`: nodes that compute what another one has, and results that nobody wants."""

import hashlib
import re
from collections import Counter
from collections.abc import Hashable
from typing import Any

from attrib.errors import AttribError
from attrib.rewrite.registry import Job, Outcome
from attrib.rewrite.surgery.graph import can_redirect, operate, redirect, sweep

_RANDOM = re.compile("Random|Dropout|Sampling|Multinomial|Bernoulli|Search")
"""Ops that give something else each time, by name: ONNX's and those of ONNX Runtime."""

_DOMAINS = ("", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc")
"""Whose ops depend on nothing but their inputs; of anybody else's that is not known."""

_COMMUTATIVE = frozenset({"Add", "Mul", "And", "Or", "Xor", "Equal"})


def merge_duplicates(job: Job) -> Outcome:
    """Let one node serve where several compute the same from the same."""
    return operate(job, _merge)


def _merge(model: Any) -> Outcome:
    graph = model.graph
    alike = _equal_constants(graph)
    first: dict[Hashable, Any] = {}
    merged: Counter[str] = Counter()
    for node in list(graph):
        key = _key(node, alike)
        kept = node if key is None else first.setdefault(key, node)
        pairs = list(zip(node.outputs, kept.outputs, strict=True))
        if kept is node or not all(can_redirect(graph, old, new) for old, new in pairs):
            continue
        for old, new in pairs:
            redirect(graph, old, new)
        sweep([node])
        merged[node.op_type] += 1
    ops = ", ".join(f"{count} {op}" for op, count in sorted(merged.items()))
    return Outcome(settings={"merged": ops or "nothing"})


def _equal_constants(graph: Any) -> dict[int, int]:
    """Initializer or Constant -> the first that holds the same (by identity); contents are compared where types agree.

    They stay: they cost no time, and only those go that nothing reads any more.
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
        for value, tensor in rivals if len(rivals) > 1 else ():
            alike[value] = seen.setdefault(_digest(tensor), value)
    return alike


def _digest(tensor: Any) -> str:
    return hashlib.sha256(tensor.tobytes()).hexdigest()


def _key(node: Any, alike: dict[int, int]) -> Hashable:
    """What a node computes from what; None where that does not decide its results."""
    import onnx_ir as ir

    subgraphs = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
    holds_graph = any(attribute.type in subgraphs for attribute in node.attributes.values())
    constant = node.op_type == "Constant"
    if constant or holds_graph or node.domain not in _DOMAINS or _RANDOM.search(node.op_type):
        return None
    inputs = [alike.get(id(value), id(value)) for value in node.inputs]
    if node.op_type in _COMMUTATIVE and not node.domain:
        inputs.sort()
    attributes = tuple(sorted((name, _content(a)) for name, a in node.attributes.items()))
    used = tuple(bool(out.name) for out in node.outputs)
    return (node.domain, node.op_type, node.overload, tuple(inputs), attributes, used)


def _content(attribute: Any) -> str:
    """An attribute as text; a tensor by its type and contents."""
    value = attribute.value
    if hasattr(value, "tobytes"):
        return f"{value.dtype} {list(value.shape)} {_digest(value)}"
    return repr(tuple(value) if isinstance(value, list | tuple) else value)


def drop_unused_outputs(job: Job) -> Outcome:
    """Drop the graph's outputs that the PyTorch model does not return, and what only they need."""
    return operate(job, lambda model: _drop_outputs(model, job))


def _drop_outputs(model: Any, job: Job) -> Outcome:
    graph = model.graph
    wanted = job.outputs()
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
