"""Parts of a step that a device adds to those of the framework, and the cause that each is a row of."""

import msgspec

from attrib.analysis.attribution.device.events import DeviceEvents
from attrib.model.document import Cause
from attrib.model.events import Int64s

OUTSIDE = "kernels outside operators"
GRAPH_REPLAY = "graph replay"
UNLAUNCHED = "work without a launch"
OTHER_STEP = "work of another step"
INPUTS = "copies of inputs"
OUTPUTS = "copies of outputs"
COPIES = "copies outside operators"
SYNCHRONIZING = "waiting for the device"
ALLOCATING = "device memory allocation"

DEVICE_PARTS: dict[str, Cause] = {
    OUTSIDE: "unattributed",
    GRAPH_REPLAY: "unattributed",
    UNLAUNCHED: "unattributed",
    OTHER_STEP: "unattributed",
    INPUTS: "memcpy",
    OUTPUTS: "memcpy",
    COPIES: "memcpy",
    SYNCHRONIZING: "memcpy",
    ALLOCATING: "framework",
}
"""Each part and its cause."""

MEANINGS: dict[str, str] = {
    OUTSIDE: "kernels that were launched in the step, but inside no operator that the trace names",
    GRAPH_REPLAY: "one call launched a recorded graph: which operator a kernel of it belongs to is not in the trace",
    UNLAUNCHED: "kernels and copies whose launching call is not in the trace",
    OTHER_STEP: "the device was still busy with what another step launched",
    INPUTS: "copies to the device before the first node of the run: the session's inputs",
    OUTPUTS: "copies to the host after the last node of the run: the session's outputs",
    COPIES: "copies that were launched in the step, but inside no operator",
    SYNCHRONIZING: "the host was in a call that waits for the device, which had nothing to do",
    ALLOCATING: "the host allocated or freed memory, and the device had nothing to do",
}
"""What a reader is told about each."""


class Assigned(msgspec.Struct, frozen=True, eq=False):
    """Every event of the device with the step and the owner that it belongs to.

    Attributes:
        events: The device's work.
        step: Position of its step; `NONE` for what no step launched.
        owner: Position of its unit, or of its part behind the units; `NONE` outside the steps.
        works: Number of units.
        parts: Names of the parts: those of the framework, then those of the device.
    """

    events: DeviceEvents
    step: Int64s
    owner: Int64s
    works: int
    parts: tuple[str, ...]

    def part(self, name: str) -> int:
        """The owner that a part is."""
        return self.works + self.parts.index(name)
