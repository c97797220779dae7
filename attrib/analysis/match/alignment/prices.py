"""What it costs to give a node to a call: by their ops, and by the sizes of their tensors."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from attrib.analysis.match.alignment.cheapest_path import FAR, Costs
from attrib.analysis.match.candidates import MatchState
from attrib.analysis.match.ops import (
    FUSES,
    READS_BIAS,
    SPELLED,
    Fused,
    base_op,
    emits,
    is_whole,
    reads_all,
    writes_one,
)
from attrib.analysis.match.scoring import disagreement, shares_vector
from attrib.model.tensor import Tensor

UNLIKELY = 300
"""Cost of leaving a node open, because exporters write it for none of the calls, or for none that is near."""
PIECE = 15
"""Cost of a node that is only a piece of what the call does: it may belong to a neighbor that it stands for as a whole."""
LEFT_OUT = 30
"""Cost of an op that a fused op can have taken in, but did not."""
SKIP_COMPUTE, SKIP_LAYOUT = 50, 10
"""Cost of a call without nodes: views often vanish, computation rarely does."""
REPEATED = 20
"""Cost of a second node for a call that exporters write as one node."""
TAKEN = 50
"""Cost of a call that a surer matcher has given its nodes already."""
MAX_PRICED = 1_000_000
"""With more pairs of distinct nodes and calls than this, sizes are left out of the costs."""


FORMS_KEPT = 512
"""Forms whose costs for a window's calls are kept."""


class CallKind(NamedTuple):
    """What calls have in common that cost the same."""

    op: str
    inputs: tuple[Tensor, ...]


class NodeForm(NamedTuple):
    """What rows have in common that cost the same: a node, or an op that a fused node may have taken in."""

    op: str
    reads: tuple[Tensor, ...]
    makes: tuple[Tensor, ...]
    taken_in: frozenset[str] = frozenset()
    target: str = ""


class AlignedRow(NamedTuple):
    """One row of an alignment: a node, or one of the ops that it stands for."""

    node: int
    form: NodeForm


def rows_of(state: MatchState, position: int, *, whole: bool) -> list[AlignedRow]:
    """The rows of a node: itself, and what a fused op may have taken in before and after."""
    node, values = state.graph.nodes[position], state.graph.values
    reads, makes = (tuple(values[n] for n in names if n in values) for names in (node.inputs, node.outputs))
    fused = Fused() if whole else FUSES.get(node.op, Fused())
    target = base_op(node.fx_target) if node.fx_target else ""
    rows = (*fused.before, frozenset[str](), *fused.after)
    return [AlignedRow(position, NodeForm(node.op, reads, makes, ops, target)) for ops in rows]


class Prices:
    """What each call costs for the n-th row; equal rows and equal calls are priced once."""

    def __init__(
        self,
        state: MatchState,
        calls: Sequence[int],
        rows: Sequence[AlignedRow],
        pins: Mapping[int, frozenset[int]],
    ) -> None:
        kinds: dict[CallKind, int] = {}
        kind_of = [
            kinds.setdefault(CallKind(state.calls[i].op, state.calls[i].inputs), len(kinds)) for i in calls
        ]
        forms: dict[NodeForm, int] = {}
        self._form_of = [forms.setdefault(row.form, len(forms)) for row in rows]
        self._kind_of = np.array(kind_of)
        sized = len(kinds) * len(forms) <= MAX_PRICED
        self._price = np.array(
            [[price(kind, form, sized=sized) for kind in kinds] for form in forms], dtype=np.int32
        )
        self._again = np.array([[_again(kind, form) for kind in kinds] for form in forms], dtype=np.int32)
        # Only executed nodes are aligned with calls that have nodes already.
        taken = {link.call for link in state.links} if state.executed else frozenset[int]()
        self._extra = np.array([TAKEN * (i in taken) for i in calls], dtype=np.int32)

        # Rows of one form cost the same: a window asks for each of them twice.
        def price_calls(form: int, start: int, stop: int) -> Costs:
            costs = self._price[form][self._kind_of[start:stop]]
            return np.asarray(costs + self._extra[start:stop], dtype=np.int32)

        def price_again(form: int, start: int, stop: int) -> Costs:
            return np.asarray(self._again[form][self._kind_of[start:stop]], dtype=np.int32)

        self._by_form = lru_cache(FORMS_KEPT)(price_calls)
        self._again_by_form = lru_cache(FORMS_KEPT)(price_again)
        columns = {call: column for column, call in enumerate(calls)}
        self._pinned = [
            [columns[i] for i in pins[row.node] if i in columns] if row.node in pins else None for row in rows
        ]

    def costs(self, r: int, inside: slice) -> Costs:
        """Cost of each call of a slice."""
        pinned = self._pinned[r]
        if pinned is None:
            return self._by_form(self._form_of[r], inside.start, inside.stop)
        costs = np.full(inside.stop - inside.start, FAR, dtype=np.int32)
        costs[[column - inside.start for column in pinned if inside.start <= column < inside.stop]] = 0
        return costs

    def stays(self, r: int, inside: slice) -> Costs:
        """Cost of each call of a slice if the row before went there too."""
        if self._pinned[r] is not None:
            return np.zeros(inside.stop - inside.start, dtype=np.int32)
        return self._again_by_form(self._form_of[r], inside.start, inside.stop)


def _again(kind: CallKind, form: NodeForm) -> int:
    """Cost of one more node: for what is written as one, and for a node that begins the call anew."""
    anew = not form.taken_in and not form.target and reads_all(kind.op) and op_price(kind.op, form.op) == 0
    return REPEATED * (anew or writes_one(kind.op))


def price(kind: CallKind, form: NodeForm, *, sized: bool) -> int:
    """Cost of a row for a call, by their ops and, where `sized`, by the sizes of their tensors."""
    if form.taken_in or form.target:
        by_op = named_price(kind.op, form.taken_in or frozenset({form.target}))
    else:
        by_op = op_price(kind.op, form.op)
    if by_op >= UNLIKELY:
        return FAR
    if not sized:
        return by_op
    if form.target or form.taken_in:
        return by_op + disagreement(kind.inputs, form.reads, form.makes, whole=False)
    if (base_op(kind.op), form.op) in READS_BIAS and not shares_vector(kind.inputs, form.reads):
        return FAR
    return by_op + disagreement(kind.inputs, form.reads, form.makes, whole=by_op == 0 and reads_all(kind.op))


def op_price(call_op: str, node_op: str) -> int:
    """Cost of a node for a call, by their ops alone."""
    plain = SPELLED.get(node_op, node_op)
    if is_whole(call_op, plain):
        return 0
    return PIECE if emits(call_op, plain) else UNLIKELY


def named_price(call_op: str, ops: frozenset[str]) -> int:
    """Cost of a call where the aten op is known: from an exporter, or as one that a fused node takes in."""
    return 0 if base_op(call_op) in ops else UNLIKELY
