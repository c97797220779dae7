"""Rewrites that change the numbers: float16, and int8 by dynamic or static quantization."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from attrib.rewrite.files import load_graph, save_graph
from attrib.rewrite.registry import Arrays, Job, Outcome

VARIATIONS = 7
"""Seeded variations of the workload's inputs that calibrate a static quantization, besides the inputs themselves."""


def float16(job: Job) -> Outcome:
    """Convert to float16; inputs and outputs keep their types, so the graph begins and ends with casts."""
    import onnx
    from onnxruntime.transformers.onnx_model import OnnxModel

    model = OnnxModel(onnx.load(str(job.source)))
    model.convert_float_to_float16(use_symbolic_shape_infer=True, keep_io_types=True)
    save_graph(model.model, job.target)
    return Outcome(settings={"keep_io_types": "true"})


def int8_dynamic(job: Job) -> Outcome:
    """Quantize dynamically: weights to int8 beforehand, activations to uint8 in every step."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # ONNX Runtime's CPU provider has ConvInteger for unsigned weights only.
    convolves = any(node.op_type == "Conv" for node in load_graph(job.source).graph.node)
    weight = QuantType.QUInt8 if convolves else QuantType.QInt8
    quantize_dynamic(str(job.source), str(job.target), weight_type=weight, use_external_data_format=True)
    return Outcome(settings={"weights": str(weight), "activations": "QUInt8", "per_channel": "false"})


def int8_qdq(job: Job) -> Outcome:
    """Quantize statically, with QuantizeLinear/DequantizeLinear pairs around the operators."""
    return _quantize_statically(job, "QDQ", "QInt8")


def int8_qoperator(job: Job) -> Outcome:
    """Quantize statically, with operators on integers; on x86 those want unsigned activations."""
    return _quantize_statically(job, "QOperator", "QUInt8")


def _quantize_statically(job: Job, form: str, activation: str) -> Outcome:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    quantize_static(
        str(job.source),
        str(job.target),
        _Reader(calibration_inputs(job)),
        quant_format=QuantFormat[form],
        activation_type=QuantType[activation],
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        use_external_data_format=True,
    )
    return Outcome(
        settings={
            "format": form,
            "weights": "QInt8",
            "activations": activation,
            "per_channel": "false",
            "calibration": f"MinMax over the workload's inputs and {VARIATIONS} seeded variations of them (integers"
            " shuffled within each row, floats scaled by 0.8 to 1.2)",
            "calibration_seed": str(job.seed),
        }
    )


class _Reader:
    """Hands out inputs one by one: what `onnxruntime.quantization` calls a CalibrationDataReader."""

    def __init__(self, rows: Iterator[Arrays]) -> None:
        self._rows = rows

    def get_next(self) -> Arrays | None:
        """Give the next inputs, or None behind the last ones."""
        return next(self._rows, None)


def calibration_inputs(job: Job) -> Iterator[Arrays]:
    """Yield the workload's inputs as the graph names them, then seeded variations of them."""
    feeds = job.feeds(job.source)
    generator = np.random.default_rng(job.seed)
    yield feeds
    for _ in range(VARIATIONS):
        yield {name: vary(array, generator) for name, array in feeds.items()}


def vary(array: npt.NDArray[Any], generator: np.random.Generator) -> npt.NDArray[Any]:
    """Make another input of the same kind: values that the model accepts, in another order or size."""
    if array.ndim == 0 or array.dtype == np.bool_:
        return array
    if np.issubdtype(array.dtype, np.integer):
        return generator.permuted(array, axis=-1)
    return (array * generator.uniform(0.8, 1.2)).astype(array.dtype)
