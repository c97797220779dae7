"""The captures that are made where there is a GPU, by the tests and by `record.py`."""

from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BERT = {"model": "bert-base-uncased", "seq_len": 128, "device": "cuda"}

CASES: dict[str, dict[str, Any]] = {
    "fp32-b1": BERT,
    "fp32-b8": BERT | {"batch_size": 8},
    "fp16-b1": BERT | {"precision": "fp16"},
    "fp16-b8": BERT | {"precision": "fp16", "batch_size": 8},
    "fp32-b1-bound": BERT | {"io_binding": True},
    "fp32-b1-graph": BERT | {"cuda_graph": True},
    "fp32-b1-compile": BERT | {"torch_mode": "compile"},
    "fallback": {"model": f"{HERE / 'gpu_factories.py'}:fallback", "device": "cuda"},
}
"""Name -> fields of `CaptureOptions`."""

SINGLE: dict[str, str] = {"matmul": "MatMul", "layer_norm": "LayerNormalization", "softmax": "Softmax"}
"""Factory -> the op of its only node."""

ROUNDS = 6


def options_of(case: str, output: Path, **changes: Any) -> Any:
    """The options of a case; a recording has few rounds, so that its traces stay small."""
    from attrib.capture import CaptureOptions

    return CaptureOptions(output=output, rounds=ROUNDS, **CASES[case] | changes)


def single_options(factory: str, output: Path) -> Any:
    """A capture of a single op, which keeps its graph with the weights beside the trace directory."""
    from attrib.capture import CaptureOptions

    return CaptureOptions(
        model=f"{HERE / 'gpu_factories.py'}:{factory}",
        device="cuda",
        io_binding=True,
        rounds=ROUNDS,
        output=output,
        save_models=output.with_name(f"{output.name}-models"),
    )
