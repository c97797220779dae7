"""Minimal traces in the layout of each vendor and generation, with the figures that they hold.

Each layout is written from the declarations of the profiler that writes it; the file that says so stands beside it.
They are short and made by hand: they prove that the spelling is understood, not that such a device was recorded.
"""

import json
from dataclasses import dataclass, field
from typing import Any

HOST, THREAD = 900, 901


@dataclass(frozen=True)
class Trace:
    """Events and what `attrib inspect` must find in them (times in microseconds)."""

    events: list[dict[str, Any]]
    kernels: tuple[int, float] | None
    copies: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    fills: int = 0
    streams: int = 1
    busy: float = 0
    launches: int | None = None
    graph_launches: int = 0
    graph_events: int | None = None
    without_work: int = 0
    without_launch: int | None = None
    waits: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    bare: bool = False

    def text(self) -> str:
        """The file."""
        return json.dumps(self.events if self.bare else {"schemaVersion": 1, "traceEvents": self.events})


def x(
    category: str | None, name: str, start: float, length: float, place: tuple[Any, Any], **args: Any
) -> Any:
    """A complete event."""
    event = {
        "ph": "X",
        "name": name,
        "ts": start,
        "dur": length,
        "pid": place[0],
        "tid": place[1],
        "args": args,
    }
    return event if category is None else {"cat": category, **event}


def call(category: str, name: str, start: float, correlation: int, length: float = 2, **args: Any) -> Any:
    """A runtime call of the host."""
    return x(category, name, start, length, (HOST, THREAD), correlation=correlation, **args)


def on(stream: Any, device: Any = 0) -> tuple[Any, Any]:
    """Where Kineto puts a device's events: the process is the device, the thread the stream."""
    return device, stream


# libkineto/src/CuptiActivity.h, ActivityType.h, names of waits in cupti_strings.cpp (`graph id` from CUDA 12, cuda_event
# from 12.8)
NVIDIA = Trace(
    events=[
        x("cpu_op", "aten::linear", 0, 50, (HOST, THREAD)),
        call("cuda_runtime", "cudaLaunchKernel", 1, 11),
        call("cuda_driver", "cuLaunchKernelEx", 5, 12),
        call("cuda_runtime", "cudaMemcpyAsync", 8, 13),
        call("cuda_runtime", "cudaMemcpyAsync", 11, 14),
        call("cuda_runtime", "cudaMemsetAsync", 14, 15),
        call("cuda_runtime", "cudaGraphLaunch", 20, 16),
        call("cuda_runtime", "cudaLaunchKernelExC", 24, 17),
        call("cuda_runtime", "cudaStreamSynchronize", 30, 18, 9),
        call("cuda_runtime", "cudaStreamIsCapturing", 40, 19),
        x("kernel", "gemm", 10, 10, on(7), stream=7, correlation=11),
        x("kernel", "add", 15, 10, on(13), stream=13, correlation=12),
        x(
            "gpu_memcpy",
            "Memcpy HtoD (Pageable -> Device)",
            30,
            1.5,
            on(7),
            stream=7,
            correlation=13,
            bytes=4096,
        ),
        x("gpu_memcpy", "Memcpy DtoH (Device -> Pinned)", 32, 0.5, on(7), stream=7, correlation=14, bytes=8),
        x("gpu_memset", "Memset (Device)", 33, 1, on(7), stream=7, correlation=15, bytes=64),
        x(
            "kernel",
            "of graph",
            40,
            2,
            on(7),
            **{"stream": 7, "correlation": 16, "graph id": 3, "graph node id": 1},
        ),
        x("gpu_memcpy", "Memcpy PtoP (Device -> Device)", 43, 1, on(7), stream=7, correlation=16, bytes=100),
        x("cuda_sync", "Stream Wait Event", 30, 3, on(13), stream=13, cuda_sync_kind="Stream Wait Event"),
        x("cuda_event", "cudaEvent", 31, 0.001, on(7), stream=7, correlation=90, event_id=1),
        x("gpu_user_annotation", "ProfilerStep#1", 10, 30, on(7)),
        x("overhead", "Lazy Function Loading", 2, 1, (-1, 0)),
    ],
    kernels=(3, 22),
    copies={"from_host": (1, 4096), "to_host": (1, 8), "between_devices": (1, 100)},
    fills=1,
    streams=2,
    busy=15 + 1.5 + 0.5 + 1 + 2 + 1,
    launches=4,
    graph_launches=1,
    graph_events=2,
    without_work=1,
    without_launch=0,
    waits=("cudaStreamSynchronize", "Stream Wait Event"),
)

# libkineto 2021 (output_json.cpp, CuptiActivity.tpp): categories in capitals, `external id`, threads "stream N", times in
# whole microseconds since the epoch
V100 = Trace(
    events=[
        x("Operator", "aten::mm", 1_624_000_000_000_000, 50, (HOST, "901"), **{"External id": 1}),
        x(
            "Runtime", "cudaLaunchKernel", 1_624_000_000_000_001, 5, (HOST, "901"),
            **{"correlation": 7, "external id": 1},
        ),
        x(
            "Kernel", "volta_sgemm", 1_624_000_000_000_020, 9, on("stream 7"),
            **{"correlation": 7, "external id": 1},
        ),
        x(
            "Memcpy", "Memcpy DtoD (Device -> Device)", 1_624_000_000_000_030, 4, on("stream 7"),
            stream=7, bytes=12,
        ),
        x("Memset", "Memset (Device)", 1_624_000_000_000_036, 1, on("stream 20"), stream=20),
    ],
    kernels=(1, 9), copies={"on_device": (1, 12)}, fills=1, streams=2, busy=14, launches=1, without_launch=2,
    graph_events=0,
)  # fmt: skip

# A recording of ProfilerActivity.CUDA without the host's calls
CUPTI_ONLY = Trace(
    events=[
        x("kernel", "gemm", 10, 10, on(7), stream=7, correlation=11),
        x("gpu_memcpy", "Memcpy DtoH (Device -> Pageable)", 15, 10, on(8), stream=8, correlation=12, bytes=40),
    ],
    kernels=(1, 10), copies={"to_host": (1, 40)}, streams=2, busy=15,
)  # fmt: skip

# libkineto/src/RoctracerActivity_inl.h; ROCTracer's own names for copies; streams and bytes as strings in recorded files
ROCM = Trace(
    events=[
        call("cuda_runtime", "hipExtModuleLaunchKernel", 1, 1, cid=300),
        call("cuda_runtime", "hipMemcpyWithStream", 4, 2),
        call("cuda_runtime", "hipMemcpyAsync", 7, 3),
        call("cuda_runtime", "hipGraphLaunch", 10, 4),
        call("hip_runtime", "hipDeviceSynchronize", 20, 5),
        x("kernel", "Cijk_Alik", 10, 8, on(0, 2), stream="0x0", correlation=1, kind="Dispatch Kernel"),
        x("gpu_memcpy", "CopyHostToDevice", 20, 1, on(0, 2), stream="0x0", correlation=2, bytes="616"),
        x("gpu_memcpy", "CopyDeviceToHost2D", 22, 1, on(0, 2), stream="0x0", correlation=3, bytes="8"),
        x("kernel", "replayed", 30, 3, on(1, 2), stream=1, correlation=4),
        x("gpu_memset", "FillBuffer", 40, 1, on(1, 2), stream=1, correlation=4),
    ],
    kernels=(2, 11), copies={"from_host": (1, 616), "to_host": (1, 8)}, fills=1, streams=2, busy=14, launches=2,
    graph_launches=1, graph_events=2, without_launch=0, waits=("hipDeviceSynchronize",),
)  # fmt: skip

# libkineto/include/ActivityType.h: mtia_runtime "host side MTIA runtime events", mtia_ccp_events "ondevice CCP events"
MTIA = Trace(
    events=[
        call("mtia_runtime", "runFunction", 1, 1),
        x("mtia_ccp_events", "fc", 5, 6, on(0, 1), correlation=1),
        x("mtia_counters", "HBM", 5, 6, on(0, 1)),
        x("mtia_workloadd", "step", 0, 20, (HOST, THREAD)),
    ],
    kernels=(1, 6), busy=6, launches=0, without_launch=0, graph_events=0, unknown=("mtia_workloadd",),
)  # fmt: skip

# libkineto/src/plugin/xpupti/XpuptiActivityHandlers.cpp and its tests: PTI's names for copies, queues instead of streams
XPU = Trace(
    events=[
        call("xpu_runtime", "urEnqueueMemBufferWrite", 1, 1),
        call("xpu_runtime", "urEnqueueKernelLaunch", 4, 2),
        call("xpu_driver", "zeCommandListAppendLaunchKernel", 4.5, 3, 1),
        call("xpu_runtime", "urEnqueueMemBufferRead", 8, 4),
        x("gpu_memcpy", "Memcpy M2D (MEMORY(Unknown) -> DEVICE)", 10, 2, on(1), bytes=64, correlation=1),
        x("kernel", "Run(sycl::_V1::queue, ...)", 13, 5, on(1), **{"sycl queue": 1}, correlation=2),
        x("gpu_memcpy", "Memcpy D2M (DEVICE -> MEMORY(Unknown))", 20, 1, on(1), bytes=16, correlation=4),
        x("gpu_memcpy", "Memcpy D2S (DEVICE -> SHARED)", 22, 1, on(1), **{"sycl queue": 1}),
        x("gpu_memset", "Memset (0 -> DEVICE)", 24, 1, on(1), **{"sycl queue": 1, "bytes": 16}),
        x("xpu_sync", "zeEventHostSynchronize", 9, 20, (-1, THREAD), Type="HOST_EVENT"),
        x("xpu_scope_profiler", "metrics: Run", 13, 5, on(1)),
        x("collective_comm", "xccl::allreduce", 1, 2, (HOST, THREAD)),
    ],
    kernels=(1, 5), copies={"from_host": (1, 64), "to_host": (1, 16), "unknown": (1, None)}, fills=1, busy=10,
    launches=1, without_launch=2, graph_events=0, waits=("zeEventHostSynchronize",),
)  # fmt: skip

# libkineto/src/plugin/aiupti/AiuptiActivityHandlers.cpp: PrivateUse1
AIU = Trace(
    events=[
        call("privateuse1_runtime", "aiuLaunchControlBlocks", 1, 1),
        call("privateuse1_runtime", "aiuScheduleWait", 5, 2),
        x("kernel", "conv", 10, 4, on(1), stream=1, correlation=1),
        x("gpu_memcpy", "Memcpy (HtoD)", 3, 2, on(100), correlation=3, bytes=256),
    ],
    kernels=(1, 4), copies={"from_host": (1, 256)}, streams=2, busy=6, launches=1, without_launch=1, graph_events=0,
    waits=("aiuScheduleWait",),
)  # fmt: skip

# Habana, in libkineto's ActivityType.h: "HPU host side runtime event"
HPU = Trace(
    events=[call("hpu_op", "synLaunch", 1, 1), x("kernel", "gemm_bf16", 5, 3, on(2), correlation=1)],
    kernels=(1, 3), busy=3, launches=0, without_launch=0, graph_events=0,
)  # fmt: skip

# ActivityType.cpp of Cambricon's, Enflame's and Moore Threads' branches of libkineto
MLU = Trace(
    events=[
        call("mlu_runtime", "cnInvokeKernel", 1, 1),
        x("kernel", "mluOp", 5, 3, on(2), correlation=1),
        x("mlu_memcpy", "Memcpy HtoD", 9, 1, on(2), bytes=4),
        x("mlu_memset", "Memset", 11, 1, on(2)),
        x("mlu_notifier", "notifier", 11, 1, on(2)),
        x("mlu_user_annotation", "step", 0, 20, on(2)),
    ],
    kernels=(1, 3), copies={"from_host": (1, 4)}, fills=1, busy=5, launches=1, without_launch=2, graph_events=0,
)  # fmt: skip
GCU = Trace(
    events=[
        call("gcu_runtime", "topsLaunchKernel", 1, 1),
        x("kernel", "dot", 5, 3, on(2), correlation=1),
        x("GCU_MEMCPY", "Memcpy DtoH (Device -> Host)", 9, 1, on(2), bytes=4),
        x("GCU_MEMSET", "Memset", 11, 1, on(2)),
        x("gcu_sync", "Stream Sync", 12, 1, on(2)),
    ],
    kernels=(1, 3), copies={"to_host": (1, 4)}, fills=1, busy=5, launches=1, without_launch=2, graph_events=0,
    waits=("Stream Sync",),
)  # fmt: skip
MUSA = Trace(
    events=[
        call("musa_runtime", "musaLaunchKernel", 1, 1),
        call("musa_driver", "muStreamSynchronize", 4, 2),
        x("kernel", "gemm", 5, 3, on(2), correlation=1),
        x("musa_sync", "Context Sync", 6, 1, on(2)),
    ],
    kernels=(1, 3), busy=3, launches=1, without_launch=0, graph_events=0,
    waits=("muStreamSynchronize", "Context Sync"),
)  # fmt: skip

# Ascend's torch_npu (trace_view.json, its test data): a bare array, no categories, times as strings, `Task Type`
ASCEND = Trace(
    events=[
        {"ph": "M", "name": "process_name", "pid": 3, "tid": 0, "args": {"name": "Ascend Hardware"}},
        x(None, "Mul", "1699529623106750.500", "31.920", (3, 4), **{"Task Type": "AI_VECTOR_CORE", "Stream Id": 4}),
        x(None, "MatMulV2", "1699529623106850", 8, (3, 4), **{"Task Type": "KERNEL_AICORE", "Task Id": 1}),
        x(None, "SDMA", "1699529623106950.380", 0.74, (3, 11), **{"Task Type": "SDMA", "Stream Id": 11}),
        x(None, "EVENT_WAIT", "1699529623106955", 2, (3, 11), **{"Task Type": "EVENT_WAIT"}),
        x(None, "PLACE", "1699529623106956", 2, (3, 11), **{"Task Type": "PLACE_HOLDER_SQE"}),
        x(None, "AscendCL@aclnnMul", "1699529623106700", 5, (2, 1)),
    ],
    kernels=(2, 39.92), copies={"unknown": (1, None)}, streams=2, busy=40.66, unknown=("", "PLACE_HOLDER_SQE"),
    bare=True,
)  # fmt: skip

TRACES = {
    "nvidia": NVIDIA, "v100 2021": V100, "cupti only": CUPTI_ONLY, "rocm": ROCM, "mtia": MTIA, "xpu": XPU, "aiu": AIU,
    "hpu": HPU, "mlu": MLU, "gcu": GCU, "musa": MUSA, "ascend": ASCEND,
}  # fmt: skip
