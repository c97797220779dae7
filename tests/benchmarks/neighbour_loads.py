"""Neighbours to plant beside a capture: programs that use the machine as other programs do, at normal priority.

    python tests/benchmarks/neighbour_loads.py bursts [--seed 0]     # runs until its standard input is closed

A load runs in a process group of its own, which ends with `planted`'s block whatever happens in it, and also when the
process that planted it dies: its standard input is then closed.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

BURST_S, SHARE = (1.0, 3.0), 0.3
"""Length of a burst in seconds, and the share of the time that bursts take."""

SLICE_S = 0.005
HOG_BYTES = 1 << 28
"""Bytes of each of the two arrays of the bandwidth hog: more than the caches hold."""

STARTS = 4
READY = b"ready\n"


def spin(seconds: float) -> None:
    """Use one core for so many seconds of wall time."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        sum(range(2000))


def bursts(given: argparse.Namespace) -> None:
    """One core, in bursts, the rest between two of them as long as the share asks for, give or take a half."""
    chance = random.Random(given.seed)
    while True:
        length = chance.uniform(*BURST_S)
        time.sleep(length * (1 / SHARE - 1) * chance.uniform(0.5, 1.5))
        spin(length)


def half(_: argparse.Namespace) -> None:
    """Half a core, in slices of a few milliseconds of processor time each."""
    while True:
        begin = time.thread_time()
        while time.thread_time() - begin < SLICE_S:
            sum(range(200))
        time.sleep(SLICE_S)


def bandwidth(_: argparse.Namespace) -> None:
    """Copies of memory, one after the other."""
    import numpy as np

    source, target = np.ones(HOG_BYTES, np.uint8), np.zeros(HOG_BYTES, np.uint8)
    while True:
        np.copyto(target, source)


def full(_: argparse.Namespace) -> None:
    """Every core that may be used, all the time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for _number in range(cores - 1):
        subprocess.Popen([sys.executable, "-c", "while True: pass"], stdin=subprocess.DEVNULL)
    spin(float("inf"))


def starting(given: argparse.Namespace) -> None:
    """Four helpers that start, one after the other, each a Python that imports torch and ends."""
    time.sleep(given.after)
    for _ in range(STARTS):
        begin = time.monotonic()
        subprocess.run([sys.executable, "-c", "import torch"], check=True, stdin=subprocess.DEVNULL)
        time.sleep(max(0.0, given.every - (time.monotonic() - begin)))
    signal.pause()


LOADS: dict[str, Callable[[argparse.Namespace], None]] = {
    load.__name__: load for load in (bursts, half, bandwidth, starting, full)
}


@contextmanager
def planted(name: str, *, seed: int = 0, after: float = 0.0, every: float = 0.0) -> Iterator[int]:
    """A load beside what the block does; at its end every process of it is gone. Gives the id of its process group.

    Args:
        name: One of `LOADS`.
        seed: Of what it leaves to chance.
        after: Seconds until the first helper starts (`starting`).
        every: Seconds from one start to the next.

    Raises:
        RuntimeError: It did not start, or it ended before the block did: the block was not disturbed as it should be.
    """
    command = [sys.executable, str(Path(__file__).resolve()), name]
    command += [f"--seed={seed}", f"--after={after}", f"--every={every}"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != READY:
            raise RuntimeError(f"the neighbour {name!r} did not start")
        yield process.pid
        # Without reaping it: the id of the group must stay its own until the group is killed.
        if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            raise RuntimeError(f"the neighbour {name!r} ended before the capture did")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGKILL)


def main(given: Sequence[str] | None = None) -> None:
    """Run one load until the end of standard input."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("load", choices=list(LOADS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--after", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--every", type=float, default=0.0, metavar="SECONDS")
    options = parser.parse_args(given)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    LOADS[options.load](options)


if __name__ == "__main__":
    main()
