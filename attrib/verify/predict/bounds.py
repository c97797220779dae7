"""Bounds: what can go away at most, because a change of this kind can take away nothing else."""

from collections.abc import Callable, Iterable

from attrib.findings.evidence.attention import attention_regions, is_whole
from attrib.findings.evidence.ledger_queries import nodes_of, op_counts
from attrib.model.experiment import Prediction
from attrib.model.work import Work
from attrib.units import format_ns
from attrib.verify.predict.nodes import is_glue, is_moving, nodes, vanishing
from attrib.verify.predict.prediction import at_most
from attrib.verify.protocol import Situation
from attrib.wording import counted


def moving_nodes(situation: Situation) -> Prediction | None:
    """All that only moves, converts or measures data; None where there is none."""
    return _bounded(
        situation,
        [node for node in nodes(situation) if is_moving(node)],
        "the nodes that only move, convert or measure data ({ops}) take {time}; another way to write the same"
        " model can save no more",
    )


def glue_nodes(situation: Situation) -> Prediction | None:
    """All that a fusion can take in; None where there is none."""
    return _bounded(
        situation,
        [node for node in nodes(situation) if is_glue(node)],
        "the nodes that fusions can take in ({ops}) take {time}; products and kernels that are fused already stay",
    )


def attention_glue(situation: Situation) -> Prediction | None:
    """What lies between the products of attention that runs node by node; None where all of it is whole."""
    found = attention_regions(situation.evidence.ledger.rows)
    apart = [row for rows in found.values() if not is_whole(rows) for row in rows]
    inner = set(nodes_of(apart))
    return _bounded(
        situation,
        [node for node in nodes(situation) if node.id in inner and is_glue(node)],
        "between the products and Softmax of the attention blocks lie {ops}, which take {time}; one node for a"
        " whole block must still compute the rest",
    )


def products_of_weights(situation: Situation, chosen: Callable[[Work], bool]) -> Prediction | None:
    """The products that the choice holds for, e.g. those that read weights; None without any."""
    return _bounded(
        situation,
        [node for node in nodes(situation) if chosen(node)],
        "the products of activations and weights ({ops}) take {time}; nothing else is computed in integers",
    )


def _bounded(situation: Situation, chosen: Iterable[Work], basis: str) -> Prediction | None:
    ids = [node.id for node in chosen]
    if not ids:
        return None
    bound = vanishing(situation, ids)
    ops = op_counts(situation.evidence, "onnxruntime", ids) or counted(len(ids), "node")
    text = basis.format(ops=ops, time=format_ns(bound.median))
    return at_most(situation, "onnxruntime", bound, f"{text[0].upper()}{text[1:]}.", ids)
