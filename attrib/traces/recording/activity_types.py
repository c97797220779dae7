"""What kind of event a category stands for, in every spelling that the profilers have used."""

from typing import Literal

Kind = Literal[
    "call", "annotation", "python", "runtime", "kernel", "memcpy", "memset", "gpu_annotation", "sync", "event",
    "collective", "overhead", "counter", "mark", "session", "node", "api", "other",
]  # fmt: skip

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

DEVICE_WORK: frozenset[Kind] = frozenset({"kernel", "memcpy", "memset"})
"""Work that the device does itself. GPU annotations only mark a range of it."""

ON_DEVICE: frozenset[Kind] = DEVICE_WORK | {"gpu_annotation", "sync", "event"}
"""Everything that a trace records on the device's own timeline."""


def kind_of(category: str) -> Kind:
    """The kind of one category."""
    return KIND_OF_CATEGORY.get(category.lower(), "other")
