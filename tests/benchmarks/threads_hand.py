"""The same change made by hand: steps before and after it, timed in alternating rounds with PyTorch and ONNX Runtime alone.

Either side runs in a process of its own, started anew for each launch: pools of two engines in one process disturb each
other. In a launch a round is one block of either side, in turns; the saving of a round is the difference of its medians.
"""

import multiprocessing
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

LAUNCHES, ROUNDS = 4, 10
"""Starts of both processes, and rounds in each."""

BLOCK_NS, MOST_STEPS, WARM_NS = 40_000_000, 50, 300_000_000
"""A block lasts about so long, with so many steps at most; before the first one an engine runs for so long."""

RESAMPLES = 2000
"""Of the bootstrap: the 95 % interval's ends then move by a few percent of its width."""

Engine = Literal["torch", "onnxruntime"]


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two: which model runs how.

    Attributes:
        engine: Which engine is timed.
        model: A factory of threads_models.py or threads_kernels.py.
        file: A builder of threads_files.py, whose file ONNX Runtime runs instead of the exported model.
        exporter: PyTorch's exporter.
        level: ONNX Runtime's graph optimization: `all` or `disabled`.
        disabled: Names of its optimizers that are left out.
        entries: Entries of its session's configuration.
        threads: Threads of the engine.
        autocast: PyTorch computes in bfloat16 where it may.
        after_session: An ONNX Runtime session of the same model and threads runs before each step of PyTorch, untimed.
        environment: Variables that are set before the process starts.
    """

    engine: Engine
    model: str
    file: str = ""
    exporter: str = "dynamo"
    level: str = "all"
    disabled: tuple[str, ...] = ()
    entries: dict[str, str] = {}
    threads: int = 1
    autocast: bool = False
    after_session: bool = False
    environment: dict[str, str] = {}


class Saving(msgspec.Struct, frozen=True, kw_only=True):
    """What the change saves, ns: the steps before and after it, and their difference with its 95 % interval."""

    before_ns: int
    after_ns: int
    saving_ns: int
    low_ns: int
    high_ns: int


def measure(before: Side, after: Side, *, launches: int = LAUNCHES, rounds: int = ROUNDS) -> Saving:
    """Time both sides in turns.

    Raises:
        RuntimeError: A side could not be built; the message says why.
    """
    blocks: list[list[tuple[float, float]]] = []
    for launch in range(launches):
        with ExitStack() as stack:
            sides = [stack.enter_context(_started(side)) for side in (before, after)]
            for side in sides:
                if why := side.recv():  # else it is built and warm
                    raise RuntimeError(why)
            found = []
            for number in range(rounds):
                order = (0, 1) if (launch + number) % 2 else (1, 0)
                medians = [0.0, 0.0]
                for index in order:
                    sides[index].send(True)
                    medians[index] = statistics.median(sides[index].recv())
                found.append((medians[0], medians[1]))
            blocks.append(found)
    return saving_of(blocks)


def saving_of(launches: Sequence[Sequence[tuple[float, float]]], seed: int = 0) -> Saving:
    """The median round, and the interval of a bootstrap over launches, and over the rounds in each."""
    random = np.random.default_rng(seed)
    savings = [np.array([before - after for before, after in rounds]) for rounds in launches]
    drawn = []
    for _ in range(RESAMPLES):
        chosen = random.integers(len(savings), size=len(savings))
        drawn.append(np.median(np.concatenate([random.choice(savings[i], savings[i].size) for i in chosen])))
    low, high = np.percentile(drawn, (2.5, 97.5))
    pairs = np.array([pair for rounds in launches for pair in rounds])
    before, after = np.median(pairs, axis=0)
    saving = np.median(np.concatenate(savings))
    return Saving(
        before_ns=round(before), after_ns=round(after), saving_ns=round(saving), low_ns=round(low), high_ns=round(high)
    )  # fmt: skip


@contextmanager
def _started(side: Side) -> Iterator[Connection]:
    """A process that answers each message with the times of a block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    kept = {name: os.environ.get(name) for name in side.environment}
    os.environ.update(side.environment)  # the child's allocator reads them before Python runs
    process = context.Process(target=_serve, args=(side, theirs), daemon=True)
    process.start()
    for name, value in kept.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join(10)
        if process.is_alive():
            process.kill()


def _serve(side: Side, pipe: Connection) -> None:
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        try:
            prepare, step = built(side, Path(folder))
        except Exception as error:  # noqa: BLE001  (whatever it is, the parent is told)
            pipe.send(f"{type(error).__name__}: {error}")
            return
        times = [_timed(prepare, step)]
        while sum(times) < WARM_NS:
            times.append(_timed(prepare, step))
        count = int(min(max(BLOCK_NS // statistics.median(times), 3), MOST_STEPS))
        pipe.send("")
        try:
            while pipe.recv():
                pipe.send([_timed(prepare, step) for _ in range(count)])
        except EOFError:
            return  # the other end has what it wants


def _timed(prepare: Callable[[], Any], step: Callable[[], Any]) -> int:
    prepare()
    begin = time.perf_counter_ns()
    step()
    return time.perf_counter_ns() - begin


def built(side: Side, folder: Path) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """What is done before each step, and the step."""
    import torch

    torch.set_num_threads(side.threads)
    module, inputs = factory(side.model)()
    module.eval()
    if side.engine == "onnxruntime":
        return _nothing, _session_step(side, (module, inputs), folder)
    prepare = _session_step(side, (module, inputs), folder) if side.after_session else _nothing

    def step() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=side.autocast):
            module(**inputs) if isinstance(inputs, dict) else module(*inputs)

    return prepare, step


def _nothing() -> None:
    """Most steps need no preparation."""


def _session_step(side: Side, made: Any, folder: Path) -> Callable[[], Any]:
    import onnxruntime
    from threads_export import exported
    from threads_files import BUILDERS

    file = BUILDERS[side.file](folder) if side.file else exported(made, folder, side.exporter)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = side.threads
    options.log_severity_level = 3
    options.graph_optimization_level = getattr(
        onnxruntime.GraphOptimizationLevel, f"ORT_{'ENABLE' if side.level == 'all' else 'DISABLE'}_ALL"
    )
    for name, value in side.entries.items():
        options.add_session_config_entry(name, value)
    session = onnxruntime.InferenceSession(
        file, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(side.disabled) or None
    )
    given = made[1].values() if isinstance(made[1], dict) else made[1]
    names = [value.name for value in session.get_inputs()]
    feeds = {
        name: tensor.numpy() for name, tensor in zip(names, given, strict=False)
    }  # the rest has defaults
    return lambda: session.run(None, feeds)


def factory(name: str) -> Callable[[], Any]:
    """A factory by its name."""
    import threads_kernels
    import threads_models

    found = getattr(threads_models, name, None) or getattr(threads_kernels, name, None)
    if found is None:
        raise KeyError(f"no factory is called {name}")
    made: Callable[[], Any] = found
    return made
