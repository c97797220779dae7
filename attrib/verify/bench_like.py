"""The interface of a bench that measures experiments; `attrib.capture.bench.bench.Bench` is one, tests have others."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from attrib.capture.bench.launches import Effort
from attrib.model.capture_options import CaptureOptions
from attrib.model.manifest import OutputDifference, Role

Blocks = Sequence[Sequence[int]]


class Measured(Protocol):
    """Two sets of options that were measured side by side."""

    @property
    def baseline_ns(self) -> Blocks:
        """Times of the first one's plain steps in nanoseconds, by round."""
        ...

    @property
    def variant_ns(self) -> Blocks:
        """Times of the second one's plain steps in nanoseconds, by round."""
        ...

    @property
    def outputs(self) -> tuple[OutputDifference, ...]:
        """How far the second's outputs are from the first's."""
        ...

    @property
    def same(self) -> bool:
        """Whether the engine got the same model and the same options for both: the change changed nothing."""
        ...

    @property
    def launches(self) -> Sequence[int]:
        """Which start of the processes each round belongs to."""
        ...

    @property
    def busy(self) -> bool:
        """Whether something else disturbed most rounds."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Things that disturbed the measurement, one sentence each."""
        ...


class BenchLike(Protocol):
    """Measures two sets of options side by side."""

    @property
    def inputs_sha256(self) -> str:
        """Hash of the inputs that the model gets, as the manifest has it."""
        ...

    def compare(
        self, baseline: CaptureOptions, variant: CaptureOptions, role: Role, effort: Effort, /
    ) -> Measured:
        """Run both in plain blocks that alternate, without a profiler."""
        ...

    def count_ops(self, options: CaptureOptions) -> Mapping[str, int]:
        """Count the op types of the graph that ONNX Runtime runs with these options."""
        ...
