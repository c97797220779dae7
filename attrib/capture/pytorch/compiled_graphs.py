"""The program that Dynamo traced: module and aten op of each of its nodes, as eager's profile would show them.

The op is not looked up in a table: each node is run once on tensors without data under the profiler, and the outermost
operators that it calls are its ops. That is how eager's calls are defined, too.
"""

from typing import Any, NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

from attrib.capture.pytorch.scopes import ModuleNames, range_type


class LoweredNode(NamedTuple):
    """One op of the lowered graph.

    `op` is its overload packet, e.g. `aten::addmm`; `view`: it only renames or re-reads what another op computed.
    """

    name: str
    op: str
    view: bool
    inputs: tuple[str, ...]


def lowered_nodes(graph: Any) -> tuple[LoweredNode, ...]:
    """Every call of a lowered fx graph, in its order."""
    calls = [node for node in graph.nodes if node.op == "call_function"]
    return tuple(
        LoweredNode(
            name=node.name,
            op=overload_name(node.target),
            # `getitem` on a lowered graph takes one result out of several.
            view=bool(getattr(node.target, "is_view", False))
            or getattr(node.target, "__name__", "") == "getitem",
            inputs=tuple(source.name for source in node.all_input_nodes),
        )
        for node in calls
    )


def overload_name(target: Any) -> str:
    """`aten::addmm` for any overload of it; empty for what is no operator of the dispatcher."""
    schema = getattr(target, "_schema", None)
    return str(schema.name) if schema is not None else ""


_MARK = "attrib.node#"
_NOT_FOR_REPLAY = ("torch.amp", "torch._C._functorch", "torch.autograd")
"""Where functions live that change the state of the process instead of computing something."""


class TracedNode(NamedTuple):
    """One node of the traced program: its fx name, its module's qualified name, and the aten ops that it calls."""

    name: str
    scope: str
    ops: tuple[str, ...]


def traced_ops(graph: Any, names: ModuleNames) -> tuple[TracedNode, ...]:
    """The calls of a graph that Dynamo traced, in program order."""
    calls = [node for node in graph.nodes if node.op in ("call_function", "call_method")]
    seen = _replay_calls(calls)
    found = []
    for i, node in enumerate(calls):
        ops = seen.get(i)
        if ops is None:  # it cannot be run on its own: the name that it has itself stands for its op
            target = node.target
            name = target if isinstance(target, str) else getattr(target, "__name__", "")
            name = overload_name(target) or name
            ops = (name if "::" in name else f"aten::{name}",)
        # A node without an op (one result out of several) is no part of the program as eager shows it.
        if ops:
            found.append(TracedNode(node.name, scope_of(node, names), ops))
    return tuple(found)


def scope_of(node: Any, names: ModuleNames) -> str:
    """The module that was being called; empty for code outside every module call that Dynamo inlined."""
    for key, (path, *_) in reversed((node.meta.get("nn_module_stack") or {}).items()):
        identity = str(key).partition("@")[0]
        name = names.of(int(identity) if identity.isdigit() else 0, str(path))
        if name is not None:
            return name
    return ""


def _replay_calls(calls: list[Any]) -> dict[int, tuple[str, ...]]:
    """Run each call without data: its position -> its outermost ops; calls that cannot be run so are left out."""
    if torch.autograd._profiler_enabled():  # noqa: SLF001  (a graph is compiled inside a profiled block)
        return {}
    mode, ran = torch._subclasses.FakeTensorMode(), set[int]()  # noqa: SLF001
    with profile(activities=[ProfilerActivity.CPU]) as profiler, mode:
        for i, node in enumerate(calls):
            if str(getattr(node.target, "__module__", "") or "").startswith(_NOT_FOR_REPLAY):
                continue
            try:
                arguments = torch.fx.map_arg(node.args, _stand_in_of)
                keywords = torch.fx.map_arg(node.kwargs, _stand_in_of)
                with range_type()(f"{_MARK}{i}"):
                    if node.op == "call_method":
                        getattr(arguments[0], node.target)(*arguments[1:], **keywords)
                    else:
                        node.target(*arguments, **keywords)
            except Exception:  # noqa: BLE001, S112  (an operator that needs data; its name is used instead)
                continue
            ran.add(i)
    return {i: ops for i, ops in _outermost(profiler.profiler.kineto_results.events()).items() if i in ran}


def _stand_in_of(node: Any) -> Any:
    value = node.meta["example_value"]
    return torch.utils._pytree.tree_map(_stand_in, value)  # noqa: SLF001


def _stand_in(value: Any) -> Any:
    """A tensor of the same type and layout in the current mode, a number for a symbolic one."""
    if isinstance(value, torch.SymInt | torch.SymFloat):
        return value.node.hint
    if not isinstance(value, torch.Tensor):
        return value
    size, stride = (tuple(map(_stand_in, part)) for part in (value.size(), value.stride()))
    return torch.empty_strided(size, stride, dtype=value.dtype, device=value.device)


def _outermost(events: Any) -> dict[int, tuple[str, ...]]:
    """For each mark, the operators directly inside it."""
    rows = sorted((e.start_ns(), -e.duration_ns(), e.name()) for e in events)
    found: dict[int, list[str]] = {}
    inside: list[str] = []
    mark_end = last_end = 0
    for start, length, name in rows:
        if name.startswith(_MARK):
            inside = found[int(name.removeprefix(_MARK))] = []
            mark_end, last_end = start - length, start
        elif last_end <= start < mark_end:
            inside.append(name)
            last_end = start - length
    return {mark: tuple(names) for mark, names in found.items()}
