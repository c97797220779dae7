"""PyTorch's part of the machine's peaks, inside its worker.

On CUDA the same calls are timed by events, which count the device's time (unproven on hardware).
"""

from collections.abc import Collection, Iterator
from typing import Any

import msgspec
import torch

from attrib.capture.system.peaks import (
    Call,
    Timed,
    best_product,
    beyond_caches,
    fault_cost,
    last_level_cache,
    sample_times,
    streams_of,
    wall_clock,
)
from attrib.model.roofline import Peaks, Rate

_DTYPES = {"float": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_FLOAT_BYTES = 4


def peaks_of(device: str, dtypes: Collection[str]) -> Peaks:
    """Measure the machine's peaks with the threads and the rounding of matrix products that are set."""
    timed = _time_by_events if device == "cuda" else wall_clock
    products = {dtype: _product_rate(dtype, device, timed) for dtype in dtypes if dtype in _DTYPES}
    one = torch.ones(1, device=device)
    beyond = beyond_caches(last_level_cache())
    if device == "cuda":
        beyond = min(
            beyond_caches(int(torch.cuda.get_device_properties(0).L2_cache_size)),
            int(torch.cuda.mem_get_info()[0]) // 2,
        )

    def streams(size: int) -> Iterator[Call]:
        """Copy one half into the other, and read both."""
        source, target = (torch.ones(size // _FLOAT_BYTES // 2, device=device) for _ in range(2))
        yield lambda: target.copy_(source)
        yield lambda: torch.dot(source, target)

    return Peaks(
        device=device,
        threads=torch.get_num_threads(),
        products={dtype: rate for dtype, rate in products.items() if rate is not None},
        streams=streams_of(streams, beyond, timed),
        floor_ns=round(min(sample_times(lambda: torch.neg(one, out=one), timed)), 1),
        fault_ns=round(fault_cost(torch.get_num_threads()), 1),
    )


def _product_rate(dtype: str, device: str, timed: Timed) -> Rate | None:
    kind = _DTYPES[dtype]

    def product(side: int) -> Call:
        left, right = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
        result = torch.empty_like(left)
        return lambda: torch.mm(left, right, out=result)

    try:
        rate = best_product(product, timed)
    except RuntimeError:  # no such kernel on this device
        return None
    # Below `highest`, CUDA uses TF32, and a processor what oneDNN has for that setting.
    precision = torch.get_float32_matmul_precision()
    rounds = precision != "highest" or (device == "cuda" and torch.backends.cuda.matmul.allow_tf32)
    math = ("tf32" if device == "cuda" else precision) if rounds and dtype == "float" else ""
    return rate and msgspec.structs.replace(rate, math=math)


def _time_by_events(call: Call, times: int) -> float:
    """`Timed` on a CUDA device, by its own clock."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(times):
        call()
    end.record()
    end.synchronize()
    milliseconds: Any = begin.elapsed_time(end)
    return float(milliseconds) * 1e6
