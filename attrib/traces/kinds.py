"""What kind of event a category stands for, in every spelling that the profilers have used."""

from collections.abc import Collection
from typing import Literal

import numpy as np
import numpy.typing as npt

from attrib.model.events import EventTable

Kind = Literal[
    "call", "annotation", "python", "runtime", "kernel", "memcpy", "memset", "gpu_annotation", "sync",
    "session", "node", "other",
]  # fmt: skip

KIND_OF_CATEGORY: dict[str, Kind] = {
    # Kineto, host (libkineto ActivityType.cpp; older versions in capitals)
    "cpu_op": "call",
    "operator": "call",
    "hpu_op": "call",
    "user_annotation": "annotation",
    "python_function": "python",
    "cuda_runtime": "runtime",
    "cuda_driver": "runtime",
    "runtime": "runtime",
    "driver": "runtime",
    "hip_runtime": "runtime",
    "hip_driver": "runtime",
    "xpu_runtime": "runtime",
    "xpu_driver": "runtime",
    "mtia_runtime": "runtime",
    "glow_runtime": "runtime",
    "privateuse1_runtime": "runtime",
    "privateuse1_driver": "runtime",
    # Kineto, device
    "kernel": "kernel",
    "concurrent_kernel": "kernel",
    "mtia_ccp_events": "kernel",
    "gpu_memcpy": "memcpy",
    "memcpy": "memcpy",
    "gpu_memset": "memset",
    "memset": "memset",
    "gpu_user_annotation": "gpu_annotation",
    "cuda_sync": "sync",
    "cuda_event": "sync",
    # ONNX Runtime (core/common/profiler_common.h: Session, Node, Kernel, Api)
    "session": "session",
    "node": "node",
    "api": "runtime",
}
"""Category in lower case to kind; every other category is `other`."""

GPU_WORK: frozenset[Kind] = frozenset({"kernel", "memcpy", "memset"})
"""Work that the device does itself. GPU annotations only mark a range of it."""


def kind_of(category: str) -> Kind:
    """The kind of one category."""
    return KIND_OF_CATEGORY.get(category.lower(), "other")


def rows_of(table: EventTable, kinds: Collection[Kind]) -> npt.NDArray[np.intp]:
    """Rows whose category is of one of the kinds, in file order."""
    codes = [code for code in np.unique(table.category) if kind_of(table.text(int(code))) in kinds]
    return np.flatnonzero(np.isin(table.category, codes))
