"""Module scopes of a trace that attrib did not record: from the Python events of `with_stack=True`.

torch.profiler then writes one event a module call, `nn.Module: BertLayer_3`: the class, and which of its instances, in the
order of their first call. The qualified name (`encoder.layer.3`) is not in the trace, so a scope is the path of nested
modules, without the outermost: `BertEncoder_0.BertLayer_3.BertOutput_3.Linear_23`. It groups calls just as well, but names
no module of an ONNX file.
"""

from collections.abc import Sequence

import numpy as np

from attrib.attribute.intervals import Int64s, parents

PYTHON_MODULE = "nn.Module: "


def python_scopes(names: Sequence[str], starts: Int64s, ends: Int64s) -> tuple[str, ...]:
    """The scope of each module event.

    Args:
        names: Names of the events, with their prefix.
        starts: When they start, in nesting order: a parent before what it contains.
        ends: When they end.
    """
    scopes: list[str] = []
    roots = np.flatnonzero((above := parents(starts, ends)) < 0)
    shared = len({names[i] for i in roots.tolist()}) == 1
    for name, parent in zip(names, above.tolist(), strict=True):
        own = name.removeprefix(PYTHON_MODULE).replace(".", "_")
        if parent < 0:
            scopes.append("" if shared else own)
        else:
            scopes.append(f"{scopes[parent]}.{own}" if scopes[parent] else own)
    return tuple(scopes)
