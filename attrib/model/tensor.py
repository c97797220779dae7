"""A tensor as the traces describe it: element type and shape."""

import msgspec


class Tensor(msgspec.Struct, frozen=True, gc=False):
    """Element type in ONNX's lower-case spelling (`float`, `float16`, `bfloat16`, `int64`, `bool`, ...) and shape."""

    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype}[{'×'.join(map(str, self.shape))}]"

    @property
    def elements(self) -> int:
        """Number of elements; 1 for a scalar."""
        count = 1
        for size in self.shape:
            count *= size
        return count
