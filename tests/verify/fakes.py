"""A bench that knows what every option costs, a capture to add results to, and experiments made of options."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from msgspec.structs import replace

from attrib.capture.bench.launches import Effort
from attrib.capture.storage.writer import TraceWriter
from attrib.model.capture_options import CaptureOptions
from attrib.model.estimate import Delta
from attrib.model.experiment import Prediction
from attrib.model.manifest import Manifest, OutputDifference, Role, Side, Workload
from attrib.verify.plan import Planned
from attrib.verify.protocol import Experiment, Variant

ORIGINAL = CaptureOptions(model="two-linears")
STEP = 1_000_000
LAUNCHES = (0, 0, 1, 1, 2, 2, 3, 3)
Cost = Callable[[CaptureOptions], float]


@dataclass(frozen=True)
class FakeComparison:
    baseline_ns: tuple[tuple[int, ...], ...]
    variant_ns: tuple[tuple[int, ...], ...]
    outputs: tuple[OutputDifference, ...]
    same: bool = False
    notes: tuple[str, ...] = ()
    launches: tuple[int, ...] = ()
    busy: bool = False


@dataclass
class FakeBench:
    """Every step takes what `cost` says of its options, give or take `noise`; `differs` from the original."""

    cost: Cost
    differs: Callable[[CaptureOptions], bool] = lambda _: False
    raises: Callable[[CaptureOptions], BaseException | None] = lambda _: None
    ops: Callable[[CaptureOptions], Mapping[str, int]] = lambda _: {}
    inputs_sha256: str = "same"
    noise: float = 0.0005
    notes: tuple[str, ...] = ()
    busy: bool = False
    efforts: list[Effort] = field(default_factory=list)
    compared: list[tuple[CaptureOptions, CaptureOptions]] = field(default_factory=list)
    started: int = 0

    def compare(self, baseline, variant, role, effort):
        error = self.raises(variant)
        if error is not None:
            raise error
        self.compared.append((baseline, variant))
        self.efforts.append(effort)
        generator = np.random.default_rng(len(self.compared))
        differ = self.differs(variant) != self.differs(baseline)
        return FakeComparison(
            self._blocks(baseline, generator),
            self._blocks(variant, generator),
            (difference(equal=not differ),),
            same=baseline == variant,
            notes=self.notes,
            launches=LAUNCHES,
            busy=self.busy,
        )

    def count_ops(self, options):
        return self.ops(options)

    def _blocks(self, options, generator):
        step = self.cost(options)
        noise = generator.normal(1.0, self.noise, size=(len(LAUNCHES), 5))
        return tuple(tuple(int(step * factor) for factor in row) for row in noise)

    def __call__(self):
        self.started += 1
        return self


def difference(*, equal):
    return OutputDifference(
        name="output", shape=(1,), max_abs=0.0 if equal else 1.0, max_rel=0.0 if equal else 1.0, cosine=1.0,
        tolerance=1e-4, equal=equal,
    )  # fmt: skip


def experiment(name, *, side: Role = "onnxruntime", changes_numbers=False, variants=(), packages=()):
    return Experiment(
        id=name, title=f"Title of {name}", about="", side=side, variants=lambda _: variants,
        changes_numbers=changes_numbers, packages=packages,
    )  # fmt: skip


def predicted(low, median, high, kind="estimate"):
    return Prediction(kind=kind, saving_ns=Delta(low=low, median=median, high=high), basis="because")


def planned(
    name,
    *,
    findings=(),
    prediction=None,
    family=None,
    side: Role = "onnxruntime",
    changes_numbers=False,
    **changes,
):
    """An experiment of one variant, which changes these options of the original."""
    options = replace(ORIGINAL, **changes)
    variant = Variant(id=name, title=f"Title of {name}", options=options, predicted=prediction)
    own = experiment(family or name, side=side, changes_numbers=changes_numbers, variants=(variant,))
    return Planned(experiment=own, variant=variant, findings=findings)


def manifest_of(**changes):
    sides = {
        "torch": Side(engine="torch", state="complete", folder="torch", mode="eager", threads=2),
        "onnxruntime": Side(
            engine="onnxruntime", state="complete", folder="ort", requested_providers=("CPUExecutionProvider",),
            opt_level="all", exporter="dynamo", opset=20, threads=2,
            settings={"io_binding": "false", "shapes": "static"},
        ),
    }  # fmt: skip
    workload = Workload(
        model="two-linears", source="built-in", weights="w", batch_size=64, seq_len=0, inputs_sha256="same"
    )
    manifest = Manifest(attrib_version="0", created="2026-01-01T00:00:00Z", workload=workload, sides=sides)
    return replace(manifest, **changes)


def captured(root: Path, manifest: Manifest | None = None) -> Manifest:
    """A directory with one artifact and its manifest, as a capture leaves it."""
    directory = TraceWriter(root)
    directory.write("torch/trace.json.gz", b"a trace")
    directory.write_manifest(manifest or manifest_of())
    return read(root)


def read(root: Path) -> Manifest:
    return msgspec.json.decode((root / "manifest.json").read_bytes(), type=Manifest)
