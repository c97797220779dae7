"""Everything that a capture knows about itself, on its way into the manifest."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from attrib.capture.session.commands import task_of
from attrib.capture.workers.messages import Loaded
from attrib.capture.workload.caches import cached_length
from attrib.capture.workload.sources import Source
from attrib.model.capture_options import CaptureOptions
from attrib.model.capture_request import CaptureRequest, Launch
from attrib.model.manifest import Environment, Manifest, Phase, Protocol, Role, Side, SideState, Workload
from attrib.model.tensor import Tensor
from attrib.scrub import scrub
from attrib.version import __version__

CREATED = "%Y-%m-%dT%H:%M:%SZ"
"""How a manifest writes a time, UTC."""

BROUGHT_BY_RUNTIMES = ("onnxruntime", "openvino", "tensorrt")


@dataclass(slots=True, eq=False)
class Ending:
    """How a phase ends: well, unless something says otherwise."""

    state: SideState = "complete"
    detail: str = ""

    def fail(self, error: BaseException) -> None:
        """Note that something in the phase did not work."""
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
        loaded: The workload is that of a model that was loaded; before, only its name is known.
        fingerprint: Hash of its weights.
        request: What the capture was asked for.
        launches: Starts of the engines so far, the running one included.
    """

    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    workload: Workload | None = None
    sides: dict[Role, Side] = field(default_factory=dict)
    environment: Environment = field(default_factory=Environment)
    protocol: Protocol | None = None
    phases: list[Phase] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    command: str = ""
    loaded: bool = False
    fingerprint: str = ""
    request: CaptureRequest | None = None
    launches: list[Launch] = field(default_factory=list)

    def begin_launch(self) -> None:
        """Note that the engines are going to be started."""
        self.launches.append(Launch(started=datetime.now(UTC).strftime(CREATED)))

    def note_rounds(self, rounds: Iterable[int]) -> None:
        """Note which rounds the running launch has measured, by their numbers."""
        numbers = sorted(rounds)
        self._note_launch(first_round=numbers[0] if numbers else 0, rounds=len(numbers))

    def note_profiles(self, whole: bool) -> None:
        """Note whether the profiles on the disk are `whole`: those of every round and both sides."""
        self._note_launch(profiled=whole)

    def _note_launch(self, **facts: Any) -> None:
        self.launches[-1] = msgspec.structs.replace(self.launches[-1], **facts)

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

    def note_other_environment(self, package: str, version: str) -> None:
        """Note that ONNX Runtime ran in another environment: what is installed here did not bear on its speed."""
        own = self.environment.packages
        kept = {name: own[name] for name in own if not name.startswith(BROUGHT_BY_RUNTIMES)}
        packages = dict(sorted((kept | {package: version}).items()))
        self.environment = msgspec.structs.replace(self.environment, packages=packages)

    def manifest(self) -> Manifest | None:
        """The manifest as it stands; None while there is nothing to describe."""
        if self.workload is None:
            return None
        return Manifest(
            attrib_version=__version__,
            created=self.created.strftime(CREATED),
            workload=self.workload,
            sides=dict(self.sides),
            environment=self.environment,
            protocol=self.protocol,
            phases=tuple(self.phases),
            command=scrub(self.command),
            warnings=tuple(self.warnings),
            fingerprint=self.fingerprint,
            asked=self.request,
            launches=tuple(self.launches),
        )


def workload_before_load(options: CaptureOptions, source: Source) -> Workload:
    """What is known of the workload before its model is loaded."""
    return Workload(
        model=scrub(source.model),
        source=source.source,
        task=task_of(options, source),
        weights="",
        batch_size=0,
        seq_len=0,
        precision=options.precision,
        padding=options.padding,
        seed=options.seed,
        text=bool(options.text),
        layers=options.layers or 0,
    )


def workload_of(options: CaptureOptions, source: Source, loaded: Loaded, inputs_sha256: str) -> Workload:
    """What was run, for the manifest; batch and length are those of the inputs that were really made."""
    first = loaded.inputs[0].tensor if loaded.inputs else None
    return Workload(
        model=scrub(source.model),
        source=source.source,
        task=task_of(options, source),
        weights=loaded.weights,
        batch_size=first.shape[0] if first and first.shape else source.batch_size,
        seq_len=sequence_length(first) if first else 0,
        cache_length=cached_length({one.name: one.tensor.shape for one in loaded.inputs}),
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
        compressed=loaded.compressed,
        compressible=loaded.compressible,
    )


def sequence_length(tensor: Tensor) -> int:
    """Tokens in a row: of ids `[batch, tokens]` or vectors `[batch, tokens, features]`; 0 for other inputs."""
    is_sequence = len(tensor.shape) == 3 or (len(tensor.shape) == 2 and tensor.dtype.startswith("int"))  # noqa: PLR2004
    return tensor.shape[1] if is_sequence else 0
