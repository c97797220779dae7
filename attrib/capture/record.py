"""Everything that a capture knows about itself, on its way into the manifest."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from attrib.capture.messages import Loaded
from attrib.capture.options import CaptureOptions
from attrib.capture.scrub import scrub
from attrib.capture.sources import Source
from attrib.model.manifest import Environment, Manifest, Phase, Protocol, Role, Side, SideState, Workload
from attrib.model.tensor import Tensor
from attrib.version import __version__

_BROUGHT_BY_RUNTIMES = ("onnxruntime", "openvino", "tensorrt")


@dataclass(slots=True, eq=False)
class Ending:
    """How a phase ends: well, unless something says otherwise."""

    state: SideState = "complete"
    detail: str = ""

    def fail(self, error: BaseException) -> None:
        """Something in the phase did not work."""
        self.state, self.detail = "failed", scrub(str(error))


@dataclass(slots=True, eq=False)
class Record:
    """A manifest that is still being filled.

    Attributes:
        created: When the capture began, UTC.
        workload: What is run; None until the model is loaded.
        sides: Both sides, as far as they got.
        environment: The machine.
        protocol: How it is measured; None until the warm-up has shown how long a step takes.
        phases: Phases that have ended.
        warnings: What the reader should know.
        command: The scrubbed command line.
    """

    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    workload: Workload | None = None
    sides: dict[Role, Side] = field(default_factory=dict)
    environment: Environment = field(default_factory=Environment)
    protocol: Protocol | None = None
    phases: list[Phase] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    command: str = ""

    @contextmanager
    def phase(self, name: str) -> Iterator["Ending"]:
        """Time a phase and note how it ended; a phase that goes on after a failure says so itself."""
        begin, ending = time.monotonic(), Ending()
        try:
            yield ending
        except KeyboardInterrupt:
            ending.state = "interrupted"
            raise
        except Exception as error:
            ending.fail(error)
            raise
        finally:
            seconds = round(time.monotonic() - begin, 3)
            self.phases.append(Phase(name=name, state=ending.state, seconds=seconds, detail=ending.detail))

    def warn(self, message: str) -> None:
        """Remember a warning, once."""
        text = scrub(message)
        if text not in self.warnings:
            self.warnings.append(text)

    def ran_elsewhere(self, package: str, version: str) -> None:
        """ONNX Runtime ran in another environment: what is installed here did not bear on its speed."""
        own = self.environment.packages
        kept = {name: own[name] for name in own if not name.startswith(_BROUGHT_BY_RUNTIMES)}
        packages = dict(sorted((kept | {package: version}).items()))
        self.environment = msgspec.structs.replace(self.environment, packages=packages)

    def manifest(self) -> Manifest | None:
        """The manifest as it stands; None while there is nothing to describe."""
        if self.workload is None:
            return None
        return Manifest(
            attrib_version=__version__,
            created=self.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            workload=self.workload,
            sides=dict(self.sides),
            environment=self.environment,
            protocol=self.protocol,
            phases=tuple(self.phases),
            command=scrub(self.command),
            warnings=tuple(self.warnings),
        )


def workload_of(options: CaptureOptions, source: Source, loaded: Loaded, inputs_sha256: str) -> Workload:
    """What was run, for the manifest; batch and length are those of the inputs that were really made."""
    first = loaded.inputs[0].tensor if loaded.inputs else None
    return Workload(
        model=scrub(source.model),
        source=source.source,
        task=options.task or source.task,
        weights=loaded.weights,
        batch_size=first.shape[0] if first and first.shape else source.batch_size,
        seq_len=_sequence_length(first) if first else 0,
        precision=options.precision,
        padding=options.padding,
        seed=options.seed,
        attention=loaded.settings.get("attention", ""),
        parameters=loaded.parameters,
        inputs=loaded.inputs,
        inputs_sha256=inputs_sha256,
        text=bool(options.text),
        layers=options.layers or 0,
        unused=loaded.unused,
    )


def _sequence_length(tensor: Tensor) -> int:
    """Tokens in a row: of ids `[batch, tokens]` or vectors `[batch, tokens, features]`; 0 for other inputs."""
    is_sequence = len(tensor.shape) == 3 or (len(tensor.shape) == 2 and tensor.dtype.startswith("int"))  # noqa: PLR2004
    return tensor.shape[1] if is_sequence else 0
