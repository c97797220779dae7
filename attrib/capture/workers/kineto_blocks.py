"""Profiled blocks of steps under torch.profiler: a file for each block, a numbered range around each step.

Only workers import this: it imports torch.
"""

import mmap
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from attrib.capture.system.heap import spare_memory
from attrib.capture.workers.steps import TimedSteps, time_steps
from attrib.model.capture_options import Device


class KinetoBlocks:
    """Records blocks of steps, one after another, each with a profile of its own."""

    def __init__(
        self, folder: Path, name: str, device: Device, *, record_shapes: bool, first_step: int = 0
    ) -> None:
        """`folder` takes the files; a range is called `name` and the number of its step, from `first_step` on."""
        self._folder = folder
        self._name = name
        self._device = device
        self._record_shapes = record_shapes
        self._steps = first_step
        self._blocks = 0
        self._missed_bytes = 0

    def warm(self) -> None:
        """Record a profile and drop it: the first one of a process also pays for setting Kineto up."""
        with self._profile():
            torch.zeros(1, device=self._device)
            synchronize(self._device)

    def record(
        self,
        step: Callable[[], object],
        iterations: int,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
        fresh_bytes: int = 0,
    ) -> tuple[TimedSteps, str]:
        """Run one block; its steps, and the file of its profile.

        Args:
            step: One step. It returns when the device has done the work.
            iterations: How many.
            around: Lasts as long as the block.
            fresh_bytes: Memory that a step gets from the system, beyond what the heap has.
        """
        numbers = iter(range(self._steps, self._steps + iterations))

        def run_numbered() -> object:
            with record_function(f"{self._name}{next(numbers)}"):
                return step()

        file = self._folder / f"block-{self._blocks}.json"
        with spare_memory(iterations, fresh_bytes + self._missed_bytes):
            with around(), self._profile() as profiler:
                timed = time_steps(run_numbered, iterations)
            profiler.export_chrome_trace(str(file))
            del profiler  # its records are freed while there is still spare memory
        # What a step had to get from the system all the same, the next block has.
        self._missed_bytes += max((0, *timed.faults)) * mmap.PAGESIZE
        self._steps += iterations
        self._blocks += 1
        return timed, str(file)

    def _profile(self) -> profile:
        return profile(activities=activities(self._device), record_shapes=self._record_shapes)


def activities(device: Device) -> list[ProfilerActivity]:
    """What Kineto is to record of a step on a device."""
    return [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]


def synchronize(device: Device) -> None:
    """Wait for the device; nothing on the CPU."""
    if device == "cuda":
        torch.cuda.synchronize()
