"""What every call of one PyTorch step takes and returns, written down for the comparison with ONNX Runtime's values.

Numbered cases, cited in the code:

1. Views of one memory that hold the same elements are one tensor, in whatever order they lie.
2. An op that writes into what it is given changes every view of that memory: they are other tensors from then on.
3. The views of a tensor that have most axes say most about the orders in which its elements may lie.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch

from attrib.capture.pytorch.dataflow_tracer import DataflowMode, storage_of
from attrib.capture.workload.recorded_step import RecordedCall, StepWriter

_Key = tuple[int, int, int, int, str, tuple[tuple[int, int], ...], bool]


def record_step(
    module: Any, inputs: Iterable[Any], step: Callable[[], object], folder: Path, most_bytes: int
) -> Path:
    """Run one inference call and write what its calls took and returned.

    Args:
        module: The whole model.
        inputs: The tensors that it takes.
        step: One inference call.
        folder: Where the files go.
        most_bytes: Bytes of tensors kept; what comes later is left out.

    Returns:
        The index of what was written.
    """
    with StepWriter(folder, most_bytes) as writer:
        mode = _ValuesMode(inputs, writer)
        mode.watch(module, step)
        return writer.finish(tuple(mode.recorded()))


class _ValuesMode(DataflowMode):
    """Writes every tensor that is followed as soon as it is there."""

    def __init__(self, inputs: Iterable[Any], writer: StepWriter) -> None:
        given = list(inputs)
        super().__init__(given)
        self._taken: list[tuple[int, ...]] = []
        self._returned: list[list[int]] = []
        self._writer = writer
        self._numbers: dict[_Key, int] = {}
        # Tensors that were written in the order in which their elements lie in memory.
        self._as_they_lie: set[int] = set()
        self._writes = Counter[int]()
        for tensor in given:
            self._number(tensor)

    def before(self, given: list[Any]) -> None:
        taken = []
        for tensor in given:
            if not self.is_followed(tensor):
                continue
            count = len(self._numbers)
            taken.append(self._number(tensor))
            writer = self.writers.get(storage_of(tensor))
            if len(self._numbers) > count and writer is not None:
                self._returned[writer].append(taken[-1])  # what it wrote into is its result as well (case 2)
        self._taken.append(tuple(taken))

    def after(self, made: list[Any], written: list[Any]) -> None:
        for tensor in written:  # 2
            self._writes[storage_of(tensor)] += 1
        self._returned.append(list(map(self._number, made)))

    def recorded(self) -> Iterator[RecordedCall]:
        """The calls of the profile; one that holds several ops takes what none of them made, and returns all of theirs."""
        for name, group in zip(self.ids(), self.groups, strict=True):
            returned = [number for position in group for number in self._returned[position]]
            taken = [number for position in group for number in self._taken[position]]
            inner = set(returned) if len(group) > 1 else ()
            fed = any(self.calls[position].fed for position in group)
            yield RecordedCall(name, tuple(n for n in taken if n not in inner), tuple(returned), fed)

    def _number(self, tensor: Any) -> int:
        """The number of a tensor, which is written where it is a new one; -1 where it cannot be."""
        if tensor.is_sparse or tensor.is_nested or tensor.layout != torch.strided:
            return -1
        key = self._key(tensor)
        if key not in self._numbers:
            array = _array(tensor)
            self._numbers[key] = -1 if array is None else self._writer.add(array)
            if tensor.is_contiguous():
                self._as_they_lie.add(self._numbers[key])
        number = self._numbers[key]
        if number >= 0 and number in self._as_they_lie and tensor.is_contiguous():
            self._writer.refine(number, tuple(tensor.shape))  # 3
        return number

    def _key(self, tensor: Any) -> _Key:
        """What tensors have in common that are one (case 1)."""
        storage = storage_of(tensor)
        return (
            storage,
            self._writes[storage],
            tensor.storage_offset(),
            tensor.numel(),
            str(tensor.dtype),
            _addresses(tensor.shape, tensor.stride()),
            tensor.is_conj() or tensor.is_neg(),
        )


def _addresses(shape: Iterable[int], strides: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Strides and sizes of the axes, the widest first, joined where they lie in one row: equal for the same elements."""
    joined: list[tuple[int, int]] = []
    axes = ((stride, size) for size, stride in zip(shape, strides, strict=True) if size != 1)
    for stride, size in sorted(axes, reverse=True):
        if joined and stride and joined[-1][0] == stride * size:
            joined[-1] = (stride, joined[-1][1] * size)
        else:
            joined.append((stride, size))
    return tuple(joined)


def _array(tensor: Any) -> npt.NDArray[Any] | None:
    """The elements on the host; None for a type that numpy has no name for."""
    value = tensor.detach()
    if value.is_quantized:
        value = value.dequantize()
    value = value.resolve_conj().resolve_neg().cpu()
    if value.dtype.is_floating_point and value.element_size() < 4 and value.dtype != torch.float16:  # noqa: PLR2004
        value = value.float()  # bfloat16 and the types of 8 bits, which numpy does not know
    try:
        array: npt.NDArray[Any] = value.contiguous().numpy()
    except TypeError:
        return None
    return array
