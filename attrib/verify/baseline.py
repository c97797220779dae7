"""The capture that experiments are compared with: its directory, its options, and what can be tried on it."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import msgspec

from attrib.api import Analysis, load
from attrib.capture.bench.launches import Effort
from attrib.capture.session.providers_from_manifest import checked_interpreter
from attrib.capture.session.request_from_manifest import options_of, recorded_options
from attrib.errors import AttribError
from attrib.findings.registry import RULES
from attrib.model.capture_options import CaptureOptions
from attrib.model.manifest import EXPORTED, ROLES, Manifest
from attrib.verify.identity import check_graph
from attrib.verify.measuring import Setup
from attrib.verify.plan import Offer, Planned, Request, offers, plan
from attrib.verify.protocol import Experiment, ExperimentContext
from attrib.verify.results import Results


def manifest_of(analysis: Analysis) -> Manifest:
    """The manifest of a capture.

    Raises:
        AttribError: The directory has none, because attrib did not capture it.
    """
    manifest = analysis.directory.manifest
    if manifest is None:
        raise AttribError(
            f"{analysis.directory.root}: attrib did not capture it, so it does not know what ran",
            hint="record it with `attrib profile`, which writes down how",
        )
    return manifest


def context_of(analysis: Analysis, options: CaptureOptions) -> ExperimentContext:
    """What an experiment may look at in a capture.

    Args:
        analysis: What `attrib.api.load` gives.
        options: The options with which the capture can be repeated.

    Raises:
        AttribError: The directory has no manifest, because attrib did not capture it.
    """
    return ExperimentContext(
        options=options,
        manifest=manifest_of(analysis),
        evidence=analysis.evidence,
        chain=analysis.chain,
        trails=analysis.trails,
    )


TIMEOUT_S = 600.0
"""Exporting and compiling a large model takes minutes; what takes longer than this hangs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a run measures, and what the user names of the capture.

    Attributes:
        model: The model, where it is not built in.
        sentence_transformer: The model of sentence-transformers, where the capture ran one.
        onnx: The ONNX file, where the capture ran one.
        text: The sentences of the capture.
        ort_python: The interpreter that runs ONNX Runtime, where the capture had one.
        provider_options: Provider options of the capture that may name a file.
        provider_libraries: The provider libraries of the capture.
        env: Environment variables of the capture that may name a file or code.
        rounds: Interleaved rounds at most; None for the capture's.
        launches: Starts of the processes; None for the capture's.
        tolerance: Half interval, in percent of the slower step, that is narrow enough; None for the capture's.
        max_time: Seconds after which an experiment begins no further launch; None for a default.
        iterations: Steps in a block; None for the capture's.
        timeout: Seconds that an engine may take for one answer.
        again: Also measure experiments that have a result.
        accept_changed_numbers: The best configuration may change the numbers.
    """

    model: str | None = None
    sentence_transformer: str | None = None
    onnx: Path | None = None
    text: tuple[str, ...] = ()
    ort_python: Path | None = None
    provider_options: tuple[str, ...] = ()
    provider_libraries: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    rounds: int | None = None
    launches: int | None = None
    tolerance: float | None = None
    max_time: float | None = None
    iterations: int | None = None
    timeout: float = TIMEOUT_S
    again: bool = False
    accept_changed_numbers: bool = False


@dataclass(eq=False, kw_only=True)
class Baseline:
    """A trace directory to verify; each part is read when it is first needed.

    Attributes:
        root: The directory.
        settings: How to measure, and what the user names of the capture.
        experiments: What may be tried; None for every experiment that attrib has.
    """

    root: Path
    settings: Settings = field(default_factory=Settings)
    experiments: tuple[Experiment, ...] | None = None

    @cached_property
    def analysis(self) -> Analysis:
        """The directory, read and analyzed."""
        return load(self.root)

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest of the capture.

        Raises:
            AttribError: The directory has none, because attrib did not capture it.
        """
        return manifest_of(self.analysis)

    @cached_property
    def options(self) -> CaptureOptions:
        """The options of the capture, completed by what only the user can name; see `options_of`."""
        settings = self.settings
        found = options_of(
            self.manifest,
            model=settings.model,
            sentence_transformer=settings.sentence_transformer,
            onnx=settings.onnx,
            text=settings.text,
            ort_python=settings.ort_python,
            provider_options=settings.provider_options,
            provider_libraries=settings.provider_libraries,
            env=settings.env,
        )
        if found.ort_python is not None:
            path = checked_interpreter(self.manifest, found.ort_python)
            found = msgspec.structs.replace(found, ort_python=path)
        if found.onnx is not None:
            check_graph(self.analysis.directory.graphs().get(EXPORTED), found.onnx)
        return found

    @cached_property
    def setup(self) -> Setup:
        """How experiments are measured: as the capture was, unless the user says otherwise."""
        settings, recorded, latency = self.settings, self.options, self.analysis.document.latency
        medians = {"torch": latency.torch_ns, "onnxruntime": latency.onnxruntime_ns}
        return Setup(
            options=recorded,
            captured_ns={role: found.median for role in ROLES if (found := medians[role]) is not None},
            effort=Effort(
                rounds=settings.rounds or recorded.rounds,
                launches=settings.launches or recorded.launches,
                tolerance=(recorded.tolerance if settings.tolerance is None else settings.tolerance) / 100,
                max_time=settings.max_time,
                iterations=settings.iterations or recorded.iterations,
                seed=recorded.seed,
            ),
        )

    @cached_property
    def results(self) -> Results:
        """The results in the directory."""
        return Results(self.root, self.manifest, self.analysis.directory.experiments())

    def offers(self, *, named: bool = True) -> tuple[Offer, ...]:
        """What each experiment would measure here, or why it does not apply.

        Args:
            named: Complete the options by what only the user can name; without it, nothing has to be named.
        """
        from attrib.verify.experiments import EXPERIMENTS

        options = self.options if named else recorded_options(self.manifest)
        context = context_of(self.analysis, options)
        experiments = EXPERIMENTS if self.experiments is None else self.experiments
        return offers(context, experiments, RULES, self.analysis.document.findings)

    @cached_property
    def own_offers(self) -> tuple[Offer, ...]:
        """The offers for the options of the capture, as the user completed them."""
        return self.offers()

    def plan(self, request: Request) -> tuple[Planned, ...]:
        """Choose what to run, in its order.

        Raises:
            UsageError: The user names what there is not.
        """
        return plan(self.own_offers, request, RULES, self.analysis.document.findings)

    def candidates(self) -> tuple[Planned, ...]:
        """The changes of ONNX Runtime that the best configuration may consist of: those that keep the numbers."""
        accepted = self.settings.accept_changed_numbers
        return tuple(
            item for item in self.plan(Request(everything=True))
            if item.variant is not None
            and item.experiment.side == "onnxruntime"
            and (accepted or not item.experiment.changes_numbers)
        )  # fmt: skip

    def why_nothing(self, request: Request) -> str:
        """Say why a request gives no experiment, in one line."""
        reasons = [
            f"{rule.id}: {rule.unproved or 'its experiments do not apply here'}"
            for rule in RULES
            if rule.id in request.findings
        ]
        if reasons:
            return f"nothing to measure: {'; '.join(reasons)}"
        if request.everything:
            return "nothing to measure: no experiment applies here (--list says why)"
        return "nothing to measure: no failed finding has an experiment (--all tries every one that applies)"
