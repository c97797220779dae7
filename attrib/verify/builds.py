"""`attrib verify DIR --against-ort PYTHON`: another build of ONNX Runtime, measured and profiled beside the captured one.

Both open the same file with the same options, and each optimizes it itself. Plain blocks, launches and stopping are those of
every experiment; profiled blocks follow the plain ones of each round, as in a capture.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from attrib.analysis.attribution.partitions import partition_of_profile
from attrib.analysis.lineage.graph import Graph
from attrib.analysis.lineage.reader import graph_from_bytes
from attrib.capture.bench.launches import Effort
from attrib.capture.bench.profiles import ProfiledPair, ProfiledSide
from attrib.capture.session.commands import providers_of
from attrib.capture.session.providers_from_manifest import check_runtime
from attrib.capture.system.interpreter import AGAINST_ORT, ORT_PYTHON, check_interpreter
from attrib.capture.system.providers import RuntimeInfo, probe_runtime
from attrib.capture.workers.process import WorkerError
from attrib.comparison import BuildRun, compare_nodes
from attrib.errors import AttribError
from attrib.model.capture_options import CaptureOptions
from attrib.model.execution_providers import package_of
from attrib.model.experiment import ExperimentResult
from attrib.model.manifest import ROLES, Manifest, Role
from attrib.rewrite.files import strip_graph
from attrib.scrub import scrub
from attrib.traces import read_ort_profile
from attrib.verify.bench_like import Measured
from attrib.verify.measuring import Setup, with_figures

PREFIX = "against-"
_BUSY = "most profiled rounds stayed disturbed, so that no change of a node counts as certain"


class Profiled(Measured, Protocol):
    """Two builds that were measured and profiled side by side."""

    @property
    def settings(self) -> Mapping[str, str]:
        """What bears on the second one's speed."""
        ...

    @property
    def baseline_settings(self) -> Mapping[str, str]:
        """The same of the first one."""
        ...

    @property
    def profiles(self) -> ProfiledPair | None:
        """What was recorded."""
        ...


class ProfilingBench(Protocol):
    """A bench that can profile what it compares; `attrib.capture.bench.bench.Bench` is one."""

    def compare(
        self,
        baseline: CaptureOptions,
        variant: CaptureOptions,
        role: Role,
        effort: Effort,
        /,
        *,
        profiled: bool = False,
    ) -> Profiled:
        """Run both in plain blocks that alternate, and with `profiled` in profiled ones as well."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherBuild:
    """An interpreter that was looked at.

    Attributes:
        python: Its absolute path.
        runtime: Its ONNX Runtime.
        captured: The one that the capture ran, as it is installed now.
    """

    python: Path
    runtime: RuntimeInfo
    captured: RuntimeInfo


def name_of(runtime: RuntimeInfo) -> str:
    """Package and version as a reader writes them."""
    return f"{runtime.package or 'onnxruntime'} {runtime.version}"


def check_build(manifest: Manifest, options: CaptureOptions, named: Path) -> OtherBuild:
    """Look whether another ONNX Runtime can be compared with the captured one; nothing is measured.

    Args:
        manifest: Of the capture.
        options: With which the capture is repeated.
        named: The interpreter, as the user named it.

    Raises:
        UsageError: There is no such interpreter.
        AttribError: It has no ONNX Runtime that works or lacks a provider, or the captured one is not installed any more.
    """
    wanted = providers_of(options)
    python = check_interpreter(named, wanted, option=AGAINST_ORT)
    runtime = probe_runtime(interpreter=str(python))
    if runtime.error:
        raise AttribError(
            f"{AGAINST_ORT}: ONNX Runtime cannot be imported there: {runtime.error}",
            hint=f"{python} -c 'import onnxruntime' says more",
        )
    # A provider that a library brings is in no build; the session says whether the library loads.
    built_in = () if options.provider_libraries else wanted
    lacking = [name for name in built_in if name not in runtime.available]
    if lacking:
        raise AttribError(
            f"{AGAINST_ORT}: {name_of(runtime)} has no {', '.join(lacking)}, on which the capture ran",
            hint=f"an environment with {package_of(lacking)}, or a capture on a provider that both have",
        )
    captured = probe_runtime(interpreter=str(options.ort_python or sys.executable))
    where = ORT_PYTHON if options.ort_python else "this environment"
    check_runtime(manifest.sides["onnxruntime"], captured, where)
    return OtherBuild(python=python, runtime=runtime, captured=captured)


def build_row(build: OtherBuild) -> ExperimentResult:
    """Write the row of a comparison before it is measured."""
    before, after = name_of(build.captured), name_of(build.runtime)
    title = f"{after} in place of {before}"
    return ExperimentResult(
        id=PREFIX + after.replace(" ", "-"),
        title=f"{after} against itself (A/A)" if before == after else title,
        side="onnxruntime",
        flags=f"{ORT_PYTHON} PYTHON",
        state="measured",
        unpredicted="a profile says nothing of other kernels and optimizers",
    )


def compare_builds(bench: ProfilingBench, setup: Setup, build: OtherBuild) -> ExperimentResult:
    """Measure and profile both builds side by side.

    Args:
        bench: Measures.
        setup: How; its options are those of the capture.
        build: The other one.

    Raises:
        AttribError: Either cannot run the model.
    """
    from attrib.capture.bench.bench import BaselineError

    row = build_row(build)
    other = replace(setup.options, ort_python=build.python)
    try:
        found = bench.compare(setup.options, other, row.side, setup.effort, profiled=True)
    except BaselineError:
        raise
    except WorkerError as error:
        hint = "attrib profile --opset N with an opset that both read" if "opset" in str(error) else ""
        raise AttribError(
            f"{AGAINST_ORT}: {name_of(build.runtime)}: {error}", hint=error.hint or hint
        ) from error
    ran = [its.get("providers", "") for its in (found.baseline_settings, found.settings)]
    if ran[0] != ran[1]:
        raise AttribError(
            f"{AGAINST_ORT}: {name_of(build.runtime)} ran on {ran[1]}, and the captured one on {ran[0]}",
            hint=f"attrib doctor {ORT_PYTHON} {build.python} says what the provider lacks there",
        )
    pair = found.profiles
    assert pair is not None  # noqa: S101  (the bench was asked to profile)
    graphs = [_graph_at(file) for file in pair.graphs]
    before, after = (_run_of(pair, side, role) for side, role in zip(pair.sides, ROLES, strict=True))
    busy = pair.latencies.is_busy("profiled")
    remarks = (*found.notes, *_remarks_on((before, after)), *((_BUSY,) if busy else ()))
    compared = compare_nodes(
        before, after, graphs, pair.latencies.launches(), map(scrub, remarks), fair=not busy
    )
    return replace(with_figures(row, found), builds=compared)


def _run_of(pair: ProfiledPair, side: ProfiledSide, role: Role) -> BuildRun:
    """Read what one build recorded."""
    recording = read_ort_profile(side.profile)
    partition = partition_of_profile(recording, pair.latencies, role, side.zero_ns)
    if partition is None:
        raise AttribError(f"the profile of ONNX Runtime {side.facts.version} holds none of its steps")
    partition.self_check()
    return BuildRun(
        package=side.facts.package,
        version=side.facts.version,
        python=side.facts.python,
        partition=partition,
        optimized=_graph_at(side.optimized) if side.optimized is not None else None,
    )


def _graph_at(file: Path) -> Graph:
    return graph_from_bytes(strip_graph(file), file.name)


def _remarks_on(runs: Sequence[BuildRun]) -> Iterator[str]:
    """What keeps the times of nodes from being what they seem."""
    for run in runs:
        if run.optimized is None:
            yield f"{run.version} saves no graph here, so nodes are matched by their names"
        if run.partition.unseen:
            kernels = ", ".join(run.partition.unseen)
            yield f"kernels of {kernels} were not recorded: node times in {run.version} are those of enqueuing"
