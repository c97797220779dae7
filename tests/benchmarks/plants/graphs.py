"""Planted graph files, and what ONNX Runtime makes of them."""

from collections import Counter
from pathlib import Path

import onnx

from plants.edit import Editing
from plants.plant import Plant


def write_planted(plant: Plant, exported: Path, target: Path) -> Path:
    """Write the planted graph. Its weights stay in the file that `exported` names, so both must share a folder."""
    if plant.edit is None:
        raise ValueError(f"{plant.name} is not planted in a graph")
    editing = Editing(onnx.load(str(exported), load_external_data=False))
    plant.edit(editing)
    onnx.save(editing.finish(), str(target))
    return target


def executed_ops(graph: Path) -> Counter[str]:
    """How often each op stands in a graph that ONNX Runtime saved."""
    return Counter(node.op_type for node in onnx.load(str(graph), load_external_data=False).graph.node)


def output_names(graph: Path) -> tuple[str, ...]:
    """Outputs of a graph, sorted."""
    return tuple(sorted(value.name for value in onnx.load(str(graph), load_external_data=False).graph.output))


def void_reason(plant: Plant, planted: Path, unplanted: Path) -> str:
    """Why nothing was planted: ONNX Runtime removed it. Empty where it is there.

    Args:
        plant: The plant; what it adds must be executed more often, or something must be different where it names nothing.
        planted: The graph that ONNX Runtime ran with it, as saved from its session.
        unplanted: The same without it.
    """
    ops, before = executed_ops(planted), executed_ops(unplanted)
    gone = [op for op, count in plant.adds.items() if ops[op] - before[op] < count]
    if gone:
        return f"ONNX Runtime removed {', '.join(gone)}"
    if plant.edit and ops == before and output_names(planted) == output_names(unplanted):
        return "ONNX Runtime runs the same operators and gives the same outputs"
    return ""
