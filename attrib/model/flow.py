"""`flow.json`: which PyTorch call reads the result of which, as one watched step showed.

A profile holds no tensor's identity, so that two views of equal size can only be told apart by order. This file says whose
result each of them changes. One file a side (`torch/flow.json`), JSON, for example:

    {"format_version": 1,
     "calls": [{"id": "query/aten::linear#0", "sources": [], "fed": true},
               {"id": "/aten::split#0", "sources": [[0, 0]], "fed": true},
               {"id": "/aten::view#0", "sources": [[1, 2]], "fed": true}]}

`[1, 2]` is output 2 of call 1.
"""

import msgspec

# Format history
# 1  first version
FLOW_VERSION = 1

FLOW_FILE = "flow.json"
"""Its name in the folder of its side."""


class FlowCall(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One call.

    Attributes:
        id: As in the analysis: `scope/aten::op#n`.
        sources: Position of each call whose result it reads, and of the output; weights and the model's inputs left out.
        fed: It depends on something that the model's inputs hold, or on drawn random numbers: no export can store it.
    """

    id: str
    sources: tuple[tuple[int, int], ...] = ()
    fed: bool = True


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """All calls of a step, in order."""

    format_version: int = FLOW_VERSION
    calls: tuple[FlowCall, ...] = ()

    @property
    def input_free(self) -> frozenset[str]:
        """Ids of the calls that depend on nothing that the inputs hold: what an export can compute once and store."""
        return frozenset(call.id for call in self.calls if not call.fed)
