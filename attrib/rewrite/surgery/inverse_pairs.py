"""`drop-inverse-pairs`: Cast, Transpose and Reshape that undo each other without losing anything.

Also across nodes that do not care, and neighbors that are one such node.
Each kind is a row of `_KINDS`; a row's function looks at one node, walks up to its partner and takes out what is provably
nothing. The graph is gone through until no row finds anything more.

Most of this ONNX Runtime does by itself at level `all` (1.31: Transpose pairs, also around elementwise nodes, and lossless
Cast pairs go; two Reshapes become one). It leaves Reshape pairs around another node, Squeeze behind Unsqueeze, and the one
Reshape to the shape that its input has: there the rewrite still saves nodes. A test watches this.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from attrib.rewrite.registry import Job, Outcome
from attrib.rewrite.surgery.graph import operate, redirect, sweep
from attrib.rewrite.surgery.layout_pairs import close, drop_transposes, drop_views, movement, path_up

_FLOATS = {
    "FLOAT16": (11, 15),
    "BFLOAT16": (8, 127),
    "FLOAT": (24, 127),
    "DOUBLE": (53, 1023),
}
"""Float type -> bits of the significand, the implied one included, and the largest exponent (IEEE 754; bfloat16)."""

_INTEGERS = {
    "BOOL": (1, False),
    "UINT8": (8, False),
    "UINT16": (16, False),
    "UINT32": (32, False),
    "UINT64": (64, False),
    "INT8": (7, True),
    "INT16": (15, True),
    "INT32": (31, True),
    "INT64": (63, True),
}
"""Integer type -> bits of the magnitude, and whether it has a sign."""


def lossless(source: str, target: str) -> bool:
    """Whether every value of one type is a value of the other, so that a Cast there and back changes nothing."""
    if source == target:
        return source in _FLOATS or source in _INTEGERS
    if source in _FLOATS:
        wide = _FLOATS.get(target, (0, 0))
        return all(own <= other for own, other in zip(_FLOATS[source], wide, strict=True))
    if source not in _INTEGERS:
        return False
    bits, signed = _INTEGERS[source]
    if target in _FLOATS:
        return bits <= _FLOATS[target][0] and bits <= _FLOATS[target][1]
    if target == "BOOL" or target not in _INTEGERS:
        return False
    other_bits, other_signed = _INTEGERS[target]
    return bits <= other_bits and (other_signed or not signed)


def drop_casts(graph: Any, node: Any) -> str:
    """Take out a Cast that undoes the one before it, or that changes no type; make one of two that follow each other."""
    if _type(node.inputs[0]) == _type(node.outputs[0]) != "":
        if not redirect(graph, node.outputs[0], node.inputs[0]):
            return ""
        sweep([node])
        return "Cast to its own type"
    path = path_up(node, frozenset({"Cast"}), movement)
    if path is None or not lossless(_type(path.source), _type(path.partner.outputs[0])):
        return ""
    if _type(path.source) == _type(node.outputs[0]):

        def retouch(step: Any, _place: int) -> None:
            step.outputs[0].dtype = path.source.dtype

        return "Cast pair" if close(graph, node, path, retouch) else ""
    return _merged(node, path.partner) if not path.steps else ""


def _merged(node: Any, first: Any) -> str:
    """One Cast for two, where the first loses nothing: of floats always, of others where the second loses nothing either.

    (What a Cast of a float to an integer gives beyond the integer's range is not defined, and may depend on the float.)
    """
    ends = _type(first.inputs[0]), _type(node.outputs[0])
    exact = all(end in _FLOATS for end in ends) or lossless(*ends)
    alone = len(first.outputs[0].uses()) == 1 and not first.outputs[0].is_graph_output()
    if not exact or not alone:
        return ""
    node.replace_input_with(0, first.inputs[0])
    sweep([first])
    return "Cast merged into the next"


def _type(value: Any) -> str:
    return value.dtype.name if value is not None and value.dtype is not None else ""


_VIEWS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")

_KINDS: dict[str, Callable[[Any, Any], str]] = {
    "Cast": drop_casts,
    "Transpose": drop_transposes,
    **dict.fromkeys(_VIEWS, drop_views),
}
"""Op -> what takes out such a node with its partner; returns what was done, e.g. `Cast pair`, or nothing."""


def drop_inverse_pairs(job: Job) -> Outcome:
    """Take out what undoes itself."""
    return operate(job, _drop)


def _drop(model: Any) -> Outcome:
    graph = model.graph
    done: Counter[str] = Counter()
    while found := _one_pass(graph):
        done += found
    text = ", ".join(f"{count} {what}" for what, count in sorted(done.items()))
    return Outcome(settings={"dropped": text or "nothing"})


def _one_pass(graph: Any) -> Counter[str]:
    found: Counter[str] = Counter()
    for node in list(graph):
        drop = _KINDS.get(node.op_type)
        if drop is not None and not node.domain and node.graph is graph and (what := drop(graph, node)):
            found[what] += 1
    return found
