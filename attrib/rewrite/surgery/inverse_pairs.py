"""`drop-inverse-pairs`: drop Cast, Transpose and Reshape nodes that undo each other without losing anything.

A pair may have nodes between it that work on any type or layout, and two neighbors may be one such node.
Each kind is a row of `_KINDS`; a row's function looks at one node, walks up to its partner and takes out what is provably
nothing. The graph is gone through until no row finds anything more.

Most of this ONNX Runtime does by itself at level `all` (1.31: Transpose pairs, also around elementwise nodes, and lossless
Cast pairs go; two Reshapes become one). It leaves Reshape pairs around another node, Squeeze behind Unsqueeze, and the one
Reshape to the shape that its input has: there the rewrite still saves nodes. A test watches this.

onnxscript's basic rules are no substitute (0.7): they drop no pair with nodes between it, no Reshape or Squeeze pair and no
Cast pair, and their one rule for Casts merges double to float to float16, which rounds twice, into one rounding.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from attrib.rewrite.registry import Job, Outcome
from attrib.rewrite.surgery.graph import is_read_once, list_counts, redirect, surgery, sweep, type_name
from attrib.rewrite.surgery.layout_pairs import VIEWS, close, drop_transposes, drop_views, movement, path_up

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
    if type_name(node.inputs[0]) == type_name(node.outputs[0]) != "":
        if not redirect(graph, node.outputs[0], node.inputs[0]):
            return ""
        sweep([node])
        return "Cast to its own type"
    path = path_up(node, frozenset({"Cast"}), movement)
    if path is None or not lossless(type_name(path.source), type_name(path.partner.outputs[0])):
        return ""
    if type_name(path.source) == type_name(node.outputs[0]):

        def retouch(step: Any, _place: int) -> None:
            step.outputs[0].dtype = path.source.dtype

        return "Cast pair" if close(graph, node, path, retouch) else ""
    # One Cast for two: of floats always, of others where the second loses nothing either. What a Cast of a float to an
    # integer gives beyond the integer's range is not defined, and may depend on the float.
    ends = type_name(path.source), type_name(node.outputs[0])
    exact = all(end in _FLOATS for end in ends) or lossless(*ends)
    if path.steps or not exact or not is_read_once(path.partner.outputs[0]):
        return ""
    node.replace_input_with(0, path.source)
    sweep([path.partner])
    return "Cast merged into the next"


_KINDS: dict[str, Callable[[Any, Any], str]] = {
    "Cast": drop_casts,
    "Transpose": drop_transposes,
    **dict.fromkeys(sorted(VIEWS), drop_views),
}
"""Op -> what takes out such a node with its partner; returns what was done, e.g. `Cast pair`, or nothing."""


@surgery
def drop_inverse_pairs(model: Any, _job: Job) -> Outcome:
    """Take out the pairs until none is left."""
    graph = model.graph
    done: Counter[str] = Counter()
    before = -1
    while done.total() != before:
        before = done.total()
        for node in list(graph):
            drop = _KINDS.get(node.op_type)
            # A node that is taken out with its partner has no graph any more.
            if drop is not None and not node.domain and node.graph is graph and (what := drop(graph, node)):
                done[what] += 1
    return Outcome(settings={"dropped": list_counts(done)})
