"""Steps of a Kineto trace without step annotations (the recorder did not call `profiler.step()`).

The first of these that the trace has; each must hold operators:

1. The user's own ranges (`record_function`): the most frequent name among the outermost ones.
2. Calls of the outermost module (`with_stack=True`).
3. The shortest sequence of operators of which the busiest thread ran nothing but repetitions.
4. The whole trace, as one step of that thread.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from attrib.analysis.attribution.host.intervals import Int64s, parents
from attrib.analysis.attribution.host.steps import StepWindow
from attrib.traces.recording.recording import Recording, Rows

# Module scopes of a trace that attrib did not record: from the Python events of `with_stack=True`.
#
# torch.profiler then writes one event a module call, `nn.Module: BertLayer_3`: the class, and which of its instances, in the
# order of their first call. The qualified name (`encoder.layer.3`) is not in the trace, so a scope is the path of nested
# modules, without the outermost: `BertEncoder_0.BertLayer_3.BertOutput_3.Linear_23`. It groups calls just as well, but names
# no module of an ONNX file.


PYTHON_MODULE = "nn.Module: "


def python_scopes(names: Sequence[str], starts: Int64s, ends: Int64s) -> tuple[str, ...]:
    """The scope of each module event.

    Args:
        names: Names of the events, with their prefix.
        starts: When they start, in nesting order: a parent before what it contains.
        ends: When they end.
    """
    scopes: list[str] = []
    roots = np.flatnonzero((above := parents(starts, ends)) < 0)
    shared = len({names[i] for i in roots.tolist()}) == 1
    for name, parent in zip(names, above.tolist(), strict=True):
        own = name.removeprefix(PYTHON_MODULE).replace(".", "_")
        if parent < 0:
            scopes.append("" if shared else own)
        else:
            scopes.append(f"{scopes[parent]}.{own}" if scopes[parent] else own)
    return tuple(scopes)


def foreign_steps(recording: Recording) -> Rows:
    """Rows of the events that stand for a step (cases 1 and 2), in order of time; empty where there are none."""
    python = recording.python_calls()
    modules = python[recording.has_name(python, lambda name: name.startswith(PYTHON_MODULE))]
    for candidates in (recording.annotations(), modules):
        rows = recording.outermost(candidates)
        for name, _ in Counter(recording.name[rows].tolist()).most_common():
            chosen = recording.by_start(rows[recording.name[rows] == name])
            if _holds_a_call(recording, int(chosen[0])):
                return chosen
    return np.zeros(0, dtype=np.intp)


def unmarked_steps(recording: Recording) -> list[StepWindow]:
    """Steps on the thread that ran most operators (cases 3 and 4); empty without operators."""
    calls = recording.calls()
    if not calls.size:
        return []
    tracks, counts = np.unique(recording.track[calls], return_counts=True)
    track = int(tracks[np.argmax(counts)])
    own = recording.by_start(recording.outermost(calls[recording.track[calls] == track]))
    end = int(recording.ends(own).max())
    length = period(recording.name[own].tolist())
    starts = [*recording.start_ns[own[::length]].tolist(), end]
    windows = [
        StepWindow(-1, start, stop, track, block) for block, (start, stop) in enumerate(pairwise(starts))
    ]
    return windows[1:] or windows


def period(sequence: Sequence[int]) -> int:
    """Length of the shortest sequence of which another one consists; its own where it repeats nothing.

    By the failure function of Knuth, Morris and Pratt (1977), in linear time.
    """
    border = [0] * len(sequence)
    for i in range(1, len(sequence)):
        k = border[i - 1]
        while k and sequence[i] != sequence[k]:
            k = border[k - 1]
        border[i] = k + (sequence[i] == sequence[k])
    shortest = len(sequence) - border[-1]
    return shortest if len(sequence) % shortest == 0 else len(sequence)


def _holds_a_call(recording: Recording, row: int) -> bool:
    """Whether a range holds the start of an operator of its own thread."""
    calls = recording.calls()
    start, end = recording.start_ns[row], recording.start_ns[row] + recording.duration_ns[row]
    inside = (recording.start_ns[calls] >= start) & (recording.start_ns[calls] < end)
    return bool((inside & (recording.track[calls] == recording.track[row])).any())
