# ruff: noqa: E501, SIM223 - a table: one attack a line
"""The files beside the traces: figures without bounds, wrong types, bombs; and arrays that nobody may unpickle."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hostile_capture import Capture, Case, Outcome
from hostile_judge import judge
from pyarrow import parquet

OUTPUT = {
    "name": "logits",
    "shape": [1, 2],
    "max_abs": 1e-6,
    "max_rel": 1e-5,
    "cosine": 1.0,
    "tolerance": 1e-4,
    "equal": True,
}
DELTA = {"median": 5, "low": 1, "high": 9}
EXPERIMENT: dict[str, Any] = {
    "id": "x", "title": "t", "side": "onnxruntime", "state": "measured", "saving_ns": DELTA, "significant": True,
    "baseline_ns": DELTA | {"n": 3}, "variant_ns": DELTA | {"n": 3}, "plain_ns": {"baseline": [[1, 2]], "variant": [[1, 2]]},
}  # fmt: skip
HUGE = (1 << 63) - 1
QUERY = "encoder.layer.0.attention.self.query/aten::linear#0"
EVERYWHERE = {
    f"onnx/{graph}.onnx": {
        name: ["numbers", [0, HUGE, -3]] for name in ("linear", "linear_1", "val_0", "nowhere")
    }
    for graph in ("exported", "optimized", "elsewhere")
}


class Attack:
    """Whoever unpickles it writes a file."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return (open, ("/tmp/unpickled-by-attrib", "w"))


def put(name: str, value: object) -> Callable[[Capture], None]:
    return lambda capture: capture.put(
        name, value if isinstance(value, bytes) else json.dumps(value).encode()
    )


def outputs(**changes: object) -> Callable[[Capture], None]:
    return put("outputs.json", [OUTPUT | changes])


def experiment(**changes: object) -> Callable[[Capture], None]:
    return put("verify/x.json", EXPERIMENT | changes)


def inputs(make: Callable[[], bytes]) -> Callable[[Capture], None]:
    return lambda capture: capture.put("inputs.npz", make())


def pickled() -> bytes:
    """An archive of arrays, one of which is a pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        header = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little")
        described = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
        archive.writestr("input_ids.npy", header + described.ljust(117) + b"\n" + pickle.dumps([Attack()]))
    return file.getvalue()


def zip_bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("input_ids.npy", bytes(200 << 20))
    return file.getvalue()


def columns(count: int = 24, **changes: Any) -> dict[str, Any]:
    """Timed steps of both sides."""
    base = {
        "engine": ["torch", "onnxruntime"] * (count // 2),
        "phase": ["plain"] * count,
        "block": [i // 4 for i in range(count)],
        "iteration": [i % 2 for i in range(count)],
        "start_ns": [1_795_351_606_000_000_000 + i * 1_000_000 for i in range(count)],
        "wall_ns": [90_000 + i for i in range(count)],
    }
    return base | changes


def latency(**changes: Any) -> Callable[[Capture], None]:
    return table(lambda: pa.table({k: v for k, v in columns(**changes).items() if v is not None}))


def table(make: Callable[[], pa.Table], **options: Any) -> Callable[[Capture], None]:
    def tamper(capture: Capture) -> None:
        file = io.BytesIO()
        parquet.write_table(make(), file, **options)
        capture.put("latency.parquet", file.getvalue())

    return tamper


def bomb(rows: int) -> pa.Table:
    """Columns of one value each pack to almost nothing."""
    one = {"engine": "torch", "phase": "plain", "block": 0, "iteration": 0, "start_ns": 5, "wall_ns": 5}
    return pa.table(
        {name: pa.array([value]).take(pa.array(np.zeros(rows, np.int64))) for name, value in one.items()}
    )


def text_bomb() -> pa.Table:
    value = pa.array(["x" * (1 << 20)])
    found = {name: value.take(pa.array(np.zeros(800, np.int64))) for name in ("engine", "phase")}
    return pa.table(
        found | {name: np.zeros(800, np.int64) for name in ("block", "iteration", "start_ns", "wall_ns")}
    )


def record(name: str, **value: object) -> Callable[[Capture], None]:
    return put(name, {"format_version": 1, **value})


def members(count: int, **value: Any) -> list[dict[str, Any]]:
    return [value] * count


def case(name: str, tamper: Callable[[Capture], None], outcome: Outcome = "either", says: str = "") -> Case:
    return Case(name=name, tamper=tamper, outcome=outcome, says=says)


CASES = (
    *(
        case(f"outputs: {name} is {value!r:.12}", outputs(**{name: value}))
        for name in ("max_abs", "max_rel", "cosine", "tolerance")
        for value in (-1, 1e308, -1e308, 5e-324, 1 << 62, 0)
    ),
    case("outputs: NaN", put("outputs.json", json.dumps([OUTPUT | {"max_abs": float("nan")}]).encode()), "error", "outputs.json"),
    case("outputs: a number beyond floats", put("outputs.json", json.dumps([OUTPUT]).replace("1e-06", "1e999").encode())),
    case("outputs: sizes that overflow", outputs(shape=[HUGE, HUGE, -1])),
    case("outputs: sizes beyond 64 bits", outputs(shape=[1 << 70])),
    case("outputs: fifty thousand", put("outputs.json", [OUTPUT] * 50_000)),
    case("outputs: a name of a megabyte", outputs(name="n" * (1 << 20))),
    case("outputs: deep nesting", put("outputs.json", b"[" * 1_000_000), "error"),
    case("outputs: an object", put("outputs.json", {}), "error", "not a comparison of outputs"),
    case("inputs: a pickle", inputs(pickled), "report"),
    case("inputs: a bomb", inputs(zip_bomb), "report"),
    case("inputs: no archive", inputs(lambda: b"PK\x03\x04" + b"\xff" * 100), "report"),
    *(
        case(f"latency: {name} is {value}", latency(**{name: [value] * 24}))
        for name in ("block", "iteration", "start_ns", "wall_ns")
        for value in (-1, 0, HUGE, -HUGE - 1)
    ),
    case("latency: walls that add up beyond 64 bits", latency(wall_ns=[HUGE - i for i in range(24)])),
    case("latency: walls of both signs", latency(wall_ns=[(-1) ** i * (1 << 62) for i in range(24)])),
    case("latency: NaN", latency(wall_ns=[float("nan")] * 24), "error", "wall_ns"),
    case("latency: nulls", latency(block=[None] * 24), "error", "block"),
    case("latency: unsigned", table(lambda: pa.table(columns(wall_ns=pa.array([HUGE] * 24, pa.uint64())))), "error", "wall_ns"),
    case("latency: dates", table(lambda: pa.table(columns(start_ns=pa.array([5] * 24, pa.timestamp("ns"))))), "error", "start_ns"),
    case("latency: a missing column", latency(phase=None), "error", "has no column phase"),
    case("latency: a column twice", table(lambda: pa.Table.from_arrays([pa.array([1])] * 2, names=["block", "block"])), "error"),
    case("latency: no rows", table(lambda: pa.table(columns(count=0)))),
    case("latency: a block a row", latency(block=list(range(24)))),
    case("latency: one side only", latency(engine=["torch"] * 24)),
    case("latency: twenty million rows", table(lambda: bomb(20_000_000)), "error", "holds 20,000,000 rows"),
    case("latency: a million rows", table(lambda: bomb(1_000_000))),
    case("latency: texts that unpack to gigabytes", table(text_bomb)),
    case("latency: nested columns", table(lambda: pa.table(columns(engine=[["torch"]] * 24))), "error", "engine"),
    case("latency: no Parquet", put("latency.parquet", b"PAR1" + b"\xff" * 64 + b"PAR1"), "error", "not a Parquet file"),
    case("latency: a footer beyond the file", put("latency.parquet", b"PAR1" + b"\xff\xff\xff\x7fPAR1"), "error"),
    case("flow: sources that are nowhere", record("torch/flow.json", calls=members(50, id="x", sources=[[HUGE, HUGE], [-5, -1]]))),
    case("flow: sources of itself", record("torch/flow.json", calls=[{"id": str(i), "sources": [[i, 0], [i + 1, 0]]} for i in range(900)])),
    case("flow: sources beyond 64 bits", record("torch/flow.json", calls=members(1, id="x", sources=[[1 << 80, 0]]))),
    case("flow: two hundred thousand calls", record("torch/flow.json", calls=members(200_000, id="x", sources=[]))),
    case("flow: a newer format", put("torch/flow.json", {"format_version": 99}), "error", "format 99"),
    case("values: classes that are nowhere", record("ort/values.json", kinds=["numbers"], graphs=EVERYWHERE, calls=members(50, id=QUERY, inputs=[HUGE, -5], outputs=[HUGE, -1, 1 << 62]))),
    case("values: everything is equal", record("ort/values.json", kinds=["numbers"], graphs=EVERYWHERE, calls=members(50_000, id=QUERY, inputs=[], outputs=[0]))),
    case("values: no class at all", record("ort/values.json", graphs=EVERYWHERE, calls=members(1, id=QUERY, inputs=[0], outputs=[0]))),
    case("values: no such kind", record("ort/values.json", kinds=["nonsense"]), "error", "values.json"),
    case("values: a newer format", put("ort/values.json", {"format_version": 99}), "error", "format 99"),
    case("flow: larger than the limit", put("torch/flow.json", b" " * (65 << 20)), "error", "no such file of a capture"),
    case("placement: empty parts", record("ort/placement.json", parts=members(1000, provider="", nodes=[]))),
    case("placement: every node a hundred times", record("ort/placement.json", parts=members(100, provider="X" * 1000, nodes=members(400, name="node_MatMul_1", op="MatMul")))),
    case("placement: not a record", put("ort/placement.json", [1]), "error", "placement.json"),
    case("compiled: graphs of nothing", record("torch/compiled.json", compiler="x", graphs=members(1000, region="", launches=[], elided=[]))),
    case("compiled: one kernel for all", record("torch/compiled.json", compiler="inductor", graphs=members(9, region="attrib.step#3", launches=members(999, kernel="aten::linear")))),
    case("compiled: deep nesting", put("torch/compiled.json", b'{"compiler":' + b"[" * 500_000), "error", "compiled.json"),
    case("device: no trace", put("ort/device.json.gz", b"{}"), "error", "device.json.gz"),
    case("device: a profile", put("ort/device.json.gz", b'[\n{"cat":"Node","name":"a","ph":"X","ts":1,"dur":1}]'), "error", "holds an ONNX Runtime profile"),
    case("device: a bomb", lambda c: c.put("ort/device.json.gz", b'{"traceEvents":[{"x":"' + bytes([97]) * (150 << 20)), "error", "device.json.gz"),
    case("device: kernels beyond time", put("ort/device.json.gz", {"traceEvents": [{"ph": "X", "cat": "kernel", "name": "k", "ts": 2**61 // 1000 - 9, "dur": 2**61 // 1000 - 9}] * 9})),
    case("experiment: as it should be", experiment(), "report"),
    *(
        case(f"experiment: {name} is {value}", experiment(saving_ns=DELTA | {name: value}))
        for name in ("median", "low", "high")
        for value in (HUGE, -HUGE - 1, 1 << 70)
    ),
    case("experiment: an interval upside down", experiment(saving_ns={"median": 5, "low": 9, "high": 1})),
    case("experiment: no figures", experiment(saving_ns=None, baseline_ns=None, variant_ns=None)),
    case("experiment: steps beyond 64 bits", experiment(plain_ns={"baseline": [[HUGE] * 9] * 9, "variant": [[]]})),
    case("experiment: names of others", experiment(id="../../x", parts=["../y"] * 99, findings=["no-such"] * 99)),
    case("experiment: a snippet of 5 MB", experiment(id="best", snippet="print()\n" * 600_000)),
    case("experiment: a newer format", experiment(format_version=99), "error", "format 99"),
    case("experiment: not one", put("verify/x.json", [1]), "error", "not an experiment"),
    case("two experiments of one id", lambda c: (experiment()(c), c.put_json("verify/y.json", EXPERIMENT)) and None),
    case("profile: durations that add up beyond 64 bits", put("ort/profile.json.gz", json.dumps([{"cat": c, "ph": "X", "name": n, "ts": 1, "dur": 2**61 // 1000 - 9} for c, n in [("Session", "model_run")] * 5 + [("Node", "a_kernel_time")] * 9]).encode())),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_record_gives_a_report_or_one_line(results, case):
    judge(case, results[case.name])
