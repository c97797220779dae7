"""The parent's part of measuring the machine's peaks: the graphs for ONNX Runtime, and the question to a worker."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from attrib.capture.messages import MeasurePeaks, PeaksMeasured
from attrib.capture.options import Device
from attrib.capture.peaks import SIDES, product_file, stream_file
from attrib.capture.process import Worker
from attrib.model.roofline import Peaks

_DTYPES = {"fp32": "float", "fp16": "float16", "bf16": "bfloat16", "int8": "int8"}
_ONNX_TYPES = {"float": 1, "float16": 10, "bfloat16": 16}
_UINT8, _INT8, _INT32 = 2, 3, 6


def measure_peaks(worker: Worker, folder: Path, device: Device, precisions: Collection[str]) -> Peaks:
    """Let a worker measure; `folder` takes the graphs that ONNX Runtime needs for it.

    Raises:
        WorkerError: It could not.
    """
    dtypes = tuple(sorted({"float", *(_DTYPES[precision] for precision in precisions)}))
    write_graphs(folder, dtypes)
    return worker.ask(MeasurePeaks(device=device, folder=str(folder), dtypes=dtypes), PeaksMeasured).peaks


def write_graphs(folder: Path, dtypes: Collection[str]) -> None:
    """Write the graphs that ONNX Runtime is measured on; the parent does it, because a worker may lack onnx.

    The second factor is a constant, as the weights of a model are, which the worker supplies.
    """
    from onnx import helper

    for dtype in dtypes:
        for side in SIDES:
            _save(product_file(folder, dtype, side), _product_graph(dtype, side))
    ends = [helper.make_tensor_value_info(name, _ONNX_TYPES["float"], ["n"]) for name in ("x", "y")]
    _save(
        stream_file(folder),
        helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "stream", ends[:1], ends[1:]),
    )


def _product_graph(dtype: str, side: int) -> Any:
    from onnx import TensorProto, helper

    integer = dtype == "int8"
    left, right, result = (_UINT8, _INT8, _INT32) if integer else (_ONNX_TYPES[dtype],) * 3
    weight = TensorProto(name="b", data_type=right, dims=[side, side], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="supplied")
    node = helper.make_node("MatMulInteger" if integer else "MatMul", ["a", "b"], ["c"])
    ends = [helper.make_tensor_value_info(n, t, [side, side]) for n, t in (("a", left), ("c", result))]
    return helper.make_graph([node], "product", ends[:1], ends[1:], [weight])


def _save(file: Path, graph: Any) -> None:
    from onnx import helper

    # Old enough for every ONNX Runtime that attrib supports.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file.write_bytes(model.SerializeToString())
