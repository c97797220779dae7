"""The same work in two captures, whatever nodes it became."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from attrib.model.diff import WorkSide
from attrib.model.document import LedgerRow
from attrib.model.repeats import fold_repeats, pattern_of
from attrib.wording import counted_names


class SharedWork(msgspec.Struct):
    """Rows of both captures that are about the same work, as few as can be."""

    before: list[LedgerRow] = msgspec.field(default_factory=list)
    after: list[LedgerRow] = msgspec.field(default_factory=list)

    @property
    def rows(self) -> tuple[LedgerRow, ...]:
        """Those of both."""
        return (*self.before, *self.after)

    @property
    def module(self) -> str:
        """The module of the row that takes the most, its numbers as `*`."""
        return pattern_of(self.rows)

    @property
    def calls(self) -> tuple[str, ...]:
        """Ops of the calls, with a count where one occurs several times; those of the second capture where there are any."""
        return counted_names(
            op.removeprefix("aten::") for row in (self.after or self.before) for op in row.torch_ops
        )


def shared_work(before: Sequence[LedgerRow], after: Sequence[LedgerRow]) -> list[SharedWork]:
    """Put the rows of two captures together where they are about the same work.

    PyTorch's calls are what two captures of one model have in common, whoever exported it and whatever fused it: regions
    that hold a common call are about the same work, and so is what hangs together by them. What has no call, such as the
    time between operators, is the same where its region has the same name.

    Returns:
        Every row once, in the order of the first capture, then of the second.
    """
    parents: dict[str, str] = {}
    keys: list[dict[str, str]] = []
    for rows in (before, after):
        calls: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            calls[row.region] += row.torch_calls
        own = {}
        for region, its in calls.items():
            first, *others = [f"call {call}" for call in its] or [f"region {region}"]
            own[region] = first
            for other in others:
                parents[_root(parents, other)] = _root(parents, first)
        keys.append(own)
    found: dict[str, SharedWork] = {}
    for number, rows in enumerate((before, after)):
        for row in rows:
            work = found.setdefault(_root(parents, keys[number][row.region]), SharedWork())
            (work.after if number else work.before).append(row)
    return list(found.values())


def alike(work: Iterable[SharedWork]) -> list[list[SharedWork]]:
    """Put work together that differs in nothing but a number in its module's name."""
    return fold_repeats(work, lambda one: (one.before, one.after))


def side_of(work: Sequence[SharedWork], *, after: bool) -> WorkSide:
    """One capture's part: the nodes of the first of them, the times of all."""
    sides = [one.after if after else one.before for one in work]
    rows = [row for side in sides for row in side]
    return WorkSide(
        nodes=counted_names(op for row in sides[0] for op in row.onnx_ops),
        causes=tuple(sorted({row.cause for row in sides[0]})),
        rows=tuple(row.id for row in rows),
        torch_ns=sum(row.torch_ns for row in rows),
        onnxruntime_ns=sum(row.onnxruntime_ns for row in rows),
    )


def _root(parents: dict[str, str], key: str) -> str:
    """Where a key leads; the way there is shortened."""
    way = [key]
    while (above := parents.get(way[-1], way[-1])) != way[-1]:
        way.append(above)
    for passed in way[:-1]:
        parents[passed] = way[-1]
    return way[-1]
