"""`double-to-float`: compute in float what is computed in double between a Cast from float and a Cast back."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attrib.rewrite.registry import Job, Outcome
from attrib.rewrite.surgery.graph import (
    Array,
    check_outputs,
    constant,
    forget,
    holds_graph,
    new_constant,
    operate,
    redirect,
    sweep,
    type_name,
)
from attrib.wording import counted

_FLOATS = ("FLOAT", "FLOAT16", "BFLOAT16")
_READS_NO_VALUES = ("Shape", "Size")


@dataclass(eq=False, slots=True)
class _Island:
    """Double values that are made of each other, with the nodes that compute them and the casts at its edges."""

    inner: list[Any] = field(default_factory=list)
    entries: list[Any] = field(default_factory=list)
    exits: list[Any] = field(default_factory=list)
    spoiled: bool = False


def double_to_float(job: Job) -> Outcome:
    """Convert the islands, and check on the workload's inputs that the outputs stay within the precision's tolerance."""
    outcome = operate(job, _convert)
    if outcome.settings["islands"] == "0":
        return outcome
    apart = check_outputs(job, "computing the double islands in float")
    note = (
        f"--optimize double-to-float computes {counted(int(outcome.settings['islands']), 'island')} of double in float;"
        f" on the workload's inputs that changes the outputs by {apart:.1g} of the largest value at most"
    )
    return Outcome(settings=outcome.settings | {"largest_relative_difference": f"{apart:.2g}"}, notes=(note,))


def _convert(model: Any) -> Outcome:
    graph = model.graph
    islands = [
        island
        for island in _find_islands(graph)
        if not island.spoiled and island.inner and island.entries and island.exits
    ]
    floats: dict[Any, Any] = {}
    for island in islands:
        for node in island.inner:
            _to_float(graph, node, floats)
        for cast in (*island.entries, *island.exits):
            _leave_out(graph, cast)
    nodes = sum(len(island.inner) for island in islands)
    return Outcome(settings={"islands": str(len(islands)), "nodes": str(nodes)})


def _find_islands(graph: Any) -> list[_Island]:
    """Find every island of a graph.

    Numbered cases, cited in the code:

    1. A Cast from a shorter float type is an entry, one to such a type an exit.
    2. A node of ONNX that makes nothing but doubles is inner; whatever doubles it reads belong to the same island.
    3. Shape and Size read no values. Anything else that touches a double spoils the island: the value leaves as what
       it is, or decides something.
    """
    owner: dict[int, _Island] = {}
    for node in graph:
        own = [v for v in (*node.inputs, *node.outputs) if _is_double(v) and constant(v) is None]
        if not own or node.op_type in _READS_NO_VALUES:
            continue
        island = _join(own, owner)
        island.spoiled |= any(
            v.producer() is None
            or v.is_graph_output()
            or any(use.node.graph is not graph for use in v.uses())
            for v in own
        )
        _place(node, island)
    return list({id(island): island for island in owner.values()}.values())


def _place(node: Any, island: _Island) -> None:
    """Enter a node as what it is to its island (the cases of `_find_islands`)."""
    entry, leaving = _is_double(node.outputs[0]), _is_double(node.inputs[0]) if node.inputs else False
    if node.op_type == "Cast" and entry and not leaving and type_name(node.inputs[0]) in _FLOATS:
        island.entries.append(node)  # 1
        return
    if node.op_type == "Cast" and leaving and not entry and type_name(node.outputs[0]) in _FLOATS:
        island.exits.append(node)  # 1
        return
    doubles = all(_is_double(value) for value in node.outputs if value.name)
    if not node.domain and node.op_type != "Cast" and not holds_graph(node) and doubles:
        island.inner.append(node)  # 2
    else:
        island.spoiled = True  # 3


def _join(values: list[Any], owner: dict[int, _Island]) -> _Island:
    """Make one island of those that the values belong to, and of the values that belong to none yet."""
    found = list({id(owner[id(v)]): owner[id(v)] for v in values if id(v) in owner}.values())
    island = found[0] if found else _Island()
    for other in found[1:]:
        island.inner += other.inner
        island.entries += other.entries
        island.exits += other.exits
        island.spoiled |= other.spoiled
    for key, known in owner.items():
        if known in found[1:]:
            owner[key] = island
    owner.update((id(v), island) for v in values)
    return island


def _is_double(value: Any) -> bool:
    return type_name(value) == "DOUBLE"


def as_float(array: Array) -> Array:
    """Convert to float; what is finite stays so (masks hold the most negative double)."""
    largest = np.finfo(np.float32)
    bounded = np.where(np.isfinite(array), np.clip(array, largest.min, largest.max), array)
    return np.asarray(bounded.astype(np.float32))


def _to_float(graph: Any, node: Any, floats: dict[Any, Any]) -> None:
    """Let an inner node compute in float; `floats` holds the constants that were converted before."""
    import onnx_ir as ir

    for i, value in enumerate(node.inputs):
        held = constant(value) if _is_double(value) else None
        if held is not None:
            if value not in floats:
                floats[value] = new_constant(graph, f"{value.name}/float", as_float(held))
            node.replace_input_with(i, floats[value])
            sweep([value.producer()] if value.producer() is not None else [])
            forget([value])
    for name, attribute in list(node.attributes.items()):
        if name == "dtype" and attribute.value == ir.DataType.DOUBLE:
            node.attributes[name] = ir.AttrInt64(name, int(ir.DataType.FLOAT))
        elif attribute.type == ir.AttributeType.TENSOR and attribute.value.dtype == ir.DataType.DOUBLE:
            tensor = ir.tensor(as_float(attribute.value.numpy()))
            node.attributes[name] = ir.AttrTensor(name, tensor)
    for value in node.outputs:
        value.dtype = ir.DataType.FLOAT
        # The same name would say that it is the same tensor.
        value.name = f"{value.name}/float"


def _leave_out(graph: Any, cast: Any) -> None:
    """Take out a Cast at the edge, where both sides are float now; a Cast from another type gives float instead."""
    import onnx_ir as ir

    source, made = cast.inputs[0], cast.outputs[0]
    if _is_double(made):
        if type_name(source) == "FLOAT" and redirect(graph, made, source):
            sweep([cast])
            return
        cast.attributes["to"] = ir.AttrInt64("to", int(ir.DataType.FLOAT))
        made.dtype = ir.DataType.FLOAT
        made.name = f"{made.name}/float"
    elif type_name(made) == "FLOAT" and redirect(graph, made, source):
        sweep([cast])
