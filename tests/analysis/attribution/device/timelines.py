"""Kineto traces of a host and a device, written event by event in whole nanoseconds, and attrib's partition of them."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from attrib.analysis.attribution.device.events import device_events
from attrib.analysis.attribution.device.partition import assign, split_by_device
from attrib.analysis.attribution.device.steps import torch_hosts
from attrib.analysis.attribution.host.torch_partition import torch_steps
from attrib.analysis.attribution.partitions import step_windows
from attrib.traces import read_kineto

KINDS = {"kernel": "kernel", "copy": "gpu_memcpy", "fill": "gpu_memset"}
NAMES = {"kernel": "gemm<float>", "copy": "Memcpy HtoD (Pageable -> Device)", "fill": "Memset (Device)"}


def micros(ns):
    """Microseconds with three decimals, as Kineto writes them, without going through a float."""
    return f"{'-' if ns < 0 else ''}{abs(ns) // 1000}.{abs(ns) % 1000:03d}"


@dataclass
class Trace:
    """Events in nanoseconds. The steps and calls run on thread 1."""

    events: list = field(default_factory=list)
    correlations: int = 0

    def add(self, cat, name, start, duration, *, pid=1, tid=1, args="{}"):
        self.events.append(
            f'{{"ph":"X","cat":"{cat}","name":"{name}","pid":{pid},"tid":{tid},"ts":{micros(start)},'
            f'"dur":{micros(duration)},"args":{args}}}'
        )

    def step(self, number, start, duration):
        self.add("user_annotation", f"attrib.step#{number}", start, duration)

    def call(self, name, start, duration, tid=1):
        self.add("cpu_op", name, start, duration, tid=tid)

    def runtime(self, name, start, duration, tid=1):
        """A runtime call; its correlation, by which device work refers to it."""
        self.correlations += 1
        self.add(
            "cuda_runtime", name, start, duration, tid=tid, args=f'{{"correlation":{self.correlations}}}'
        )
        return self.correlations

    def device(self, start, duration, *, correlation=0, stream=7, kind="kernel", name="", size=0):
        more = f',"correlation":{correlation}' if correlation else ""
        more += f',"bytes":{size}' if size else ""
        args = f'{{"stream":{stream},"device":0{more}}}'
        self.add(KINDS[kind], name or NAMES[kind], start, duration, pid=0, tid=stream, args=args)

    def launch(self, at, start, duration, *, call="cudaLaunchKernel", tid=1, took=3, **device):
        """A kernel with the call that launched it."""
        self.device(start, duration, correlation=self.runtime(call, at, took, tid), **device)

    def text(self):
        return (
            '{"schemaVersion":1,"baseTimeNanoseconds":0,"traceEvents":[\n' + ",\n".join(self.events) + "\n]}"
        )

    def table(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trace.json"
            path.write_text(self.text())
            return read_kineto(path)


class Split:
    """The partition of a trace, read by name; one step unless another is named."""

    def __init__(self, trace):
        table = trace.table()
        rows = table.steps()
        windows = step_windows(table, rows, ())
        if len(windows) < len(rows):  # without recorded times attrib leaves the first, cold step out
            windows = [*step_windows(table, rows[:1], ()), *windows]
        found = torch_steps(table, windows)
        hosts = torch_hosts(table, found)
        self.windows = found.windows
        self.assigned = assign(device_events(table), hosts, table, found.partition)
        self.partition = split_by_device(found.partition, hosts, table)
        self.partition.self_check()

    def unit(self, op, step=0):
        """What a call owns, by kind; kinds without time are left out."""
        i = [work.op for work in self.partition.work].index(op)
        kinds = {kind: int(ns[i, step]) for kind, ns in self.partition.split.work_ns.items()}
        return {kind: ns for kind, ns in kinds.items() if ns}

    def part(self, name, step=0):
        parts = self.partition.parts
        return int(self.partition.parts_ns[parts.index(name), step]) if name in parts else 0
