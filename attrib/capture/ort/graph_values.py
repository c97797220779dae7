"""What values of a graph hold in one run, compared with the tensors of PyTorch's step; nothing here is timed."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from attrib.capture.ort.feeds import convert_floats, feeds_of, match_inputs
from attrib.capture.ort.session import session_of
from attrib.capture.workers.messages import CompareValues, IndexStep, StepIndexed, ValuesCompared
from attrib.capture.workload.inputs import load_inputs
from attrib.capture.workload.recorded_step import read_tensors
from attrib.capture.workload.same_numbers import Numbers, SameNumbers, unpadded
from attrib.errors import AttribError
from attrib.model.values import GraphValue


class GraphValues:
    """The tensors of one PyTorch step, with which the values of graphs are compared."""

    def __init__(self) -> None:
        self._known: SameNumbers | None = None

    def index(self, command: IndexStep) -> StepIndexed:
        """Read the tensors of the step, and bring equal ones together."""
        self._known = SameNumbers()
        for tensor in read_tensors(Path(command.step)):
            self._known.add(Numbers(tensor))
        return StepIndexed(
            kinds=tuple(self._known.kinds),
            near=tuple(self._known.near(command.tolerance)),
            classes=tuple(self._known.classes),
        )

    def compare(self, command: CompareValues) -> ValuesCompared:
        """Run a graph once without optimization, and compare its outputs and inputs."""
        if self._known is None:
            raise AttribError("there is no step to compare with")
        opening = msgspec.structs.replace(command.opening, opt_level="disabled", disabled_optimizers=())
        session = session_of(opening)
        inputs = load_inputs(Path(opening.inputs))
        feeds, _ = feeds_of(session, inputs, io_binding=False, any_floats=True)
        signature = [(i.name, i.type, i.shape) for i in session.get_inputs()]
        found: dict[str, Any] = dict(match_inputs(signature, convert_floats(signature, inputs))[0])
        outputs = feeds.outputs()  # each is let go of as soon as it is compared
        names = [output.name for output in session.get_outputs()]
        read = {name: self._row(array, command.tolerance) for name, array in found.items()}
        for place, name in enumerate(names):
            value, outputs[place] = outputs[place], None
            if isinstance(value, np.ndarray) and value.dtype.kind in "fiubc":
                read[name] = self._row(value, command.tolerance)
            else:
                read[name] = GraphValue("constant")  # a sequence or texts: nothing that could be compared
        return ValuesCompared(values=read)

    def _row(self, array: Any, tolerance: float) -> GraphValue:
        assert self._known is not None  # noqa: S101  (checked by the caller)
        numbers = Numbers(array)
        kind = numbers.kind
        found = () if kind == "constant" else self._known.nearest(numbers, tolerance)
        if kind == "numbers" and not found:
            # ONNX Runtime fills the last block of channels up with zeros.
            found = next(
                (its for other in unpadded(array) if (its := self._known.nearest(other, tolerance))), ()
            )
        return GraphValue(kind, found)
