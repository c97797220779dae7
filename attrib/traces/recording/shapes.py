"""Tensor arguments of events, kept as raw JSON (each spelling once) and brought to one form on demand.

The common form is `[[dtype, [dim, ...]], ...]` with ONNX's lower-case element types, as
`EventTable.input_tensors` reads it.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

Raw = tuple[bytes, ...]
Normalize = Callable[[Raw], bytes]
Row = tuple[str, list[int]]

DTYPE_OF_TORCH_TYPE = {
    "float": "float",
    "double": "double",
    "int": "int32",
    "long": "int64",
    "long int": "int64",
    "long long": "int64",
    "short": "int16",
    "short int": "int16",
    "signed char": "int8",
    "char": "int8",
    "unsigned char": "uint8",
    "unsigned short": "uint16",
    "unsigned int": "uint32",
    "unsigned long": "uint64",
    "bool": "bool",
    "c10::Half": "float16",
    "c10::BFloat16": "bfloat16",
    "c10::Float8_e4m3fn": "float8e4m3fn",
    "c10::Float8_e4m3fnuz": "float8e4m3fnuz",
    "c10::Float8_e5m2": "float8e5m2",
    "c10::Float8_e5m2fnuz": "float8e5m2fnuz",
    "c10::Float8_e8m0fnu": "float8e8m0",
    "c10::complex<float>": "complex64",
    "c10::complex<double>": "complex128",
    "c10::qint8": "int8",
    "c10::quint8": "uint8",
    "c10::qint32": "int32",
}
"""C++ type names in Kineto's `Input type` (caffe2::TypeMeta::name) to ONNX's; others are kept as spelled."""

NO_TENSOR = frozenset({"", "Scalar", "ScalarList", "None"})
"""What `Input type` says of arguments that are not tensors."""

LISTS = frozenset({"TensorList", "OptionalTensorList", "GenericList"})
"""What it says of lists, whose element types it does not record."""

_INT64 = 1 << 63
_DEEPEST = 4  # lists of lists of tensors exist; deeper nesting is no shape


class ShapeColumn:
    """Each row's tensors in the common form, or None; a distinct spelling is converted once, on first use."""

    def __init__(self, codes: npt.NDArray[np.int32], distinct: tuple[Raw, ...], normalize: Normalize) -> None:
        self._codes = codes
        self._distinct = distinct
        self._normalize = normalize
        self._done: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self._codes)

    def __getitem__(self, row: int) -> bytes | None:
        return self._at(int(self._codes[row]))

    def __iter__(self) -> Iterator[bytes | None]:
        return map(self._at, self._codes.tolist())

    def take(self, rows: npt.NDArray[np.intp]) -> "ShapeColumn":
        """Make a column of some of the rows, without the spellings that none of them has."""
        used, codes = np.unique(self._codes[rows], return_inverse=True)
        absent = int(used.size > 0 and used[0] < 0)  # ABSENT sorts first and stays what it is
        distinct = tuple(self._distinct[code] for code in used[absent:].tolist())
        return ShapeColumn((codes - absent).astype(np.int32), distinct, self._normalize)

    def _at(self, code: int) -> bytes | None:
        if code < 0:
            return None
        if code not in self._done:
            self._done[code] = self._normalize(self._distinct[code])
        return self._done[code]


def kineto_tensors(raw: Raw) -> bytes:
    """The common form of Kineto's `Input Dims` and `Input type`.

    A list of tensors holds nested dimensions, one list each. Without types (older traces), every argument
    that has dimensions counts as a tensor of unknown type.
    """
    dims, types = (_json(part) for part in raw)
    if not isinstance(dims, list):
        return b"[]"
    if not isinstance(types, list) or len(types) != len(dims):
        return _encode([row for entry in dims if entry for row in _rows("", entry)])
    rows: list[Row] = []
    for torch_type, entry in zip(types, dims, strict=True):
        if not isinstance(torch_type, str) or torch_type in NO_TENSOR or (torch_type in LISTS and not entry):
            continue
        rows += _rows("" if torch_type in LISTS else DTYPE_OF_TORCH_TYPE.get(torch_type, torch_type), entry)
    return _encode(rows)


def ort_tensors(raw: Raw) -> bytes:
    """The common form of ORT's `[{"float":[1,128,768]},{"int64":[]}]`."""
    entries = _json(raw[0])
    if not isinstance(entries, list):
        return b"[]"
    pairs = (pair for entry in entries if isinstance(entry, dict) for pair in entry.items())
    return _encode([row for dtype, dims in pairs for row in _rows(dtype, dims)])


def _rows(dtype: str, entry: Any, depth: int = 0) -> list[Row]:
    if not isinstance(entry, list) or depth > _DEEPEST:
        return []
    if any(isinstance(item, list) for item in entry):
        return [row for item in entry for row in _rows(dtype, item, depth + 1)]
    if not all(type(item) is int and abs(item) < _INT64 for item in entry):
        return []
    return [(dtype, entry)]


def _json(raw: bytes) -> Any:
    """A raw argument, also one that was written as a string; None where it is not JSON."""
    try:
        value = msgspec.json.decode(raw)
        return msgspec.json.decode(value) if isinstance(value, str) else value
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


_encode = msgspec.json.encode
