"""A tiny BERT to plant in, and what a graph computes; the plants themselves are in tests/benchmarks/plants."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

HIDDEN, SEQ_LEN, VOCABULARY = 32, 16, 50


def export_tiny_bert(folder: Path) -> Path:
    """Export a BERT of two layers, 32 wide, weights beside it."""
    from transformers import BertConfig, BertModel

    from attrib.capture.export.exporters import export_dynamo
    from attrib.capture.workload.arguments import Arguments
    from attrib.capture.workload.build import Built
    from attrib.capture.workload.weights import make_distinct, seed_everything

    seed_everything(0)
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=HIDDEN, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=4 * HIDDEN, max_position_embeddings=SEQ_LEN,
    )  # fmt: skip
    module = BertModel(config).eval().requires_grad_(requires_grad=False)
    make_distinct(module, 0)
    tensors = _tensors()
    built = Built(module=module, inputs=tensors, arguments=Arguments.by_name(tensors), weights="")
    file = folder / "exported.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own libraries
        export_dynamo(built, list(built.first_outputs()), None, None, file)
    return file


def inputs() -> dict[str, np.ndarray[Any, Any]]:
    """Tokens for the tiny BERT."""
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, (1, SEQ_LEN))
    return {
        "input_ids": tokens,
        "attention_mask": np.ones_like(tokens),
        "token_type_ids": np.zeros_like(tokens),
    }


def _tensors() -> dict[str, Any]:
    import torch

    return {name: torch.from_numpy(array) for name, array in inputs().items()}


def ran(graph: Path, optimized: Path, level: str = "all") -> dict[str, np.ndarray[Any, Any]]:
    """Run a graph in ONNX Runtime; its outputs by name. The graph that ran is saved as `optimized`."""
    import onnxruntime as ort

    from attrib.capture.ort.session import LEVELS

    options = ort.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.optimized_model_filepath = str(optimized)
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs()), strict=True))
