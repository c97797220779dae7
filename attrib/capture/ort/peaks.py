"""ONNX Runtime's part of the machine's peaks, inside its worker: sessions of one node on the capture's providers."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime as ort

from attrib.capture.ort.feeds import bfloat16_value
from attrib.capture.system.peaks import (
    Call,
    best_product,
    beyond_caches,
    fault_cost,
    last_level_cache,
    product_file,
    stream_file,
    streams_of,
    wall_clock,
)
from attrib.model.execution_providers import CUDA_PROVIDER, provider_row
from attrib.model.roofline import Peaks, Rate

_FLOAT_BYTES = 4
_ERRORS_ONLY = 3

Providers = list[tuple[str, dict[str, str]]]


def peaks_of(like: Any, threads: int, folder: Path, dtypes: Collection[str]) -> Peaks:
    """Measure the machine's peaks on the providers of a session, with their options.

    Args:
        like: The session of the measured model.
        threads: Its intra-op threads.
        folder: Holds the graphs that `attrib.capture.session.phase_write.write_graphs` wrote.
        dtypes: Element types of the products.
    """
    providers: Providers = [(name, dict(options)) for name, options in like.get_provider_options().items()]
    devices = (provider_row(name).computes_on(options) for name, options in providers)
    device = next((device for device in devices if device != "cpu"), "cpu")
    measure = _Sessions(providers, threads, "cuda" if device == "cuda" else "cpu")
    products = {dtype: _product_rate(measure, folder, dtype) for dtype in dtypes}

    def streams(size: int) -> Iterator[Call]:
        values = np.ones(size // _FLOAT_BYTES // 2, np.float32)
        yield measure.prepare_run(stream_file(folder), {"x": measure.value(values, "float")}, {})

    try:
        found = streams_of(streams, beyond_caches(last_level_cache()), wall_clock)
    except Exception:  # noqa: BLE001  (a provider that cannot run this graph; products may work all the same)
        found = ()
    return Peaks(
        device=device,
        threads=threads,
        products={dtype: rate for dtype, rate in products.items() if rate is not None},
        streams=found,
        fault_ns=round(fault_cost(threads or 1), 1),
    )


class _Sessions:
    """Creates sessions like the measured one; inputs and outputs stay where the device has them."""

    def __init__(self, providers: Providers, threads: int, device: str) -> None:
        self.providers, self.device = providers, device
        self._threads = threads

    def prepare_run(self, model: Path, inputs: dict[str, Any], weights: dict[str, Any]) -> Call:
        """Open a graph and bind its inputs and outputs; returns one run of it."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        if weights:
            options.add_external_initializers(list(weights), list(weights.values()))
        session = ort.InferenceSession(model.read_bytes(), options, providers=self.providers)
        binding = session.io_binding()
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        result = session.get_outputs()[0].name
        binding.bind_output(result, self.device)
        session.run_with_iobinding(binding)
        binding.bind_ortvalue_output(result, binding.get_outputs()[0])
        return lambda: session.run_with_iobinding(binding)

    def value(self, array: Any, dtype: str) -> Any:
        """An array as an input, on the device."""
        if dtype == "bfloat16":
            return bfloat16_value(array)
        return ort.OrtValue.ortvalue_from_numpy(array, self.device)


def _product_rate(sessions: _Sessions, folder: Path, dtype: str) -> Rate | None:
    random = np.random.default_rng(0)

    def product(side: int) -> Call:
        left: Any
        right: Any
        shape = (side, side)
        if dtype == "int8":
            left, right = random.integers(0, 127, shape, np.uint8), random.integers(-63, 63, shape, np.int8)
        else:
            kind = np.float16 if dtype == "float16" else np.float32
            left, right = (random.standard_normal(shape, np.float32).astype(kind) for _ in range(2))
        # Weights are handed over on the host, and the session moves them.
        weight = _Sessions([], 0, "cpu").value(right, dtype)
        return sessions.prepare_run(
            product_file(folder, dtype, side), {"a": sessions.value(left, dtype)}, {"b": weight}
        )

    try:
        rate = best_product(product, wall_clock)
    except Exception:  # noqa: BLE001  (whatever a provider says of a type that it has no kernel for)
        return None
    # CUDA's provider rounds the factors of products of float32 to TF32 unless its option `use_tf32` is 0.
    options = dict(sessions.providers).get(CUDA_PROVIDER)
    rounds = (
        dtype == "float" and options is not None and options.get("use_tf32") not in ("0", "False", "false")
    )
    return rate and msgspec.structs.replace(rate, math="tf32" if rounds else "")
