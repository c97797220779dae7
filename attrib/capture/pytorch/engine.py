"""PyTorch inside its worker: plain blocks, profiled blocks, outputs, and the profiler's cost."""

import contextlib
import mmap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch

from attrib.capture.pytorch.call_values import record_step
from attrib.capture.pytorch.dataflow_tracer import trace_dataflow
from attrib.capture.pytorch.modes import Prepared, autocast_step, prepare
from attrib.capture.pytorch.overhead import measure_overhead
from attrib.capture.pytorch.peaks import peaks_of
from attrib.capture.workers.kineto_blocks import KinetoBlocks
from attrib.capture.workers.messages import (
    Calibrate,
    Calibrated,
    Finish,
    Load,
    Loaded,
    MeasurePeaks,
    Outputs,
    PeaksMeasured,
    RecordStep,
    Reply,
    Run,
    Steps,
    Written,
)
from attrib.capture.workers.silence import silence_libraries
from attrib.capture.workers.steps import freeze_heap, quiet_collector, steps_of, time_steps
from attrib.capture.workload.build import Built, build
from attrib.capture.workload.inputs import padding_settings, save_inputs
from attrib.capture.workload.weights import denormal_count, hash_of, tensor_prints
from attrib.compress.run import compressible, parameter_count
from attrib.errors import AttribError
from attrib.model.capture_options import Device, Precision
from attrib.model.compiled import COMPILED_FILE
from attrib.model.flow import FLOW_FILE, Flow
from attrib.model.manifest import CHANGED_OUTPUTS, CHANGED_STATE, COMPILED_BY_MODEL, InputSpec
from attrib.model.tensor import Tensor

_READ: dict[str, Callable[[], object]] = {
    "cuda_matmul_tf32": lambda: torch.backends.cuda.matmul.allow_tf32,
    "cuda_fp16_reduced_precision": lambda: torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction,
    "cuda_bf16_reduced_precision": lambda: torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction,
    "cudnn": lambda: torch.backends.cudnn.enabled,
    "cudnn_tf32": lambda: torch.backends.cudnn.allow_tf32,
    "cudnn_benchmark": lambda: torch.backends.cudnn.benchmark,
    "cudnn_deterministic": lambda: torch.backends.cudnn.deterministic,
    "cudnn_version": torch.backends.cudnn.version,
    "cuda_version": lambda: torch.version.cuda,
    "cuda_allocator": torch.cuda.memory.get_allocator_backend,
    "cuda_attention": lambda: " ".join(
        name for name, switch in _ATTENTION.items() if getattr(torch.backends.cuda, switch)()
    ),
}
"""Setting -> how it is read. Some builds, versions and mixtures of old and new settings refuse to tell."""

_ATTENTION: dict[str, str] = {
    "flash": "flash_sdp_enabled",
    "memory-efficient": "mem_efficient_sdp_enabled",
    "cudnn": "cudnn_sdp_enabled",
    "math": "math_sdp_enabled",
}
"""Kernels among which `scaled_dot_product_attention` may choose, and the function of `torch.backends.cuda` that tells."""


def torch_settings(device: Device) -> dict[str, str]:
    """The device, and on CUDA what rounds, chooses kernels and allocates there."""
    found = {"device": str(device)}
    for name, read in _READ.items() if device == "cuda" else ():
        with contextlib.suppress(RuntimeError, AttributeError):
            value = read()
            found[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return found


STEP = "attrib.step#"
"""A profiled step is a profiler range of this name and its number in the capture."""

_MOST_NAMED = 5
"""Names of tensors in a setting."""

_SAME = 1e-3
"""Share of its largest value up to which an output of the same step may differ: kernels may add in another order."""

_DTYPES = {"float32": "float", "float64": "double"}


class PyTorchEngine:
    """Serves the commands of the PyTorch worker."""

    def __init__(self) -> None:
        silence_libraries()
        self.version = str(torch.__version__)
        self.handlers: dict[type, Callable[..., Reply]] = {
            Load: self.load,
            Run: self.run,
            Outputs: self.outputs,
            Calibrate: self.calibrate,
            MeasurePeaks: self.measure_peaks,
            RecordStep: self.record_step,
            Finish: self.finish,
        }
        self._built: Built | None = None
        self._autocast: Precision | None = None
        self._prepared: Prepared | None = None
        self._flow: Flow | None = None
        self._folder = Path()
        self._blocks: KinetoBlocks | None = None

    def load(self, command: Load) -> Loaded:
        """Build the model, run it once, and write the inputs that both engines get."""
        torch.set_num_threads(command.threads)
        torch.set_num_interop_threads(1)
        self._folder = Path(command.folder)
        built = self._built = build(command.recipe)
        before = tensor_prints(built.module)
        outputs = built.first_outputs()
        again: dict[str, Any] = {}

        def step() -> object:
            result = built.step()
            again.update(built.outputs_of(result))
            return result

        seen = trace_dataflow(built.module, built.inputs.values(), step)
        self._flow = seen.flow if seen else None
        self._autocast = command.autocast
        prepared = self._prepared = prepare(built, command.torch_mode, command.autocast)
        inputs_file = self._folder / "inputs.npz"
        save_inputs(inputs_file, {name: _numpy(value) for name, value in built.inputs.items()})
        self._blocks = KinetoBlocks(
            self._folder, STEP, command.recipe.device, record_shapes=True, first_step=command.first_step
        )
        self._blocks.warm()
        inputs = []
        for name, value in built.inputs.items():
            kind = str(value.dtype).removeprefix("torch.")
            tensor = Tensor(_DTYPES.get(kind, kind), tuple(value.shape))
            inputs.append(InputSpec(name=name, tensor=tensor))
        freeze_heap()
        return Loaded(
            weights=built.weights,
            fingerprint=hash_of(before),
            parameters=parameter_count(built.module),
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            settings=_settings(built.module, prepared, command)
            | built.notes
            | steadiness(before, tensor_prints(built.module), outputs, again)
            | torch_settings(command.recipe.device)
            | padding_settings(built.inputs),
            threads=torch.get_num_threads(),
            inputs_file=str(inputs_file),
            unused=seen.unused if seen else None,
            compressed=built.compressed,
            compressible=compressible(built.module),
        )

    def run(self, command: Run) -> Steps:
        """Run one block, plain or profiled, its lead-in first and never profiled."""
        step, scopes, _ = self._ready()
        with torch.inference_mode(), quiet_collector():
            lead = time_steps(step, command.lead_in)
            if command.profiled:
                assert self._blocks is not None  # noqa: S101  (made when the model was loaded)
                fresh = max((0, *lead.faults)) * mmap.PAGESIZE
                timed, trace = self._blocks.record(step, command.iterations, scopes, fresh)
            else:
                timed, trace = time_steps(step, command.iterations), ""
        return steps_of(lead, timed, trace)

    def outputs(self, command: Outputs) -> Written:
        """Write the outputs of one plain step."""
        step = self._ready().step
        assert self._built is not None  # noqa: S101  (what is ready was built)
        with torch.inference_mode():
            outputs = self._built.outputs_of(step())
        save_inputs(Path(command.file), {name: _numpy(value) for name, value in outputs.items()})
        return Written(files=(command.file,))

    def calibrate(self, _command: Calibrate) -> Calibrated:
        """Measure what torch.profiler costs per event here."""
        with torch.inference_mode(), quiet_collector():
            return Calibrated(overhead=measure_overhead())

    def measure_peaks(self, command: MeasurePeaks) -> PeaksMeasured:
        """Measure what the machine can do with the threads and the rounding of the model."""
        with torch.inference_mode(), quiet_collector():
            return PeaksMeasured(peaks=peaks_of(command.device, command.dtypes))

    def record_step(self, command: RecordStep) -> Written:
        """Write what the calls of one eager step took and returned."""
        if self._built is None:
            raise AttribError("the model is not loaded")
        built = self._built
        index = record_step(
            built.module,
            built.inputs.values(),
            autocast_step(built, built.step, self._autocast),
            Path(command.folder),
            command.most_bytes,
        )
        return Written(files=(str(index),))

    def finish(self, _command: Finish) -> Written:
        """Write what was recorded of the model; every block's trace was written when the block ended."""
        compiled = self._ready().compiled()
        records = {
            COMPILED_FILE: compiled if compiled and compiled.graphs else None,
            FLOW_FILE: self._flow,
        }
        files = [self._folder / name for name, record in records.items() if record is not None]
        for file in files:
            file.write_bytes(msgspec.json.encode(records[file.name]) + b"\n")
        return Written(files=tuple(map(str, files)))

    def _ready(self) -> Prepared:
        if self._prepared is None:
            raise AttribError("the model is not loaded")
        return self._prepared


def _numpy(value: Any) -> Any:
    """A tensor's values on the host; numpy knows no bfloat16, which becomes float32 (it holds every bfloat16 exactly)."""
    value = value.detach().cpu()
    return (value.float() if value.dtype == torch.bfloat16 else value).contiguous().numpy()


def steadiness(
    before: Mapping[str, bytes],
    after: Mapping[str, bytes],
    outputs: Mapping[str, Any],
    again: Mapping[str, Any],
) -> dict[str, str]:
    """What changes from one step to the next, as settings; nothing where each step does the same.

    Args:
        before: Prints of the model's tensors before the first step.
        after: After two.
        outputs: What the first step gave.
        again: What the second one gave; nothing where it was not watched.
    """
    changed = [name for name, tensor in before.items() if after.get(name) != tensor]
    if changed:
        return {CHANGED_STATE: ", ".join(changed[:_MOST_NAMED])}
    differing = [name for name, first in outputs.items() if name in again and _differ(first, again[name])]
    return {CHANGED_OUTPUTS: ", ".join(differing[:_MOST_NAMED])} if differing else {}


def _differ(first: Any, second: Any) -> bool:
    """Whether two tensors are further apart than the order of their sums explains."""
    if first.shape != second.shape:
        return True
    if not first.is_floating_point():
        return not torch.equal(first, second)
    wide = [torch.nan_to_num(tensor.detach().to(torch.float64)) for tensor in (first, second)]
    largest = max((float(tensor.abs().max()) for tensor in wide if tensor.numel()), default=0.0)
    return bool(((wide[0] - wide[1]).abs() > _SAME * largest).any())


def _compiler_of(module: Any) -> str:
    """What compiled the model, or a part of it, before it was handed over; empty for an eager one."""
    parts = list(module.modules())
    if any(
        hasattr(part, "_orig_mod") for part in parts
    ):  # torch.compile's wrapper keeps the module under that name
        return "torch.compile"
    return "TorchScript" if any(isinstance(part, torch.jit.ScriptModule) for part in parts) else ""


def _settings(module: Any, prepared: Prepared, command: Load) -> dict[str, str]:
    """How the model runs, for the manifest, and what differs from plain eager PyTorch."""
    config = getattr(module, "config", None)
    # transformers gives an implementation to models without attention, too.
    has_attention = hasattr(config, "num_attention_heads")
    attention = getattr(config, "_attn_implementation", None) if has_attention else None
    found = ({"attention": str(attention)} if attention else {}) | {
        "training": str(module.training).lower(),
        "inference_mode": "true",
        "matmul_precision": torch.get_float32_matmul_precision(),
        "mkldnn": str(torch.backends.mkldnn.enabled).lower(),
        "interop_threads": str(torch.get_num_interop_threads()),
        "denormal_weights": str(denormal_count(module.parameters())),
    }
    if command.autocast is not None:
        found["autocast"] = command.autocast
    if compiler := _compiler_of(module):
        found[COMPILED_BY_MODEL] = compiler
    compiled = prepared.compiled()
    if compiled is not None:
        found["kernel_origins"] = f"recorded by {compiled.compiler}" if compiled.graphs else "not recorded"
    return found
