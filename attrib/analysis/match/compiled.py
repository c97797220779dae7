"""Which executed nodes are parts of the graph that a provider compiled into one.

ONNX Runtime names such a node after its provider and its op, and numbers those of a session from 0 in the order in which
it made them: `OpenVINOExecutionProvider_OpenVINO-EP-subgraph_2_1` (op `OpenVINO-EP-subgraph_2`),
`TensorrtExecutionProvider_TRTKernel_graph_main_graph_123_0_0`. No table of providers: a plugin's are named alike.
"""

import re
from collections.abc import Iterable, Sequence

from attrib.model.work import Work

_TURN = re.compile(r"#\d+$")
_NUMBER = re.compile(r"(?:_(\d{1,9}))?")


def is_compiled(node: Work) -> bool:
    """Whether an executed node is a part of the graph that its provider compiled."""
    return _end(node) is not None


def compiled_number(node: Work) -> int:
    """The number at the end of its name; -1 where there is none."""
    end = _end(node)
    return int(end[1]) if end is not None and end[1] else -1


def _end(node: Work) -> re.Match[str] | None:
    """What follows the provider and the op in the name."""
    start = f"{node.provider}_{node.op}"
    if not node.provider or not node.op or not node.id.startswith(start):
        return None
    return _NUMBER.fullmatch(_TURN.sub("", node.id[len(start) :]))


def compiled_in_order(nodes: Sequence[Work]) -> list[int]:
    """Positions of the compiled nodes, in the order in which ONNX Runtime made them."""
    found = [i for i, node in enumerate(nodes) if is_compiled(node)]
    return sorted(found, key=lambda i: (compiled_number(nodes[i]), i))


def covered_modules(scopes: Iterable[str], most: int = 6) -> str:
    """Modules in one phrase, layer by layer.

    For example `embeddings, encoder.layer.0 to 3 (attention, output), encoder.layer.4 (attention)`.
    """
    inside: dict[str, dict[str, None]] = {}
    for scope in scopes:
        # The numbered module and the one inside it (`encoder.layer.0`, `attention`), else the outermost module.
        names = scope.split(".")
        end = next((i for i, name in enumerate(names, 1) if name.isdigit()), None)
        layer, part = ".".join(names[: end or 1]), next(iter(names[end:]), "") if end else ""
        inside.setdefault(layer, {}).update({part: None} if part else {})
    layers = [(layer, ", ".join(sorted(parts))) for layer, parts in inside.items() if layer]
    found = _runs(layers or [("the root module", "")])
    shown = ", ".join(found[:most])
    return f"{shown} and {len(found) - most} more" if len(found) > most else shown


def _runs(layers: list[tuple[str, str]]) -> list[str]:
    """Neighboring layers that hold the same, as one."""
    runs: list[list[tuple[str, str]]] = []
    for layer in layers:
        (stem, _, number), before = layer[0].rpartition("."), runs[-1][-1] if runs else ("", "")
        other, _, last = before[0].rpartition(".")
        alike = bool(runs) and (stem, layer[1]) == (other, before[1])
        if alike and number.isdigit() and last.isdigit() and int(number) == int(last) + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return [
        run[0][0]
        + (f" to {run[-1][0].rpartition('.')[2]}" if run[1:] else "")
        + (f" ({run[0][1]})" if run[0][1] else "")
        for run in runs
    ]
