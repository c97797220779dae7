"""Ledger rows rolled up along the module tree, with repeated layers that do alike folded into one."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from attrib.model.document import CAUSES, Cause, LedgerRow
from attrib.wording import counted, fold_numbers, is_number, path_parts

NODE_LIMIT = 200

NodeKind = Literal["module", "group", "cause"]

_FOLD_FROM = 2
_NAMED_GAPS = 4


class ModuleNode(msgspec.Struct, frozen=True, kw_only=True):
    """A module with everything inside it, or several that differ only by a number in their path, in one.

    Attributes:
        label: What is added to the parent's path, e.g. `attention.self` or `layer.*`.
        path: Full path; empty for the root.
        kind: `module`, `group` (repeated layers) or `cause` (work directly here, of one cause).
        members: How many modules a group folds.
        least_ns: The smallest delta of a member of a group.
        most_ns: The largest.
        rows: Ledger rows inside.
        torch_ns: Sum over these rows.
        onnxruntime_ns: Sum over these rows.
        delta_ns: Sum over these rows.
        own: Ids of the ledger rows that a node without children shows.
        children: Largest delta first.
    """

    label: str
    path: str
    kind: NodeKind
    members: int = 0
    least_ns: int = 0
    most_ns: int = 0
    rows: int
    torch_ns: int
    onnxruntime_ns: int
    delta_ns: int
    own: tuple[str, ...] = ()
    children: tuple["ModuleNode", ...] = ()

    @property
    def mean_ns(self) -> int:
        """The mean delta of the members of a group."""
        return round(self.delta_ns / max(self.members, 1))


class _Branch(msgspec.Struct):
    rows: list[LedgerRow] = msgspec.field(default_factory=list)
    children: dict[str, "_Branch"] = msgspec.field(default_factory=dict)

    def everything(self, below: str = "") -> Iterator[tuple[str, LedgerRow]]:
        """The rows of the whole subtree, each with its module's path from here, numbers as `*`."""
        for row in self.rows:
            yield below, row
        for name, child in self.children.items():
            yield from child.everything(f"{below}.{fold_numbers(name)}")

    def add(self, other: "_Branch") -> None:
        """Take in what another branch holds, module by module."""
        self.rows += other.rows
        for name, child in other.children.items():
            self.children.setdefault(name, _Branch()).add(child)


def module_tree(rows: Iterable[LedgerRow], root_label: str) -> ModuleNode:
    """The tree of modules; every node's sums hold the rows of the whole subtree."""
    root = _Branch()
    for row in rows:
        branch = root
        for part in path_parts(row.module):
            branch = branch.children.setdefault(part, _Branch())
        branch.rows.append(row)
    return _node(root, root_label, "", fold_chain=False)


def _node(branch: _Branch, label: str, path: str, *, fold_chain: bool = True) -> ModuleNode:
    """Turn a branch into a node; a chain of modules that hold nothing but the next one becomes one node."""
    while fold_chain and not branch.rows and len(branch.children) == 1:
        name, branch = next(iter(branch.children.items()))
        label, path = f"{label}.{name}", _below(path, name)
    numbered = sorted(filter(is_number, branch.children), key=int)
    nodes = [
        _node(branch.children[name], name, _below(path, name))
        for name in sorted(branch.children.keys() - set(numbered))
    ]
    groups: dict[Hashable, list[str]] = {}
    for name in numbered:
        groups.setdefault(_does(branch.children[name]), []).append(name)
    for names in groups.values():
        gapless = int(numbered[-1]) - int(numbered[0]) == len(numbered) - 1
        span = "*" if gapless and len(names) == len(numbered) else format_range(names)
        nodes.append(_group([branch.children[name] for name in names], names, span, path))
    if nodes:
        # What the module does itself, by cause, so that the children always sum to their parent.
        by_cause: dict[Cause, list[LedgerRow]] = {}
        for row in branch.rows:
            by_cause.setdefault(row.cause, []).append(row)
        nodes += [_sum_up(CAUSES[cause].title, path, "cause", own, ()) for cause, own in by_cause.items()]
    if fold_chain and len(nodes) == 1 and nodes[0].kind == "group":
        return replace(nodes[0], label=f"{label}.{nodes[0].label}")
    nodes.sort(key=lambda n: (n.kind == "cause", -abs(n.delta_ns), n.label))
    return _sum_up(label, path, "module", branch.rows if not nodes else (), tuple(nodes))


def _does(branch: _Branch) -> Hashable:
    """What layers have in common that do alike: their modules with the ops of their calls, or else of their nodes.

    A node that only one layer runs, such as a mask that the first one makes, does not tell them apart.
    """
    rows = list(branch.everything())
    calls = [(below, row.torch_ops) for below, row in rows if row.torch_ops]
    return frozenset(calls or [(below, row.onnx_ops) for below, row in rows])


def _group(branches: Sequence[_Branch], names: list[str], span: str, path: str) -> ModuleNode:
    """One node for layers that do alike, as if they were one layer; one alone keeps its number."""
    if len(names) < _FOLD_FROM:
        return _node(branches[0], names[0], _below(path, names[0]))
    deltas = [sum(row.delta_ns for _, row in branch.everything()) for branch in branches]
    whole = _Branch()
    for branch in branches:
        whole.add(branch)
    made = _node(whole, span, _below(path, span), fold_chain=False)
    return replace(made, kind="group", members=len(names), least_ns=min(deltas), most_ns=max(deltas))


def _sum_up(
    label: str,
    path: str,
    kind: NodeKind,
    own: Sequence[LedgerRow | ModuleNode],
    children: tuple[ModuleNode, ...],
) -> ModuleNode:
    """A node whose figures are the sums of its own rows and of its children."""
    parts = [*own, *children]
    return ModuleNode(
        label=label,
        path=path,
        kind=kind,
        rows=len(own) + sum(child.rows for child in children),
        torch_ns=sum(part.torch_ns for part in parts),
        onnxruntime_ns=sum(part.onnxruntime_ns for part in parts),
        delta_ns=sum(part.delta_ns for part in parts),
        own=tuple(part.id for part in own if isinstance(part, LedgerRow)),
        children=children,
    )


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def format_range(numbered: list[str]) -> str:
    """`{0..11}`, or the numbers themselves where some are missing."""
    first, last = int(numbered[0]), int(numbered[-1])
    if last - first == len(numbered) - 1:
        return f"{{{first}..{last}}}"
    if len(numbered) <= _NAMED_GAPS:
        return f"{{{','.join(numbered)}}}"
    return f"{{{first}..{last}, {counted(len(numbered), 'module')}}}"


def prune_tree(root: ModuleNode, limit: int) -> ModuleNode:
    """The tree with at most about `limit` nodes: upper levels first, the rest of a level summed in one node."""
    level, kept, left = [root], {id(root): root.children}, limit
    while level:
        following: list[ModuleNode] = []
        share = max(left // len(level), 1)
        for node in level:
            kept[id(node)] = first_children(node, share if left > 0 else 0)
            left -= len(kept[id(node)])
            following += kept[id(node)]
        level = following
    return _rebuild(root, kept)


def first_children(node: ModuleNode, count: int) -> tuple[ModuleNode, ...]:
    """The first children and, where there are more, one node that sums the others."""
    if len(node.children) <= count:
        return node.children
    if not count:
        return ()
    keep = max(count - 1, 1)
    hidden = node.children[keep:]
    label = f"other ({counted(len(hidden), 'module')})"
    other = _sum_up(label, node.path, "cause", hidden, ())
    return (*node.children[:keep], replace(other, rows=sum(child.rows for child in hidden)))


def _rebuild(node: ModuleNode, kept: dict[int, tuple[ModuleNode, ...]]) -> ModuleNode:
    return replace(node, children=tuple(_rebuild(child, kept) for child in kept.get(id(node), ())))


def place_key(module: str) -> str:
    """A key that is the same for modules that differ only by the number of their layer."""
    return fold_numbers(module, "\0")


def folded_path(paths: Iterable[str]) -> str:
    """One path for modules of one `place_key`, e.g. `encoder.layer.{0..11}.output`."""
    columns = zip(*(path_parts(path) for path in sorted(set(paths))), strict=True)
    return ".".join(
        column[0] if len(set(column)) == 1 else format_range(sorted(set(column), key=int))
        for column in columns
    )
