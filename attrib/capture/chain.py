"""The graph on which ONNX Runtime's profiling cost is calibrated: a chain of nodes that do next to nothing."""

from pathlib import Path

CHAIN_NODES = 200


def write_chain(file: Path) -> None:
    """Write alternating Neg and Abs nodes on one element; the parent does it, because a worker may lack onnx."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Neg" if i % 2 else "Abs", [f"v{i}"], [f"v{i + 1}"], name=f"n{i}")
        for i in range(CHAIN_NODES)
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("v0", f"v{CHAIN_NODES}")]
    graph = helper.make_graph(nodes, "calibration", ends[:1], ends[1:])
    # Old enough for every ONNX Runtime that attrib supports.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file.write_bytes(model.SerializeToString())
