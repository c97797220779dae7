"""What a device did, found without attrib: sums over a trace's JSON, and CUDA events around a session."""

import gzip
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

DEVICE_WORK = ("kernel", "gpu_memcpy", "gpu_memset")
RUNTIME = ("cuda_runtime", "cuda_driver")


@dataclass
class PlainStep:
    """One recorded range and the work whose launching call began in it; nanoseconds."""

    name: str
    wall_ns: int
    kernels: int = 0
    kernels_ns: int = 0
    copies_ns: int = 0
    streams: set = field(default_factory=set)
    copied: Counter = field(default_factory=Counter)
    intervals: list = field(default_factory=list)

    @property
    def sum_ns(self) -> int:
        return self.kernels_ns + self.copies_ns

    @property
    def busy_ns(self) -> int:
        total, reached = 0, None
        for begin, end in sorted(self.intervals):
            total += max(0, end - (begin if reached is None else max(begin, reached)))
            reached = end if reached is None else max(end, reached)
        return total

    def key(self) -> tuple[int, int, int, int]:
        return self.kernels, self.kernels_ns, self.copies_ns, self.busy_ns


def plain_steps(file: Path, prefix: str) -> list[PlainStep]:
    """The ranges of a Kineto trace in order of time, with json and sums alone; decimal times, so that none is rounded."""
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt") as stream:
        events = json.load(stream, parse_float=Decimal)["traceEvents"]
    events = [event for event in events if event.get("ph") == "X"]
    named = re.compile(re.escape(prefix) + r"\d+")
    ranges = [e for e in events if e.get("cat") == "user_annotation" and named.fullmatch(e["name"])]
    ranges.sort(key=lambda event: event["ts"])
    steps = [PlainStep(e["name"], ns(e["dur"])) for e in ranges]
    launched: dict[int, Decimal] = {}
    for event in events:
        if event.get("cat") in RUNTIME and (number := event["args"].get("correlation", 0)) > 0:
            launched[number] = min(event["ts"], launched.get(number, event["ts"]))
    for event in events:
        if event.get("cat") in DEVICE_WORK:
            begun = launched.get(event["args"].get("correlation", 0))
            for step, e in zip(steps, ranges, strict=True):
                if begun is not None and e["ts"] <= begun <= e["ts"] + e["dur"]:
                    _add(step, event)
    return steps


def _add(step: PlainStep, event: dict) -> None:
    begin, lasted = ns(event["ts"]), ns(event["dur"])
    step.intervals.append((begin, begin + lasted))
    step.streams.add(event["args"].get("stream", event["tid"]))
    if event["cat"] == "kernel":
        step.kernels += 1
        step.kernels_ns += lasted
    else:
        step.copies_ns += lasted
        step.copied[event["name"].split("(")[0].strip()] += int(event["args"].get("bytes", 0))


def ns(microseconds: Decimal | int) -> int:
    return round(Decimal(microseconds) * 1000)


def session_ns_by_events(model: Path, inputs: dict, runs: int = 100) -> float:
    """Time of one run on the device, by CUDA events on the stream that the session computes on, many runs in a row.

    No run is waited for, so that the device never is: what the events hold is kernels alone, where they are long.
    """
    import onnxruntime as ort
    import torch

    from attrib.capture.ort.feeds import feeds_of

    stream = torch.cuda.Stream()
    options = {"user_compute_stream": str(stream.cuda_stream)}
    session = ort.InferenceSession(str(model), providers=[("CUDAExecutionProvider", options)])
    binding = session.io_binding()
    for name, value in inputs.items():
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(value, "cuda", 0))
    for output in session.get_outputs():
        binding.bind_output(output.name, "cuda", 0)
    first, _ = feeds_of(session, inputs, io_binding=True)
    first.step()
    unwaited = ort.RunOptions()
    unwaited.add_run_config_entry("disable_synchronize_execution_providers", "1")
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    for _ in range(10):
        session.run_with_iobinding(binding, unwaited)
    begin.record(stream)
    for _ in range(runs):
        session.run_with_iobinding(binding, unwaited)
    end.record(stream)
    torch.cuda.synchronize()
    return float(begin.elapsed_time(end)) * 1e6 / runs


def walls_by_events(step, stream, count: int) -> tuple[list[int], list[float]]:
    """Each step's wall by attrib's own loop, and by CUDA events recorded around it on the stream that it computes on."""
    import torch

    from attrib.capture.workers.steps import time_steps

    events = [tuple(torch.cuda.Event(enable_timing=True) for _ in range(2)) for _ in range(count)]
    pairs = iter(events)

    def marked() -> None:
        begin, end = next(pairs)
        begin.record(stream)
        step()
        end.record(stream)

    walls = time_steps(marked, count).walls
    torch.cuda.synchronize()
    return walls, [begin.elapsed_time(end) * 1e6 for begin, end in events]
