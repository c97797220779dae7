"""A trace directory of a tiny model that two engines ran on a GPU, written event by event: what a capture would leave.

PyTorch runs a linear layer, a relu and a copy of the result to the host. ONNX Runtime runs a Gemm on CUDA, takes its result
to the host for a node that CUDA lacks, brings it back and runs a Relu.
"""

import gzip
import hashlib
import json

import msgspec
import numpy as np
import pyarrow as pa
from onnx import TensorProto, helper
from pyarrow import parquet

from attrib.model.manifest import PROFILE_ZERO, FileEntry, Manifest, Protocol, Side, Workload
from tests.analysis.attribution.device.timelines import Trace

EPOCH = 1_751_410_836_000_000_000
ZERO = EPOCH + 900_000_000
"""Epoch time of the zero of ONNX Runtime's profile."""

STEPS = 6
TORCH_WALL, ORT_WALL = 400_000, 500_000
GAP = 2_000_000
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
NODES = [  # name, op, provider, start and duration in microseconds after the run began
    ("node_linear", "Gemm", CUDA, 60, 40),
    ("node_linear_to_host", "MemcpyToHost", CUDA, 110, 80),
    ("node_sign", "Sign", CPU, 200, 60),
    ("node_sign_from_host", "MemcpyFromHost", CUDA, 270, 30),
    ("node_relu", "Relu", CUDA, 310, 20),
]


def torch_trace():
    trace = Trace()
    for step in range(STEPS):
        at = EPOCH + step * GAP
        trace.step(step, at, TORCH_WALL)
        trace.call("module: ", at + 5_000, 300_000)
        trace.call("module: dense", at + 10_000, 60_000)
        trace.call("aten::linear", at + 20_000, 40_000)
        trace.launch(at + 30_000, at + 45_000, 90_000 + 100 * step, took=6_000, name="gemm")
        trace.call("module: sign", at + 90_000, 40_000)
        trace.call("aten::sign", at + 95_000, 30_000)
        trace.launch(at + 105_000, at + 140_000, 5_000, took=6_000, name="sign")
        trace.call("module: act", at + 190_000, 60_000)
        trace.call("aten::relu", at + 200_000, 30_000)
        trace.launch(at + 210_000, at + 225_000, 10_000, took=6_000, name="relu")
        trace.runtime("cudaDeviceSynchronize", at + 320_000, 60_000)
    return trace.text()


def ort_profile(zero, *, nodes=True, kernels=False):
    """ONNX Runtime's own profile: whole microseconds from its zero; node times are those of enqueuing.

    With `kernels`, that of a build with CUPTI: what the device did stands beside the nodes, and names them.
    """
    lines = []

    def add(cat, name, start, duration, **args):
        event = {
            "cat": cat,
            "pid": 1,
            "tid": 1,
            "dur": duration,
            "ts": start,
            "ph": "X",
            "name": name,
            "args": args,
        }
        lines.append(json.dumps(event))

    for step in range(STEPS):
        at = (ort_start(step) - zero) // 1000
        for index, (name, op, provider, start, duration) in enumerate(NODES if nodes else ()):
            shape = [{"float": [1, 8]}]
            add("Node", f"{name}_kernel_time", at + start, duration, op_name=op, provider=provider,
                node_index=str(index), input_type_shape=shape, output_type_shape=shape)  # fmt: skip
        if kernels:
            add(
                "Kernel",
                "gemm",
                at + 65,
                70,
                op_name="Gemm",
                parent_name="node_linear_kernel_time",
                stream="7",
            )
            add("Kernel", "MemcpyDeviceToHost", at + 140, 5, op_name="MemcpyToHost",
                parent_name="node_linear_to_host_kernel_time", stream="7")  # fmt: skip
        add("Session", "SequentialExecutor::Execute", at + 50, 300)
        add("Session", "model_run", at + 10, 470)
    return "[\n" + ",\n".join(lines) + "\n]\n"


def ort_start(step):
    return EPOCH + 1_000_000_000 + step * GAP


def device_trace():
    """Kineto around the same runs: ranges, runtime calls, kernels and copies."""
    trace = Trace()
    for step in range(STEPS):
        at = ort_start(step)
        trace.add("user_annotation", f"attrib.run#{step}", at + 1_000, ORT_WALL - 2_000)
        trace.launch(
            at + 20_000, at + 30_000, 8_000, call="cudaMemcpyAsync", took=12_000, kind="copy", size=32
        )
        trace.launch(at + 70_000, at + 80_000, 60_000, took=5_000, name="gemm")
        trace.launch(at + 115_000, at + 141_000, 4_000, call="cudaMemcpyAsync", took=5_000, kind="copy",
                     name="Memcpy DtoH (Device -> Pinned)", size=32)  # fmt: skip
        trace.runtime("cudaStreamSynchronize", at + 125_000, 60_000)
        trace.launch(
            at + 275_000, at + 285_000, 6_000, call="cudaMemcpyAsync", took=8_000, kind="copy", size=32
        )
        trace.launch(at + 315_000, at + 325_000, 7_000, took=5_000, name="relu")
        trace.launch(at + 380_000, at + 400_000, 9_000, call="cudaMemcpyAsync", took=30_000, kind="copy",
                     name="Memcpy DtoH (Device -> Pageable)", size=32)  # fmt: skip
        trace.runtime("cudaStreamSynchronize", at + 415_000, 20_000)
    return trace.text()


def exported():
    """The exported graph: three nodes with the modules that they come from."""
    return _graph([
        scoped(helper.make_node("Gemm", ["x", "dense.weight"], ["linear"], name="node_linear"), "dense", "linear"),
        scoped(helper.make_node("Sign", ["linear"], ["sign"], name="node_sign"), "sign", "sign"),
        scoped(helper.make_node("Relu", ["sign"], ["relu"], name="node_relu"), "act", "relu"),
    ])  # fmt: skip


def optimized():
    """The graph that ran: copies stand around the node that the processor computes."""
    return _graph([
        scoped(helper.make_node("Gemm", ["x", "dense.weight"], ["linear"], name="node_linear"), "dense", "linear"),
        helper.make_node("MemcpyToHost", ["linear"], ["linear_CPU"], name="node_linear_to_host"),
        helper.make_node("Sign", ["linear_CPU"], ["sign"], name="node_sign"),
        helper.make_node("MemcpyFromHost", ["sign"], ["sign_CUDA"], name="node_sign_from_host"),
        helper.make_node("Relu", ["sign_CUDA"], ["relu"], name="node_relu"),
    ])  # fmt: skip


def _graph(nodes):
    names = ("x", *dict.fromkeys(name for node in nodes for name in node.output))
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8]) for name in names}
    eye = np.eye(8, dtype=np.float32).ravel().tolist()
    weight = helper.make_tensor("dense.weight", TensorProto.FLOAT, [8, 8], eye)
    inner = [values[name] for name in names[1:-1]]
    graph = helper.make_graph(nodes, "main", [values["x"]], [values["relu"]], [weight], value_info=inner)
    return helper.make_model(graph).SerializeToString()


def scoped(node, module, op):
    keys = {"name_scopes": str(["", module, op]), "class_hierarchy": str(["M", "torch.nn.Module", f"aten.{op}.default"]),
            "fx_node": f"%{op} : [num_users=1] = call_function[target=torch.ops.aten.{op}.default]"}  # fmt: skip
    for key, value in keys.items():
        entry = node.metadata_props.add()
        entry.key, entry.value = f"pkg.torch.onnx.{key}", value
    return node


def latency():
    """Plain and profiled steps of both sides."""
    columns = {name: [] for name in ("engine", "phase", "block", "iteration", "start_ns", "wall_ns")}
    for role, start, wall in (
        ("torch", lambda i: EPOCH + i * GAP, TORCH_WALL),
        ("onnxruntime", ort_start, ORT_WALL),
    ):
        for i in range(STEPS):
            row = {"engine": role, "block": i // 2, "iteration": i % 2}
            for phase, at, took in (
                ("profiled", start(i), wall),
                ("plain", start(i) - 10**9, wall - 30_000 + 500 * i),
            ):
                for name, value in (row | {"phase": phase, "start_ns": at, "wall_ns": took}).items():
                    columns[name].append(value)
    return pa.table(columns)


def replayed_trace():
    """Kineto around runs that replay a CUDA graph: one call, no node, two kernels."""
    trace = Trace()
    for step in range(STEPS):
        at = ort_start(step)
        trace.add("user_annotation", f"attrib.run#{step}", at + 1_000, ORT_WALL - 2_000)
        graph = trace.runtime("cudaGraphLaunch", at + 60_000, 15_000)
        trace.device(at + 70_000, 60_000, correlation=graph, name="gemm")
        trace.device(at + 140_000, 7_000, correlation=graph, name="relu")
        trace.runtime("cudaStreamSynchronize", at + 80_000, 90_000)
    return trace.text()


def write_replays(root):
    """A directory whose ONNX Runtime session replays a graph."""
    return write_directory(root, profile=ort_profile(ZERO, nodes=False), device=replayed_trace())


def write_ort_kernels(root):
    """A directory whose ONNX Runtime has a profiler of the device itself."""
    return write_directory(root, profile=ort_profile(ZERO, kernels=True), device=None)


def write_directory(root, *, profile=None, device="", skew=0):
    """Write the whole directory.

    `device` is the trace around ONNX Runtime's runs (None: there is none); `skew` is how far the profile's clock is off.
    """
    zero = ZERO + skew
    files = {
        "torch/trace.json.gz": gzip.compress(torch_trace().encode()),
        "ort/profile.json.gz": gzip.compress((profile or ort_profile(ZERO)).encode()),
        "onnx/exported.onnx": exported(),
        "onnx/optimized.onnx": optimized(),
    }
    if device is not None:
        files["ort/device.json.gz"] = gzip.compress((device or device_trace()).encode())
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    parquet.write_table(latency(), root / "latency.parquet")
    names = [*files, "latency.parquet"]
    sides = {
        "torch": Side(engine="torch", state="complete", folder="torch", mode="eager"),
        "onnxruntime": Side(engine="onnxruntime", state="complete", folder="ort", requested_providers=(CUDA, CPU),
                            providers=(CUDA, CPU), settings={PROFILE_ZERO: str(zero)}),
    }  # fmt: skip
    manifest = Manifest(
        attrib_version="0",
        created="2026-11-22T00:00:00Z",
        workload=Workload(model="tiny", source="factory", weights="random", batch_size=1, seq_len=0),
        sides=sides,
        protocol=Protocol(rounds=3, iterations=2, profiled_rounds=3, profiled_iterations=2, seed=0),
        files=tuple(_entry(root, name) for name in names),
    )
    (root / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    return root


def _entry(root, name):
    data = (root / name).read_bytes()
    return FileEntry(path=name, state="complete", sha256=hashlib.sha256(data).hexdigest(), size=len(data))
