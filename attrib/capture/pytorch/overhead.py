"""What torch.profiler costs per event, measured on operators that do next to nothing."""

import statistics
import time
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from attrib.capture.pytorch.scopes import module_scopes
from attrib.model.manifest import Overhead

_EVENTS = 2000
_REPEATS = 5
_STEPS = 200
_RANGE = "calibration#"


def measure_overhead() -> Overhead:
    """Measure the cost of one profiled event: inside its own interval, and between events.

    `aten::resolve_conj` of a real tensor returns its argument, so what its event lasts is the profiler's own time.
    """
    tensor = torch.zeros(1)
    operator = torch.ops.aten.resolve_conj.default

    def work() -> None:
        for _ in range(_EVENTS):
            operator(tensor)

    work()
    # In turns, so that a disturbance of the machine cannot hit only the plain or only the profiled runs.
    turns = [(_time(work), *_time_profiled(work)) for _ in range(_REPEATS)]
    plain, profiled, durations = zip(*turns, strict=True)
    total = max(0.0, (min(profiled) - min(plain)) / _EVENTS)
    inside = min(total, statistics.median(durations))
    return Overhead(
        inside_ns=inside,
        outside_ns=total - inside,
        scope_ns=_scope_cost(tensor),
        step_ns=_step_cost(),
        samples=_EVENTS * _REPEATS,
    )


def _scope_cost(tensor: torch.Tensor) -> float:
    """What the hooks and the range around one module call cost under the profiler."""
    module = torch.nn.Identity()

    def work() -> None:
        for _ in range(_EVENTS):
            module(tensor)

    work()
    plain = min(_time(work) for _ in range(_REPEATS))
    with module_scopes(module):
        marked = min(_time_profiled(work)[0] for _ in range(_REPEATS))
    return max(0.0, (marked - plain) / _EVENTS)


def _step_cost() -> float:
    """How long a range lasts that holds nothing: what it adds to the step that it marks."""
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
        for number in range(_STEPS):
            with record_function(f"{_RANGE}{number}"):
                pass
    events = profiler.profiler.kineto_results.events()
    return float(statistics.median(int(e.duration_ns()) for e in events if e.name().startswith(_RANGE)))


def _time(work: Callable[[], None]) -> int:
    begin = time.perf_counter_ns()
    work()
    return time.perf_counter_ns() - begin


def _time_profiled(work: Callable[[], None]) -> tuple[int, float]:
    """Wall time of the work under the profiler, and the median duration of its events; nanoseconds."""
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
        wall = _time(work)
    events = profiler.profiler.kineto_results.events()
    durations = [int(event.duration_ns()) for event in events if event.name() == "aten::resolve_conj"]
    return wall, float(statistics.median(durations)) if durations else 0.0
