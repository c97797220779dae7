"""Upper bounds: the time of all nodes that a change of some kind can remove, because it can remove nothing else."""

from collections.abc import Callable, Iterable

from attrib.analysis.match.ops import base_op
from attrib.findings.evidence.attention import attention_regions, is_whole
from attrib.findings.evidence.ledger_queries import nodes_of, op_counts
from attrib.model.experiment import Prediction
from attrib.model.work import Work
from attrib.units import format_ns
from attrib.verify.predict.nodes import is_glue, is_moving, nodes, time_of_removal
from attrib.verify.predict.prediction import at_most
from attrib.verify.protocol import ExperimentContext
from attrib.wording import counted

_OF_LINEAR = frozenset({"linear", "addmm"})


def moving_nodes(context: ExperimentContext) -> Prediction | None:
    """Bound by the nodes that only move, convert or measure data; None where there is none."""
    return _bound_by(
        context,
        [node for node in nodes(context) if is_moving(node)],
        "the nodes that only move, convert or measure data ({ops}) take {time}; another way to write the same"
        " model can save no more",
    )


def glue_nodes(context: ExperimentContext) -> Prediction | None:
    """Bound by the nodes that a fusion can take in; None where there is none."""
    return _bound_by(
        context,
        [node for node in nodes(context) if is_glue(node)],
        "the nodes that fusions can take in ({ops}) take {time}; products and kernels that are fused already stay",
    )


def attention_glue(context: ExperimentContext) -> Prediction | None:
    """Bound by what lies between the products of attention; None where every attention is one node."""
    found = attention_regions(context.evidence.ledger.rows)
    apart = [row for rows in found.values() if not is_whole(rows) for row in rows]
    inner = set(nodes_of(apart))
    return _bound_by(
        context,
        [node for node in nodes(context) if node.id in inner and is_glue(node)],
        "between the products and Softmax of the attention blocks lie {ops}, which take {time}; one node for a"
        " whole block must still compute the rest",
    )


def products_of_weights(context: ExperimentContext, chosen: Callable[[Work], bool]) -> Prediction | None:
    """Bound by the chosen products, e.g. those that read weights; None where there is none."""
    return _bound_by(
        context,
        [node for node in nodes(context) if chosen(node)],
        "the products of activations and weights ({ops}) take {time}; nothing else is computed in integers",
    )


def linear_calls(context: ExperimentContext) -> Prediction | None:
    """Bound by PyTorch's products of Linear layers; None where there is none."""
    found = context.evidence.work.get("torch", {}).values()
    calls = [call.id for call in found if base_op(call.op) in _OF_LINEAR]
    if not calls:
        return None
    bound, ops = context.evidence.ledger.work("torch", calls), op_counts(context.evidence, "torch", calls)
    basis = f"The products of Linear layers ({ops}) take {format_ns(bound.median)}; nothing else gets int8 weights."
    return at_most(context, "torch", bound, basis, calls)


def _bound_by(context: ExperimentContext, chosen: Iterable[Work], basis: str) -> Prediction | None:
    """Predict at most the time of the nodes; `basis` is a sentence with `{ops}` and `{time}`."""
    ids = [node.id for node in chosen]
    if not ids:
        return None
    bound = time_of_removal(context, ids)
    ops = op_counts(context.evidence, "onnxruntime", ids) or counted(len(ids), "node")
    text = basis.format(ops=ops, time=format_ns(bound.median))
    return at_most(context, "onnxruntime", bound, f"{text[0].upper()}{text[1:]}.", ids)
