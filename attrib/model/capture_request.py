"""What a capture was asked for and how often it was begun: what `attrib profile --resume` needs to know."""

from typing import Literal

import msgspec


class Launch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One start of the engines' processes. Processes differ, so that a reader may want to tell their rounds apart.

    Attributes:
        started: When, UTC.
        first_round: Number of the first round that it measured, plain steps included.
        rounds: How many it completed.
        profiled: The profiles and the profiled steps of this capture are this launch's, every round of them.
    """

    started: str
    first_round: int = 0
    rounds: int = 0
    profiled: bool = False


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """What the capture was asked for, as far as it is a plain choice: a directory names no file, code or sentence.

    The fields are those of `attrib.capture.config.options.CaptureOptions`; `onnx`, `text` and `ort_python` only say that
    there was one, and `provider_libraries` holds names without their files.
    """

    onnx: bool = False
    text: int = 0
    ort_python: bool = False
    batch_size: int | None = None
    seq_len: int | None = None
    layers: int | None = None
    device: str = "cpu"
    providers: tuple[str, ...] = ()
    provider_options: dict[str, dict[str, str]] = {}
    provider_libraries: tuple[str, ...] = ()
    precision: str = "fp32"
    exporter: str = "dynamo"
    opset: int | None = None
    dynamic_shapes: bool = False
    optimize: tuple[str, ...] = ()
    opt_level: str = "all"
    session_options: dict[str, str] = {}
    disabled_optimizers: tuple[str, ...] = ()
    attention: str = "sdpa"
    torch_mode: str = "eager"
    autocast: bool = False
    threads: int | None = None
    iterations: int | None = None
    rounds: int = 12
    warmup: int | None = None
    seed: int = 0
    io_binding: bool = False
    cuda_graph: bool = False
    task: str = ""
    padding: float = 0.0
    against_itself: Literal["torch", "onnxruntime"] | None = None
    timeout: float | None = None
