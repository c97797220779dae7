"""`drop-inverse-pairs`: Cast, Transpose and Reshape that undo each other without losing anything.

Also across nodes that do not care, and neighbours that are one such node.
Each kind is a row of `_KINDS`; a row's function looks at one node, walks up to its partner and takes out what is provably
nothing. The graph is gone through until no row finds anything more.

Most of this ONNX Runtime does by itself at level `all` (1.31: Transpose pairs, also around elementwise nodes, and lossless
Cast pairs go; two Reshapes become one). It leaves Reshape pairs around another node, Squeeze behind Unsqueeze, and the one
Reshape to the shape that its input has: there the rewrite still saves nodes. A test watches this.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from attrib.capture.rewrites import Job, Outcome
from attrib.capture.rewrites_surgery import operate
from attrib.capture.rewrites_surgery_casts import drop_casts
from attrib.capture.rewrites_surgery_moves import drop_transposes, drop_views

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
