"""The PyTorch side, inside its worker: plain blocks, profiled blocks, outputs, and the profiler's cost."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from attrib.capture.build import Built, build
from attrib.capture.failures import first_line
from attrib.capture.inputs import save_inputs
from attrib.capture.messages import (
    Calibrate,
    Calibrated,
    Finish,
    Load,
    Loaded,
    Outputs,
    Reply,
    Run,
    Steps,
    Written,
)
from attrib.capture.outputs_of import named_outputs
from attrib.capture.scopes import module_scopes
from attrib.capture.silence import silence_libraries
from attrib.capture.steps import freeze_heap, quiet_collector, time_steps
from attrib.capture.torch_overhead import measure_overhead
from attrib.capture.unused import unused_modules
from attrib.capture.weights import fingerprint
from attrib.errors import AttribError
from attrib.model.manifest import InputSpec
from attrib.model.tensor import Tensor

STEP = "attrib.step#"
"""A profiled step is a profiler range of this name and its number in the capture."""

_DTYPES = {"float32": "float", "float64": "double"}


class Engine:
    """Serves the commands of the PyTorch worker."""

    def __init__(self) -> None:
        silence_libraries()
        self.version = str(torch.__version__)
        self.handlers: dict[type, Callable[..., Reply]] = {
            Load: self.load,
            Run: self.run,
            Outputs: self.outputs,
            Calibrate: self.calibrate,
            Finish: self.finish,
        }
        self._built: Built | None = None
        self._callable: Callable[[], object] | None = None
        self._compiled = False
        self._folder = Path()
        self._steps_profiled = 0
        self._blocks_profiled = 0

    def load(self, command: Load) -> Loaded:
        """Build the model, run it once, and write the inputs that both engines get."""
        torch.set_num_threads(command.threads)
        torch.set_num_interop_threads(1)
        self._folder = Path(command.folder)
        built = self._built = build(command.recipe)
        outputs = built.first_outputs()
        unused = unused_modules(built.module, built.step)
        self._callable = self._step_of(built, command.torch_mode)
        inputs_file = self._folder / "inputs.npz"
        save_inputs(inputs_file, {name: _numpy(value) for name, value in built.inputs.items()})
        _warm_profiler()
        freeze_heap()
        return Loaded(
            weights=built.weights,
            fingerprint=fingerprint(built.module),
            parameters=sum(parameter.numel() for parameter in built.module.parameters()),
            inputs=tuple(InputSpec(name=name, tensor=_tensor(value)) for name, value in built.inputs.items()),
            outputs=tuple(outputs),
            settings=_settings(built.module),
            inputs_file=str(inputs_file),
            unused=unused,
        )

    def run(self, command: Run) -> Steps:
        """One block, plain or profiled, its lead-in first and never profiled."""
        step = self._ready()
        with torch.inference_mode(), quiet_collector():
            lead_starts, lead_walls = time_steps(step, command.lead_in)
            starts, walls, trace = (self._profiled if command.profiled else self._plain)(command.iterations)
        return Steps(
            start_ns=(*lead_starts, *starts),
            wall_ns=(*lead_walls, *walls),
            lead_in=command.lead_in,
            trace=trace,
        )

    def outputs(self, command: Outputs) -> Written:
        """Write the outputs of one plain step."""
        step = self._ready()
        with torch.inference_mode():
            outputs = named_outputs(step())
        save_inputs(Path(command.file), {name: _numpy(value) for name, value in outputs.items()})
        return Written(files=(command.file,))

    def calibrate(self, _command: Calibrate) -> Calibrated:
        """What torch.profiler costs per event here."""
        with torch.inference_mode(), quiet_collector():
            return Calibrated(overhead=measure_overhead())

    def finish(self, _command: Finish) -> Written:
        """Every block's trace was written when the block ended."""
        return Written(files=())

    def _ready(self) -> Callable[[], object]:
        if self._callable is None:
            raise AttribError("the model is not loaded")
        return self._callable

    def _plain(self, iterations: int) -> tuple[list[int], list[int], str]:
        return *time_steps(self._ready(), iterations), ""

    def _profiled(self, iterations: int) -> tuple[list[int], list[int], str]:
        step, built = self._ready(), self._built
        assert built is not None  # noqa: S101  (a step exists only for a built model)
        file = self._folder / f"block-{self._blocks_profiled}.json"
        numbers = iter(range(self._steps_profiled, self._steps_profiled + iterations))

        def numbered() -> object:
            with record_function(f"{STEP}{next(numbers)}"):
                return step()

        with self._scopes(built.module), profile(activities=_activities(), record_shapes=True) as profiler:
            starts, walls = time_steps(numbered, iterations)
        profiler.export_chrome_trace(str(file))
        self._steps_profiled += iterations
        self._blocks_profiled += 1
        return starts, walls, str(file)

    @contextmanager
    def _scopes(self, module: Any) -> Iterator[None]:
        """Module ranges in eager mode; hooks inside a compiled model would break its graph, so it has none."""
        if self._compiled:
            yield
            return
        with module_scopes(module):
            yield

    def _step_of(self, built: Built, mode: str) -> Callable[[], object]:
        step = _synchronised(built) if next(iter(built.inputs.values())).is_cuda else built.step
        if mode == "eager":
            return step
        self._compiled = True
        built.module.compile()
        try:
            with torch.inference_mode():
                step()
        except Exception as error:
            hint = "torch.compile needs a C++ compiler; or use --torch-mode eager"
            raise AttribError(f"torch.compile failed: {first_line(error)}", hint=hint) from error
        return step


def _synchronised(built: Built) -> Callable[[], object]:
    def step() -> object:
        result = built.step()
        torch.cuda.synchronize()
        return result

    return step


def _activities() -> list[ProfilerActivity]:
    cuda = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
    return [ProfilerActivity.CPU, *cuda]


def _warm_profiler() -> None:
    """The first profile of a process pays for setting Kineto up."""
    with profile(activities=_activities(), record_shapes=True):
        torch.zeros(1)


def _tensor(value: Any) -> Tensor:
    name = str(value.dtype).removeprefix("torch.")
    return Tensor(_DTYPES.get(name, name), tuple(value.shape))


def _numpy(value: Any) -> Any:
    """On the host, in a type that numpy knows: bfloat16 becomes float32, which holds every bfloat16 exactly."""
    value = value.detach().cpu()
    return (value.float() if value.dtype == torch.bfloat16 else value).contiguous().numpy()


def _settings(module: Any) -> dict[str, str]:
    config = getattr(module, "config", None)
    # transformers gives an implementation to models without attention, too.
    has_attention = hasattr(config, "num_attention_heads")
    attention = getattr(config, "_attn_implementation", None) if has_attention else None
    return ({"attention": str(attention)} if attention else {}) | {
        "training": str(module.training).lower(),
        "inference_mode": "true",
        "matmul_precision": torch.get_float32_matmul_precision(),
        "mkldnn": str(torch.backends.mkldnn.enabled).lower(),
        "interop_threads": str(torch.get_num_interop_threads()),
    }
