"""A Python program that runs one configuration of ONNX Runtime by itself, without attrib."""

import pprint
import shlex
from string import Template

from attrib.capture.config.session_options import ATTRIBUTES, session_options
from attrib.capture.session.commands import provider_options_of, providers_of, shareable
from attrib.model.capture_options import CaptureOptions
from attrib.scrub import scrub
from attrib.verify.flags import command_of

_LEVELS = {
    "disabled": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
_WIDTH = 100

_PROGRAM = Template('''\
# Runs $model in ONNX Runtime as `attrib verify --best` found it fastest, and prints the median step time.
#
# 1. Save the graph with its weights: $command --save-models models --no-report -o trace
# 2. Run it on the inputs of the capture: ${variables}python best.py models/$graph TRACE_DIR [OUTPUTS.npz]
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

SETTINGS = $settings


def session_of(graph):
    """A session with exactly these settings."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = SETTINGS["threads"]
    options.inter_op_num_threads = SETTINGS["inter_op_threads"]
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, SETTINGS["level"])
    for name, value in SETTINGS["attributes"].items():
        if name == "execution_mode":
            value = getattr(ort.ExecutionMode, value)
        setattr(options, name, value)
    for key, value in SETTINGS["entries"].items():
        options.add_session_config_entry(key, value)
    if SETTINGS["providers"] != ["CPUExecutionProvider"] and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
    left_out = SETTINGS["disabled_optimizers"]
    return ort.InferenceSession(
        graph,
        options,
        providers=SETTINGS["providers"],
        provider_options=SETTINGS["provider_options"],
        **({"disabled_optimizers": left_out, "enable_fallback": 0} if left_out else {}),
    )


def value_of(array, kind):
    """An input in the type that the graph takes; the capture stores bfloat16 as float32."""
    if kind == "tensor(bfloat16)":
        halves = (np.ascontiguousarray(array, np.float32).view(np.uint32) >> 16).astype(np.uint16)
        return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(halves, 16)
    floats = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
    return array.astype(floats[kind]) if kind in floats and array.dtype != floats[kind] else array


def feeds_of(session, trace_dir):
    """The inputs of the capture: by name, or in their order where the graph names them otherwise."""
    with np.load(Path(trace_dir) / "inputs.npz", allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    wanted = session.get_inputs()
    if not all(one.name in arrays for one in wanted):
        arrays = dict(zip((one.name for one in wanted), arrays.values(), strict=True))
    return {one.name: value_of(arrays[one.name], one.type) for one in wanted}


def step_of(session, feeds):
    """One step, and the outputs of one."""
    if not SETTINGS["io_binding"]:
        return lambda: session.run(None, feeds), lambda: session.run(None, feeds)
    binding = session.io_binding()
    for name, value in feeds.items():
        if isinstance(value, np.ndarray):
            binding.bind_cpu_input(name, np.ascontiguousarray(value))
        else:
            binding.bind_ortvalue_input(name, value)
    names = [output.name for output in session.get_outputs()]
    for name in names:
        binding.bind_output(name)
    session.run_with_iobinding(binding)
    first = binding.get_outputs()
    if all(value.is_tensor() for value in first):
        for name, value in zip(names, first):
            same = ort.OrtValue.ortvalue_from_shape_and_type(value.shape(), value.element_type())
            binding.bind_ortvalue_output(name, same)

    def outputs():
        session.run_with_iobinding(binding)
        return binding.copy_outputs_to_cpu()

    return lambda: session.run_with_iobinding(binding), outputs


def measure(step, seconds):
    """Measure single steps for this many seconds, and at least ten of them; their times in seconds."""
    times = []
    while len(times) < 10 or sum(times) < seconds:
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return times


def main(graph, trace_dir, outputs_file=None):
    session = session_of(graph)
    step, outputs = step_of(session, feeds_of(session, trace_dir))
    if outputs_file:
        names = [output.name for output in session.get_outputs()]
        np.savez(outputs_file, names=np.array(names), **{f"output_{i}": v for i, v in enumerate(outputs())})
    measure(step, seconds=1)
    times = measure(step, seconds=3)
    print(f"median step: {statistics.median(times) * 1000:.3f} ms ({len(times)} steps)")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: python best.py GRAPH.onnx TRACE_DIR [OUTPUTS.npz]")
    main(*sys.argv[1:])
''')


def snippet_of(options: CaptureOptions, threads: int) -> str:
    """Write the program for these options.

    Args:
        options: What to run in ONNX Runtime.
        threads: Intra-op threads where the options leave the choice open.
    """
    given = session_options(options.session_options)
    own = shareable(provider_options_of(options))
    count = options.threads or threads
    attributes: dict[str, object] = {}
    for key, value in given.items():
        if key == "execution_mode":
            attributes[key] = f"ORT_{value.upper()}"
        elif "." not in key:
            attributes[key] = ATTRIBUTES[key](value)
    # ONNX Runtime numbers some optimizers by their level, and ignores names that it does not know.
    suffixes = ("", "L1", "L2", "L3", "L4")
    settings = {
        "threads": count,
        # A parallel executor with one thread runs one node after another.
        "inter_op_threads": count if given.get("execution_mode") == "parallel" else 1,
        "level": _LEVELS[options.opt_level],
        "providers": list(providers_of(options)),
        "provider_options": [own.get(name, {}) for name in providers_of(options)],
        "attributes": attributes,
        "entries": {key: value for key, value in given.items() if "." in key},
        "disabled_optimizers": [
            f"{name}{suffix}" for name in options.disabled_optimizers for suffix in suffixes
        ],
        "io_binding": options.io_binding,
    }
    rewrites = len(options.optimize)
    return _PROGRAM.substitute(
        # Names come from a manifest and a command line, and end up in comments.
        model=_one_line(options.model),
        command=_one_line(command_of(options)),
        variables=_one_line("".join(f"{shlex.quote(pair)} " for pair in options.env)),
        graph=f"rewritten-{rewrites}.onnx" if rewrites else "exported.onnx",
        settings=pprint.pformat(settings, width=_WIDTH, sort_dicts=False),
    )


def _one_line(text: str) -> str:
    """Make a text fit for a comment: one line, without private paths."""
    return "".join(c if c.isprintable() else " " for c in scrub(text))
