"""What the calls of one PyTorch step took and returned, in the temporary folder: one process writes it, another compares.

`step.json` says what lies where, `step.bin` holds the elements of all tensors, one after the other. A tensor that is seen
through several views is there once.
"""

import math
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt

_INDEX, _ELEMENTS = "step.json", "step.bin"


class RecordedTensor(msgspec.Struct, frozen=True, gc=False):
    """Where the elements of a tensor lie: numpy's type, shape, and first byte."""

    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def bytes(self) -> int:
        """Its size."""
        return np.dtype(self.dtype).itemsize * self.elements

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


class RecordedCall(msgspec.Struct, frozen=True, gc=False):
    """One call: its id, and the numbers of the tensors that it took and returned; -1 for one that was not kept.

    `fed` where it depends on something that the model's inputs hold.
    """

    id: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    fed: bool = True


class RecordedStep(msgspec.Struct, frozen=True):
    """All calls, in order, and the tensors; `left_out` of them had no place any more."""

    calls: tuple[RecordedCall, ...]
    tensors: tuple[RecordedTensor, ...]
    left_out: int = 0


class StepWriter:
    """Appends tensors to a file, up to so many bytes; use it as a context manager."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._left = most_bytes
        self._file: BinaryIO | None = None
        self._offset = 0
        self._left_out = 0
        self._tensors: list[RecordedTensor] = []

    def __enter__(self) -> "StepWriter":
        self._file = (self._folder / _ELEMENTS).open("wb")
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._file is not None  # noqa: S101  (it was entered)
        self._file.close()

    def add(self, array: npt.NDArray[Any]) -> int:
        """Append a tensor; its number, or -1 where there is no place left for it."""
        assert self._file is not None  # noqa: S101  (it was entered)
        if array.nbytes > self._left:
            self._left_out += 1
            return -1
        self._left -= array.nbytes
        self._file.write(np.ascontiguousarray(array).data)
        self._tensors.append(RecordedTensor(array.dtype.str, array.shape, self._offset))
        self._offset += array.nbytes
        return len(self._tensors) - 1

    def refine(self, number: int, shape: tuple[int, ...]) -> None:
        """Note that the elements of a tensor, as they lie, are also seen with more axes: these tell more orders."""
        known = self._tensors[number]
        if sum(size > 1 for size in shape) > sum(size > 1 for size in known.shape):
            self._tensors[number] = RecordedTensor(known.dtype, shape, known.offset)

    def finish(self, calls: tuple[RecordedCall, ...]) -> Path:
        """Write the index; its file."""
        index = self._folder / _INDEX
        index.write_bytes(msgspec.json.encode(RecordedStep(calls, tuple(self._tensors), self._left_out)))
        return index


def read_index(index: Path) -> RecordedStep:
    """Read what lies where."""
    return msgspec.json.decode(index.read_bytes(), type=RecordedStep)


def read_tensors(index: Path) -> list[npt.NDArray[Any]]:
    """Map the tensors of a step into memory."""
    file = index.with_name(_ELEMENTS)
    whole = np.memmap(file, np.uint8, "r") if file.stat().st_size else np.zeros(0, np.uint8)
    return [
        np.frombuffer(whole[tensor.offset : tensor.offset + tensor.bytes], np.dtype(tensor.dtype)).reshape(
            tensor.shape
        )
        for tensor in read_index(index).tensors
    ]
