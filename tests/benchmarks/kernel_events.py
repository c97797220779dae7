"""What Inductor's kernel events cost when nobody profiles: `python tests/benchmarks/kernel_events.py`.

One small C++ kernel is compiled with the events and without; both are called in turn, many times.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch._inductor import config
from torch._inductor.codecache import PyCodeCache
from torch._inductor.compile_fx import compile_fx

CALLS, ROUNDS = 20_000, 40


def kernel(*, events: bool) -> Callable[..., None]:
    """The generated kernel itself, without the wrapper that a model calls."""
    torch._dynamo.reset()

    def backend(module: Any, inputs: Any) -> Any:
        with config.patch({"cpp.enable_kernel_profile": events, "fx_graph_cache": False}):
            return compile_fx(module, inputs)

    with torch.inference_mode():
        torch.compile(lambda x: torch.tanh(x) * 2, backend=backend)(torch.randn(8, 8))
    module = PyCodeCache.modules[-1]
    if ("RecordFunction" in Path(module.__file__).read_text()) is not events:
        raise SystemExit("this torch has no such events, or has them always")
    return next(value for name, value in vars(module).items() if name.startswith("cpp_fused"))


def cost_ns(run: Callable[..., None], x: torch.Tensor, y: torch.Tensor) -> float:
    """Processor time of one call, nanoseconds."""
    begin = time.process_time_ns()
    for _ in range(CALLS):
        run(x, y)
    return (time.process_time_ns() - begin) / CALLS


def main() -> None:
    """Measure both in turn and print medians and minima."""
    torch.set_num_threads(1)
    kernels = {"without events": kernel(events=False), "with events": kernel(events=True)}
    x = torch.randn(8, 8)
    y = torch.empty_like(x)
    costs: dict[str, list[float]] = {name: [] for name in kernels}
    for _ in range(ROUNDS):
        for name, run in kernels.items():
            costs[name].append(cost_ns(run, x, y))
    for name, found in costs.items():
        sys.stdout.write(f"{name}: median {median(found):.0f} ns a call, least {min(found):.0f} ns\n")
    extra = median(costs["with events"]) - median(costs["without events"])
    sys.stdout.write(f"one event costs {extra:.0f} ns while nobody profiles\n")


if __name__ == "__main__":
    main()
