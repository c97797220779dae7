"""What kind of event a category stands for, in every spelling that the profilers have used."""

import re
from collections.abc import Collection
from typing import Literal

import numpy as np
import numpy.typing as npt

from attrib.model.events import EventTable

Kind = Literal[
    "call", "annotation", "python", "runtime", "kernel", "memcpy", "memset", "gpu_annotation", "sync", "event",
    "collective", "overhead", "counter", "mark", "session", "node", "api", "other",
]  # fmt: skip
Rows = npt.NDArray[np.intp]
Codes = npt.NDArray[np.int32]

KIND_OF_CATEGORY: dict[str, Kind] = {
    # Kineto, host (libkineto's ActivityType, all versions; up to 2021 in capitals)
    "cpu_op": "call",
    "operator": "call",
    "user_annotation": "annotation",
    "python_function": "python",
    "runtime": "runtime",
    "driver": "runtime",
    "cuda_runtime": "runtime",
    "cuda_driver": "runtime",
    "hip_runtime": "runtime",
    "hip_driver": "runtime",
    "xpu_runtime": "runtime",
    "xpu_driver": "runtime",
    "mtia_runtime": "runtime",
    "glow_runtime": "runtime",
    "hpu_op": "runtime",  # "host side runtime event", says its declaration
    "privateuse1_runtime": "runtime",
    "privateuse1_driver": "runtime",
    "mlu_runtime": "runtime",  # Cambricon's branch
    "gcu_runtime": "runtime",  # Enflame's branch
    "gcu_driver": "runtime",
    "musa_runtime": "runtime",  # Moore Threads' branch
    "musa_driver": "runtime",
    # Kineto, device
    "kernel": "kernel",
    "concurrent_kernel": "kernel",
    "mtia_ccp_events": "kernel",
    "gpu_memcpy": "memcpy",
    "memcpy": "memcpy",
    "mlu_memcpy": "memcpy",
    "gcu_memcpy": "memcpy",
    "gpu_memset": "memset",
    "memset": "memset",
    "mlu_memset": "memset",
    "gcu_memset": "memset",
    "gpu_user_annotation": "gpu_annotation",
    "mlu_user_annotation": "gpu_annotation",
    "gcu_user_annotation": "gpu_annotation",
    # Kineto, waits of a stream or the host, and what work is ordered by
    "cuda_sync": "sync",
    "xpu_sync": "sync",
    "gcu_sync": "sync",
    "musa_sync": "sync",
    "cuda_event": "event",
    "mlu_notifier": "event",
    # Kineto, neither the host's work nor the device's
    "collective_comm": "collective",
    "overhead": "overhead",
    "cuda_profiler_range": "counter",
    "gpu_pm_counter": "counter",
    "mlu_profiler_range": "counter",
    "gcu_profiler_range": "counter",
    "musa_profiler_range": "counter",
    "xpu_scope_profiler": "counter",
    "mtia_counters": "counter",
    "mtia_insight": "counter",
    "trace": "mark",
    "cpu_instant_event": "mark",
    "external_correlation": "mark",
    # Ascend: its events have no category; the reader takes `Task Type` instead
    "ai_core": "kernel",
    "ai_vector_core": "kernel",
    "mix_aic": "kernel",
    "mix_aiv": "kernel",
    "ai_cpu": "kernel",
    "ffts_plus": "kernel",
    "kernel_aicore": "kernel",
    "kernel_aivec": "kernel",
    "kernel_mix_aic": "kernel",
    "kernel_mix_aiv": "kernel",
    "kernel_aicpu": "kernel",
    "memcpy_async": "memcpy",
    "sdma": "memcpy",
    "event_record": "event",
    "event_wait": "sync",
    # ONNX Runtime (core/common/profiler_common.h: Session, Node, Kernel, Api)
    "session": "session",
    "node": "node",
    "api": "api",
}
"""Category in lower case to kind; every other category is `other`, and is named by `attrib inspect`."""

GPU_WORK: frozenset[Kind] = frozenset({"kernel", "memcpy", "memset"})
"""Work that the device does itself. GPU annotations only mark a range of it."""

# ORT writes everything that a device did as `Kernel` (CUPTI, ROCTracer, plugin providers), copies too: only the
# name tells them. WebGPU writes its kernels as `Api`, as an event of no thread; an `Api` event of a thread is a call.
NO_THREAD = "-1/-1"
_ORT_COPY = re.compile(r"Memcpy\w*|Copy\w*To\w*")
_ORT_FILL = re.compile(r"Memset\w*|FillBuffer")
_ORT_REFINED: frozenset[Kind] = GPU_WORK | {"api"}


def kind_of(category: str) -> Kind:
    """The kind of one category."""
    return KIND_OF_CATEGORY.get(category.lower(), "other")


def rows_of(table: EventTable, kinds: Collection[Kind]) -> Rows:
    """Rows whose events are of one of the kinds, in file order."""
    if table.format == "ort-profile" and not _ORT_REFINED.isdisjoint(kinds):
        return _ort_device_rows(table, kinds)
    return _with_code(
        table, table.category, [c for c in distinct(table.category) if _kind(table, c) in kinds]
    )


def distinct(codes: Codes) -> list[int]:
    """The distinct entries of a string column, in ascending order."""
    if not codes.size:
        return []
    return [int(code) - 1 for code in np.flatnonzero(np.bincount(codes + 1))]


def unknown_categories(table: EventTable) -> dict[str, Rows]:
    """Rows of the categories that attrib does not know, by the category as the file spells it."""
    unknown = [code for code in distinct(table.category) if _kind(table, code) == "other"]
    return {table.text(code): np.flatnonzero(table.category == code) for code in unknown}


def _kind(table: EventTable, code: int) -> Kind:
    return kind_of(table.text(code))


def _with_code(table: EventTable, column: Codes, codes: list[int]) -> Rows:
    """Rows whose entry of a string column is one of the codes."""
    wanted = np.zeros(len(table.strings) + 1, dtype=bool)  # the last one stands for ABSENT, -1
    wanted[codes] = True
    return np.flatnonzero(wanted[column])


def _ort_device_rows(table: EventTable, kinds: Collection[Kind]) -> Rows:
    """Rows of the kinds in an ORT profile, where the name tells what the device did."""
    found = _with_code(
        table, table.category, [c for c in distinct(table.category) if _kind(table, c) in kinds]
    )
    host = found[~np.isin(found, work := _ort_work(table))]
    names = table.name[work]
    of_kind = [code for code in distinct(names) if _ort_work_kind(table.text(code)) in kinds]
    return np.sort(np.concatenate([host, work[np.isin(names, of_kind)]]))


def _ort_work(table: EventTable) -> Rows:
    kinds = {code: _kind(table, code) for code in distinct(table.category)}
    kernels = _with_code(table, table.category, [code for code, kind in kinds.items() if kind == "kernel"])
    calls = _with_code(table, table.category, [code for code, kind in kinds.items() if kind == "api"])
    return np.concatenate([kernels, calls[table.track[calls] == table.code(NO_THREAD)]])


def _ort_work_kind(name: str) -> Kind:
    return "memcpy" if _ORT_COPY.fullmatch(name) else "memset" if _ORT_FILL.fullmatch(name) else "kernel"
