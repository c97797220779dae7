"""What a machine can do at most, as a capture measured it, and how far the work of a ledger row is from that.

The roofline model: Williams, Waterman, Patterson, "Roofline: an insightful visual performance model for multicore
architectures", Communications of the ACM 52(4), 2009.
"""

from typing import Annotated, Literal

import msgspec

Bound = Literal["compute", "memory", "cache", "latency"]
"""What holds a piece of work back at its limit: arithmetic, the memory's bandwidth, a cache's, or the cost of starting."""


class _Struct(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Rate(_Struct, frozen=True, kw_only=True):
    """A rate per second, measured several times.

    Attributes:
        per_s: What the quiet tenth of the samples reach: operations or bytes a second.
        typical_per_s: Their median; the distance to `per_s` is the spread.
        samples: How many.
        math: How products round where that is a choice, e.g. `tf32`; empty for the element type's own arithmetic.
        engine: Who reached it.
    """

    per_s: float
    typical_per_s: float
    samples: int
    math: str = ""
    engine: str = ""


class Stream(_Struct, frozen=True, kw_only=True):
    """The best rate at which `bytes` of memory, read or copied again and again, can be streamed."""

    bytes: int
    rate: Rate


class Peaks(_Struct, frozen=True, kw_only=True):
    """What one engine's worker reached on the device and with the threads of the measured model.

    Attributes:
        device: `cpu` or `cuda`.
        threads: Intra-op threads.
        products: The highest rate of large matrix products by element type (ONNX's spelling), operations a second.
        streams: Bandwidth by size of what is touched, the smallest first; the last is beyond every cache.
        floor_ns: What one operator on a single element takes: less is not to be had, however little there is to do.
        fault_ns: What a page fault costs that these threads take at the same time; 0 where it was not measured.
    """

    device: str
    threads: int
    products: dict[str, Rate] = {}
    streams: tuple[Stream, ...] = ()
    floor_ns: float = 0.0
    fault_ns: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 0.0

    def bandwidth(self, size: int) -> Rate | None:
        """The best rate at which `size` bytes can be streamed; None where nothing was measured.

        What a larger set reaches, a smaller one can reach as well: in pieces.
        """
        fitting = [stream.rate for stream in self.streams if stream.bytes >= size] or [
            stream.rate for stream in self.streams[-1:]
        ]
        return max(fitting, key=lambda rate: rate.per_s, default=None)

    @property
    def memory(self) -> Rate | None:
        """The rate beyond every cache."""
        return self.streams[-1].rate if self.streams else None


class Roofline(_Struct, frozen=True, kw_only=True):
    """The limit of a ledger row's work, and the share of it that either engine reaches.

    Attributes:
        ops: Arithmetic operations, a multiplication and an addition counted as two.
        bytes: What must be read and written at least.
        limit_ns: The least time in which this machine can do that.
        bound: What sets this limit.
        torch_share: The limit divided by PyTorch's time, with the arithmetic that PyTorch used; None where it has no such
            work or its limit is unknown.
        onnxruntime_share: The same for ONNX Runtime.
    """

    ops: int
    bytes: int
    limit_ns: int
    bound: Bound
    torch_share: float | None = None
    onnxruntime_share: float | None = None
