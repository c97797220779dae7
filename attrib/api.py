"""The Python interface: `load` a trace directory, `profile` a model, and write the reports.

`load` needs numpy, onnx and pyarrow, and no engine; pandas is imported when a table is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrib.analysis.attribution.ledger.headline import Blocks, headline
from attrib.analysis.attribution.ledger.interrupted import notes_on, plain_ledger
from attrib.analysis.attribution.ledger.ledger import build_ledger
from attrib.analysis.attribution.ledger.profiled import coverage, step_times
from attrib.analysis.attribution.ledger.rows import Ledger
from attrib.analysis.attribution.partitions import partition_of
from attrib.analysis.attribution.roofline.peaks import machine_limits
from attrib.analysis.attribution.roofline.roofline import rooflines
from attrib.analysis.attribution.timeline import timelines_of
from attrib.analysis.lineage.graph import Graph
from attrib.analysis.lineage.reader import graph_from_bytes
from attrib.analysis.match.regions import regions
from attrib.analysis.missing_evidence import Recorded, gaps
from attrib.analysis.provenance import Chain, chain_of, region_trails, shortened
from attrib.errors import AttribError, UsageError
from attrib.findings.comparability.checks import checks
from attrib.findings.protocol import Evidence
from attrib.findings.runner import run
from attrib.findings.verified import by_saving, with_verified, without_steps
from attrib.model.document import Document
from attrib.model.manifest import EXPORTED, OPTIMIZED, ROLES, Environment, Manifest, Role, Workload
from attrib.model.provenance import RegionTrail
from attrib.model.region import Region
from attrib.model.work import Partition
from attrib.traces.directory.trace_directory import TraceDirectory, open_directory
from attrib.version import __version__

if TYPE_CHECKING:
    import pandas as pd

    from attrib.report.view.explain import Explanation
    from attrib.traces.io.source import Progress


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything that attrib knows about one trace directory.

    Attributes:
        directory: Where it comes from.
        partitions: The profiled steps of the sides that there are.
        regions: Calls and nodes that compute the same tensors.
        ledger_rows: The ledger with its intervals.
        chain: The captured graphs and what turned each into the next.
        trails: What is behind each region, whole; the document holds the same with long lists cut.
        evidence: What the rules read.
        document: The report as data.
    """

    directory: TraceDirectory
    partitions: dict[Role, Partition]
    regions: tuple[Region, ...]
    ledger_rows: Ledger
    chain: Chain
    trails: tuple[RegionTrail, ...]
    evidence: Evidence
    document: Document

    @cached_property
    def ledger(self) -> pd.DataFrame:
        """The ledger, one row a region and cause; durations in nanoseconds."""
        return _frame([_columns(row) for row in self.ledger_rows.rows])

    @cached_property
    def nodes(self) -> pd.DataFrame:
        """Nodes that ONNX Runtime executed, with the mean profiled time in nanoseconds."""
        return self._work("onnxruntime")

    @cached_property
    def calls(self) -> pd.DataFrame:
        """PyTorch calls, with the mean profiled time in nanoseconds."""
        return self._work("torch")

    def explain(self, name: str) -> Explanation:
        """What is behind one name: a node, call, module, value, fx node, region or ledger row.

        Raises:
            UsageError: Nothing has that name, or several things do.
        """
        from attrib.report.view.explain import Explainer

        return Explainer(
            self.regions,
            self.trails,
            self.chain,
            self.ledger_rows,
            findings=self.document.findings,
            experiments=self.document.experiments,
        ).explain(name)

    def _work(self, role: Role) -> pd.DataFrame:
        partition = self.partitions.get(role)
        if partition is None:
            return _frame([])
        region_of = {i: r.id for r in self.regions for i in (r.calls if role == "torch" else r.nodes)}
        means = partition.work_ns.mean(axis=1)
        return _frame([
            _columns(work) | {"region": region_of[work.id], "mean_ns": float(mean)}
            for work, mean in zip(partition.work, means, strict=True)
        ])  # fmt: skip

    def save(self, path: str | Path, *, static: bool = False) -> Path:
        """Write the report; the format follows the suffix: `.html`, `.json` or `.md`."""
        from attrib.report.files import write

        return write(self.document, Path(path), static=static)


def load(trace_dir: str | Path, *, lenient: bool = False, progress: Progress | None = None) -> Analysis:
    """Analyze a trace directory.

    Args:
        trace_dir: What `attrib profile` wrote, or a directory with a Kineto trace and an ORT profile.
        lenient: Recover every whole event of a damaged trace; the document's `damage` says what was lost.
        progress: Told the bytes read so far of each trace, and how many it has.

    Raises:
        AttribError: The directory cannot be used; the message says why.
    """
    directory = open_directory(Path(trace_dir), lenient=lenient, progress=progress)
    latency = directory.latency()
    plain: dict[Role, Blocks] = {role: latency.blocks(role, "plain") for role in ROLES} if latency else {}
    found = {role: partition_of(directory, role, latency) for role in ROLES}
    partitions: dict[Role, Partition] = {role: p for role, p in found.items() if p is not None}
    if not partitions and headline(plain).latency.delta_ns is None:
        raise _nothing(directory)
    for partition in partitions.values():
        partition.self_check()
    graphs = {name: graph_from_bytes(data, name) for name, data in directory.graphs().items()}
    matched = regions(
        _work(partitions, "torch"),
        _work(partitions, "onnxruntime"),
        tuple(graphs.values()) if EXPORTED in graphs else (),
        ran=OPTIMIZED in graphs,
        flow=directory.flow("torch"),
        placement=directory.placement("onnxruntime"),
    )
    warmup = {role: latency.before_plain(role) for role in plain} if latency else {}
    return _analysis(directory, partitions, matched, plain, warmup, graphs)


def _nothing(directory: TraceDirectory) -> AttribError:
    """Neither a profile nor a headline: a capture that was interrupted can go on, another directory has nothing."""
    began = directory.manifest is not None and bool(directory.manifest.launches)
    missing = f" ({'; '.join(directory.missing)})" if directory.missing else ""
    if began:
        return AttribError(
            f"{directory.root}: the capture was interrupted before anything was measured{missing}",
            hint=f"attrib profile --resume {directory.root}",
        )
    return AttribError(
        f"{directory.root}: holds no profiled steps of either engine{missing}",
        hint="record one with `attrib profile --model bert-base-uncased`",
    )


def profile(model: Any, inputs: Any = None, *, output: str | Path | None = None, **options: Any) -> Analysis:
    """Run a model in PyTorch and in ONNX Runtime, and analyze the difference.

    Args:
        model: A name, directory, hub id or `file.py:factory`, as for `attrib profile --model`; or a live module whose
            class can be imported.
        inputs: Example inputs of a live module: a mapping by name, or a sequence by position.
        output: The trace directory to write; by default `attrib-<model>-<date>-<time>`.
        options: Further fields of `attrib.capture.CaptureOptions`, e.g. `batch_size=8`.

    Raises:
        AttribError: Nothing could be measured, or an option is wrong.
    """
    from attrib.capture import CaptureOptions, Handover, capture

    named = isinstance(model, str | Path)
    if named != (inputs is None):
        raise UsageError("a model by name brings its own inputs, and a live module needs some")
    known: dict[str, Any] = {
        "output": Path(output) if output else None,
        "model": str(model) if named else type(model).__name__,
    }
    unknown = sorted(set(options) - set(CaptureOptions.__struct_fields__))
    if unknown:
        raise UsageError(f"unknown option {', '.join(unknown)}", hint="see attrib.capture.CaptureOptions")
    return load(
        capture(CaptureOptions(**options, **known), handover=None if named else Handover(model, inputs))
    )


def _work(partitions: dict[Role, Partition], role: Role) -> tuple[Any, ...]:
    return partitions[role].work if role in partitions else ()


def _analysis(
    directory: TraceDirectory,
    partitions: dict[Role, Partition],
    matched: tuple[Region, ...],
    plain: dict[Role, Blocks],
    warmup: dict[Role, tuple[int, ...]],
    graphs: dict[str, Graph],
) -> Analysis:
    manifest, head = directory.manifest, headline(plain)
    sides = manifest.sides if manifest else {}
    requested = sides["onnxruntime"].requested_providers if "onnxruntime" in sides else ()
    ledger = (
        build_ledger(
            partitions,
            matched,
            head,
            overheads={role: side.overhead for role, side in sides.items()},
            provider=requested[0] if requested else "",
        )
        if partitions
        else plain_ledger(head)
    )
    evidence = Evidence(
        ledger=ledger,
        latency=head.latency,
        manifest=manifest,
        partitions=partitions,
        work={role: {w.id: w for w in p.work} for role, p in partitions.items()},
        regions={region.id: region for region in matched},
        graphs=graphs,
        outputs=directory.outputs(),
        plain_ns={role: tuple(tuple(b.tolist()) for b in blocks.values()) for role, blocks in plain.items()},
        warmup_ns=warmup,
        placement=directory.placement("onnxruntime"),
    )
    chain = chain_of(graphs, manifest)
    trails = region_trails(matched, partitions, ledger, chain)
    document = _document(evidence, directory, ledger, matched, trails)
    return Analysis(directory, partitions, matched, ledger, chain, trails, evidence, document)


def _document(
    evidence: Evidence,
    directory: TraceDirectory,
    ledger: Ledger,
    matched: tuple[Region, ...],
    trails: tuple[RegionTrail, ...],
) -> Document:
    manifest = evidence.manifest or _unknown_capture()
    causes = ledger.causes()
    delta = {row.cause: row.delta_ns for row in causes}
    experiments = by_saving(directory.experiments())
    partitions = evidence.partitions
    limits = machine_limits(manifest.sides)
    return Document(
        attrib_version=__version__,
        created=manifest.created,
        workload=manifest.workload,
        environment=manifest.environment,
        sides=manifest.sides,
        protocol=manifest.protocol,
        comparability=checks(evidence),
        outputs=evidence.outputs,
        latency=evidence.latency,
        coverage=coverage(
            partitions.get("torch"),
            partitions.get("onnxruntime"),
            matched,
            unattributed=delta.get("unattributed", 0),
            overhead=delta.get("profiler_overhead", 0),
        ),
        ledger=ledger.rows,
        causes=causes,
        findings=with_verified(run(evidence), experiments),
        experiments=tuple(map(without_steps, experiments)),
        profiled={role: step_times(p) for role, p in partitions.items()},
        plain_ns=dict(evidence.plain_ns),
        regions=tuple(map(shortened, trails)),
        timeline=timelines_of(partitions, ledger.rows),
        rooflines=rooflines(ledger.rows, evidence.work, limits),
        warnings=(
            *notes_on(evidence.manifest, _rounds(evidence)),
            *manifest.warnings,
            *directory.missing,
            *(w for p in partitions.values() for w in p.warnings),
        ),
        damage=tuple(directory.damage.values()),
        gaps=gaps(
            Recorded(
                plain=frozenset(role for role, blocks in evidence.plain_ns.items() if blocks),
                graphs=evidence.graphs,
                partitions=partitions,
                regions=matched,
                peaks=bool(limits),
            )
        ),
        command=manifest.command,
    )


def _rounds(evidence: Evidence) -> int:
    """Rounds in which both engines were measured."""
    return min((len(evidence.plain_ns.get(role, ())) for role in ROLES), default=0)


def _unknown_capture() -> Manifest:
    """What a directory without a manifest says of its capture: nothing."""
    return Manifest(
        attrib_version="",
        created="",
        workload=Workload(
            model="unknown", source="", weights="unknown", batch_size=0, seq_len=0, precision=""
        ),
        sides={},
        environment=Environment(),
        warnings=("attrib did not record these traces: versions, threads and inputs are unknown",),
    )


def _columns(struct: Any) -> dict[str, Any]:
    import msgspec

    return {name: getattr(struct, name) for name in struct.__struct_fields__} | {
        f"match_{k}": v for k, v in msgspec.to_builtins(getattr(struct, "match", {})).items()
    }


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows).drop(columns=["match"], errors="ignore")
