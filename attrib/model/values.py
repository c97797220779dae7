"""`values.json`: which PyTorch call and which value of the graphs hold the same numbers, as one watched step showed.

Numbers are compared element by element, in whatever order the axes lie; the file holds none of them, only which are equal.
One file a capture, beside ONNX Runtime's profile, JSON, for example:

    {"format_version": 1, "tolerance": 0.001, "seconds": 3.1,
     "kinds": ["numbers", "numbers", "integers", "constant"],
     "calls": [{"id": "query/aten::linear#0", "inputs": [0], "outputs": [1]}],
     "graphs": {"exported.onnx": {"linear": ["numbers", [1]], "val_3": ["constant", []]}},
     "unread": {"optimized.onnx": "..."}}

`1` is the second class of `kinds`: tensors of PyTorch's step that hold the same numbers. `linear` holds them, too.
"""

from typing import Literal

import msgspec

# Format history
# 1  first version
VALUES_VERSION = 1

VALUES_FILE = "values.json"
"""Its name in the folder of the side that runs ONNX Runtime."""

ROUGH = 0.1
"""A tolerance above this is one of quantized numbers."""

Kind = Literal["numbers", "integers", "constant"]
"""What a tensor can tell: floating-point numbers; integers, which an exporter may compute in a form of its own; or nothing,
because it is a scalar or one number throughout, as too many are by chance."""


class CallValues(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one PyTorch call took and returned.

    Attributes:
        id: As in the analysis: `scope/aten::op#n`.
        inputs: Class of each tensor that it took, in order; weights are left out.
        outputs: Class of each tensor that it returned; -1 for one that could not be read.
    """

    id: str
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()


class GraphValue(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One value of a graph.

    Attributes:
        kind: What it can tell.
        same: Classes of PyTorch's tensors that hold its numbers, the nearest first.
    """

    kind: Kind
    same: tuple[int, ...] = ()


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """What one step of either engine computed.

    Attributes:
        tolerance: Largest difference of numbers that count as the same, as a share of their root mean square.
        seconds: What the comparison took.
        kinds: What each class of PyTorch's tensors can tell.
        near: Pairs of classes that are not equal, but within the tolerance: an update too small to be told.
        calls: PyTorch's calls, in order.
        graphs: The values that were read, by path of the graph in the trace directory and by name; inputs of the graph
            among them.
        unread: Graphs of which values were not read, and why.
    """

    format_version: int = VALUES_VERSION
    tolerance: float = 0.0
    seconds: float = 0.0
    kinds: tuple[Kind, ...] = ()
    near: tuple[tuple[int, int], ...] = ()
    calls: tuple[CallValues, ...] = ()
    graphs: dict[str, dict[str, GraphValue]] = {}
    unread: dict[str, str] = {}
