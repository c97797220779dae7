"""Hand-made evidence: a ledger with exact intervals, works, graphs and a manifest."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import numpy as np

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.findings.protocol import Evidence
from attrib.model.document import Latency, LedgerRow
from attrib.model.estimate import Delta, Estimate
from attrib.model.manifest import EXPORTED, OPTIMIZED, Environment, Manifest, Protocol, Side, Workload
from attrib.model.region import Match, Region
from attrib.model.roofline import Peaks, Rate, Stream
from attrib.model.tensor import Tensor
from attrib.model.work import Partition, Work

MS = 1_000_000
STEP_NS = 200 * MS


@dataclass(frozen=True)
class FakeLedger:
    """Independent rows: the half-widths of a sum add in quadrature."""

    rows: tuple[LedgerRow, ...]
    work_ns: dict[str, int] | None = None

    def total(self, ids: Iterable[str]) -> Delta:
        known = {row.id: row for row in self.rows}
        chosen = [known[name] for name in dict.fromkeys(ids)]
        median = sum(row.delta_ns for row in chosen)
        half = math.isqrt(sum(((row.high_ns - row.low_ns) // 2) ** 2 for row in chosen))
        return Delta(median=median, low=median - half, high=median + half)

    def work(self, role, ids):
        return self.weigh({role: dict.fromkeys(ids, 1.0)})

    def weigh(self, weights):
        known = self.work_ns or {}
        times = [known.get(name, 0) * weight for its in weights.values() for name, weight in its.items()]
        total, half = round(sum(times)), round(sum(map(abs, times)) / 100)
        return Delta(median=total, low=total - half, high=total + half)

    def without(self, rows, works):
        left = (_left(row, set(works), self.work_ns or {}) for row in self.rows if row.id not in rows)
        return FakeLedger(tuple(row for row in left if row is not None), self.work_ns)


def _left(row, works, known):
    """A row without some of its work; None where nothing is left."""
    if works.isdisjoint(row.torch_calls) and works.isdisjoint(row.onnx_nodes):
        return row
    calls = [pair for pair in zip(row.torch_calls, row.torch_ops, strict=True) if pair[0] not in works]
    nodes = [pair for pair in zip(row.onnx_nodes, row.onnx_ops, strict=True) if pair[0] not in works]
    if not calls and not nodes:
        return None
    torch_ns, ort_ns = (
        before - sum(known.get(name, 0) for name in its if name in works)
        for before, its in ((row.torch_ns, row.torch_calls), (row.onnxruntime_ns, row.onnx_nodes))
    )
    shift = ort_ns - torch_ns - row.delta_ns
    return msgspec.structs.replace(
        row,
        torch_calls=tuple(i for i, _ in calls),
        torch_ops=tuple(op for _, op in calls),
        onnx_nodes=tuple(i for i, _ in nodes),
        onnx_ops=tuple(op for _, op in nodes),
        torch_ns=torch_ns,
        onnxruntime_ns=ort_ns,
        delta_ns=ort_ns - torch_ns,
        low_ns=row.low_ns + shift,
        high_ns=row.high_ns + shift,
    )


def row(
    cause,
    torch_ns,
    ort_ns,
    *,
    noise=0.01 * MS,
    module="encoder.layer.0",
    calls=(),
    nodes=(),
    region="",
    shapes=(),
    confidence=1.0,
    name="",
):
    """A row; `calls` and `nodes` are (id, op) pairs."""
    region = region or f"{module}/{cause}"
    delta = ort_ns - torch_ns
    return LedgerRow(
        id=name or f"{region}:{cause}",
        region=region,
        module=module,
        cause=cause,
        torch_calls=tuple(i for i, _ in calls),
        torch_ops=tuple(op for _, op in calls),
        onnx_nodes=tuple(i for i, _ in nodes),
        onnx_ops=tuple(op for _, op in nodes),
        shapes=shapes,
        torch_ns=torch_ns,
        onnxruntime_ns=ort_ns,
        delta_ns=delta,
        low_ns=int(delta - noise),
        high_ns=int(delta + noise),
        match=Match(method="identity", confidence=confidence),
    )


def node(op, inputs, outputs, *, name="", **attributes):
    return GraphNode(
        name=name or f"{op}:{outputs[0]}",
        index=0,
        op=op,
        domain="",
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        attributes=attributes,
    )


def graph(*nodes, values=None):
    return Graph(
        nodes=tuple(msgspec.structs.replace(given, index=i) for i, given in enumerate(nodes)),
        inputs=("x",),
        outputs=("y",),
        constants=frozenset(),
        values=values or {},
        opset=18,
    )


def tensor(*shape, dtype="float"):
    return Tensor(dtype, tuple(shape))


def partition(engine, works, work_ns, parts=(), parts_ns=(), steps=3):
    """Every step takes the same time."""
    columns = np.repeat(np.array([*work_ns], dtype=np.int64)[:, None], steps, axis=1).reshape(-1, steps)
    part_columns = np.repeat(np.array([*parts_ns], dtype=np.int64)[:, None], steps, axis=1).reshape(-1, steps)
    return Partition(
        engine=engine,
        work=tuple(works),
        parts=tuple(parts),
        work_ns=columns,
        parts_ns=part_columns,
        walls_ns=columns.sum(axis=0) + part_columns.sum(axis=0),
        blocks=np.arange(steps),
        inside=np.zeros(len(works) + len(parts), dtype=np.int64),
        outside=np.zeros(len(works) + len(parts), dtype=np.int64),
        scopes=np.zeros(len(works) + len(parts), dtype=np.int64),
    )


def side(engine, **changes):
    settings = {
        "training": "false",
        "inference_mode": "true",
        "matmul_precision": "highest",
        "mkldnn": "true",
        "denormal_weights": "0",
    }
    values = {
        "engine": engine,
        "state": "complete",
        "folder": engine,
        "threads": 2,
        "warmup": 10,
        "warmed_up": True,
        "settings": settings if engine == "torch" else {},
        "requested_providers": () if engine == "torch" else ("CPUExecutionProvider",),
        "providers": () if engine == "torch" else ("CPUExecutionProvider",),
        "opt_level": "" if engine == "torch" else "all",
        "opset": 0 if engine == "torch" else 18,
        "exporter": "" if engine == "torch" else "dynamo",
    }
    return Side(**{**values, **changes})


def manifest(torch=None, onnxruntime=None, environment=None, workload=None):
    return Manifest(
        attrib_version="0",
        created="2026-01-01T00:00:00Z",
        workload=Workload(
            **{
                "model": "m",
                "source": "built-in",
                "weights": "pretrained",
                "batch_size": 1,
                "seq_len": 128,
                "attention": "sdpa",
                "inputs_sha256": "ab" * 32,
                "parameters": 1_000_000,
                **(workload or {}),
            }
        ),
        sides={
            "torch": side("torch", **(torch or {})),
            "onnxruntime": side("onnxruntime", **(onnxruntime or {})),
        },
        environment=Environment(
            **{"usable_cores": 2.0, "load_before": 0.1, "stolen_share": 0.0, **(environment or {})}
        ),
        protocol=Protocol(rounds=12, iterations=5, profiled_rounds=12, profiled_iterations=2, seed=0),
    )


def evidence(*rows, **changes):
    """Everything present; works, and a partition that gives each node 1 ms, follow from the rows."""
    works = changes.pop("works", {}) or {"torch": _works(rows, "torch"), "onnxruntime": _works(rows, "ort")}
    engines = (("torch", "torch"), ("onnxruntime", "onnxruntime"))
    delta = sum(r.delta_ns for r in rows)
    values = {
        "ledger": FakeLedger(rows),
        "latency": Latency(
            torch_ns=Estimate(median=STEP_NS, low=STEP_NS, high=STEP_NS, n=60),
            onnxruntime_ns=Estimate(median=STEP_NS + delta, low=STEP_NS, high=STEP_NS, n=60),
            delta_ns=Delta(median=delta, low=delta - MS, high=delta + MS),
            significant=True,
        ),
        "manifest": manifest(),
        "partitions": {
            role: partition(engine, works[role].values(), [MS] * len(works[role])) for role, engine in engines
        },
        "work": works,
        "regions": {
            r.region: Region(id=r.region, module=r.module, calls=(), nodes=(), match=r.match) for r in rows
        },
        "graphs": {EXPORTED: graph(values={"x": tensor(1, 128)}), OPTIMIZED: graph()},
        "outputs": (),
        "plain_ns": steady(),
    }
    return Evidence(**{**values, **changes})


def _works(rows, side):
    if side == "torch":
        pairs = [pair for r in rows for pair in zip(r.torch_calls, r.torch_ops, strict=True)]
        return {name: Work(id=name, engine="torch", op=op) for name, op in pairs}
    pairs = [pair for r in rows for pair in zip(r.onnx_nodes, r.onnx_ops, strict=True)]
    return {name: Work(id=name, engine="onnxruntime", op=op) for name, op in pairs}


def steady(blocks=12, steps=5):
    """Plain steps that repeat within a percent."""
    one = tuple(tuple(STEP_NS + (i + j) % 3 * MS // 2 for j in range(steps)) for i in range(blocks))
    return {"torch": one, "onnxruntime": one}


G, MB = 1e9, 1 << 20


def rate(per_s):
    return Rate(per_s=per_s, typical_per_s=per_s, samples=9)


PEAKS = Peaks(
    device="cpu",
    threads=2,
    products={"float": rate(400 * G)},
    streams=(Stream(bytes=16 * MB, rate=rate(100 * G)), Stream(bytes=128 * MB, rate=rate(40 * G))),
)
"""What a machine of two threads can do at most."""
