"""How a trace directory becomes a document: six stages, in the order of `STAGES`.

Each stage reads the fields of `AnalysisState` that the stages before it filled in (its precondition) and fills in its own
(its postcondition). Add a stage by writing its function and naming it in `STAGES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from attrib.analysis.attribution.judgement import judge, machine_state, plain_blocks
from attrib.analysis.attribution.ledger.headline import Blocks, Headline, headline
from attrib.analysis.attribution.ledger.interrupted import notes_on, plain_ledger
from attrib.analysis.attribution.ledger.ledger import build_ledger
from attrib.analysis.attribution.ledger.profiled import coverage, step_times
from attrib.analysis.attribution.page_faults import fault_times
from attrib.analysis.attribution.partitions import partition_of
from attrib.analysis.attribution.roofline.peaks import machine_limits
from attrib.analysis.attribution.roofline.roofline import rooflines
from attrib.analysis.attribution.timeline import timelines_of
from attrib.analysis.lineage.reader import graph_from_bytes
from attrib.analysis.match.cache_work import cache_work
from attrib.analysis.match.regions import regions
from attrib.analysis.match.same_model import strangers
from attrib.analysis.match.step_values import StepValues
from attrib.analysis.match.value_check import ValueCheck, with_verdicts
from attrib.analysis.missing_evidence import Recorded, find_missing_evidence
from attrib.analysis.provenance import Chain, chain_of, region_provenance, shorten
from attrib.errors import AttribError, InternalError
from attrib.findings.commands import with_whole_commands
from attrib.findings.comparability.checks import checks
from attrib.findings.protocol import Evidence
from attrib.findings.runner import run
from attrib.findings.verified import by_saving, with_verified, without_steps
from attrib.model.document import Document
from attrib.model.manifest import EXPORTED, OPTIMIZED, ROLES, Environment, Manifest, Role, Workload
from attrib.model.values import ROUGH, Values
from attrib.version import __version__

if TYPE_CHECKING:
    from attrib.analysis.attribution.ledger.rows import Ledger
    from attrib.analysis.lineage.graph import Graph
    from attrib.model.document import Finding, Judgement
    from attrib.model.experiment import ExperimentResult
    from attrib.model.latency import LatencyTable
    from attrib.model.provenance import RegionTrail
    from attrib.model.region import Region
    from attrib.model.work import Partition, Work
    from attrib.traces.directory.trace_directory import TraceDirectory


UNKNOWN_CAPTURE = Manifest(
    attrib_version="",
    created="",
    workload=Workload(model="Unknown model", source="", weights="", batch_size=0, seq_len=0, precision=""),
    sides={},
    environment=Environment(),
    warnings=("attrib did not record these traces: versions, threads and inputs are unknown",),
)
"""What a directory without a manifest says of its capture: nothing."""


_NO_STEP: dict[Role, str] = {
    "torch": "record the host's operators too, with ProfilerActivity.CPU",
    "onnxruntime": "run the session while it is profiled",
}


@dataclass(slots=True, eq=False)
class AnalysisState:
    """What is known of one trace directory; a field that no stage has filled in yet raises `AttributeError`."""

    directory: TraceDirectory

    # read
    latency: LatencyTable | None = field(init=False)
    plain: dict[Role, Blocks] = field(init=False)
    """Wall times of the plain steps by side and block; empty without a latency table."""
    headline: Headline = field(init=False)

    # partition
    partitions: dict[Role, Partition] = field(init=False)
    """The profiled steps of the sides that have any."""
    unusable: list[str] = field(init=False)
    """Traces of somebody else's that hold no step, and why."""

    # match
    strangers: str = field(init=False)
    """Why the two sides cannot be of one model; empty where they can."""
    graphs: dict[str, Graph] = field(init=False)
    """The captured graphs by path, first to last."""
    regions: tuple[Region, ...] = field(init=False)
    values: Values | None = field(init=False)
    """What both sides were seen to compute."""
    chain: Chain = field(init=False)
    keeping: frozenset[str] = field(init=False)
    """Ids of the calls and nodes that keep a language model's cache."""

    # ledger
    ledger: Ledger = field(init=False)
    judgement: Judgement = field(init=False)
    """How far the headline and the split carry."""
    trails: tuple[RegionTrail, ...] = field(init=False)
    """What is behind each region, whole."""

    # findings
    evidence: Evidence = field(init=False)
    experiments: tuple[ExperimentResult, ...] = field(init=False)
    findings: tuple[Finding, ...] = field(init=False)

    # document
    document: Document = field(init=False)


def read(state: AnalysisState) -> None:
    """Read the plain steps and take the headline from those that count.

    The large files are read where they are needed, one at a time: the traces by `partition`, the graphs by `match`.
    """
    latency = state.latency = state.directory.latency()
    state.plain = {role: latency.blocks(role, "plain") for role in ROLES} if latency else {}
    state.headline = headline(state.plain, latency.launches() if latency else {})


def partition(state: AnalysisState) -> None:
    """Split the profiled steps of each side, so that every nanosecond has one owner.

    Ensures that there is something to compare: a profile of some side, or plain steps of both.

    Raises:
        AttribError: There is neither; or a trace cannot be used.
        InternalError: The parts of a step do not sum to its wall time.
    """
    found = {role: partition_of(state.directory, role, state.latency) for role in ROLES}
    state.partitions = {role: its for role, its in found.items() if its is not None}
    state.unusable = [
        f"{name}: holds no step: {_NO_STEP[role]}"
        for role, name in state.directory.trace_names().items()
        if found[role] is None
    ]
    if not state.partitions and state.headline.latency.delta_ns is None:
        directory = state.directory
        missing = "; ".join((*state.unusable, *directory.missing))
        missing = f" ({missing})" if missing else ""
        if directory.manifest is not None and directory.manifest.launches:
            raise AttribError(
                f"{directory.root}: the capture was interrupted before anything was measured{missing}",
                hint=f"attrib profile --resume {directory.root}",
            )
        raise AttribError(
            f"{directory.root}: holds no profiled steps of either engine{missing}",
            hint="record one with `attrib profile --model bert-base-uncased`",
        )
    for its in state.partitions.values():
        its.self_check()


def match(state: AnalysisState) -> None:
    """Bring calls and nodes together in regions, through the captured graphs.

    Ensures that every call and every node is in exactly one region.
    """
    directory, partitions = state.directory, state.partitions
    graphs = state.graphs = {name: graph_from_bytes(data, name) for name, data in directory.graphs().items()}
    work: dict[Role, tuple[Work, ...]] = {
        role: partitions[role].work if role in partitions else () for role in ROLES
    }
    # A capture of attrib's own runs one model in both engines.
    state.strangers = strangers(partitions) if directory.manifest is None else ""
    recorded = state.values = directory.values("onnxruntime")
    values = StepValues(recorded) if recorded else None
    state.regions = regions(
        work["torch"],
        work["onnxruntime"],
        tuple(graphs.values()) if EXPORTED in graphs else (),
        ran=OPTIMIZED in graphs,
        flow=directory.flow("torch"),
        placement=directory.placement("onnxruntime"),
        values=values,
        one_model=not state.strangers,
    )
    if values and recorded and graphs:
        flow = directory.flow("torch")
        check = ValueCheck(
            values,
            work["torch"],
            graphs,
            rough=recorded.tolerance > ROUGH,
            free=flow.input_free if flow else (),
        )
        state.regions = with_verdicts(state.regions, check.verdicts(state.regions))
    state.chain = chain_of(graphs, directory.manifest)
    calls = {call.id: call for call in work["torch"]}
    state.keeping = cache_work(tuple(graphs.values()), state.regions, calls, work["onnxruntime"])


def ledger(state: AnalysisState) -> None:
    """Divide the difference of the plain steps among the regions and causes, and judge how far that carries.

    Ensures that the rows sum to the headline's difference, to the nanosecond.
    """
    sides = state.directory.manifest.sides if state.directory.manifest else {}
    requested = sides["onnxruntime"].requested_providers if "onnxruntime" in sides else ()
    state.ledger = (
        build_ledger(
            state.partitions,
            state.regions,
            state.headline,
            overheads={role: side.overhead for role, side in sides.items()},
            provider=requested[0] if requested else "",
            faults=fault_times(state.latency, sides) if state.latency else None,
            keeping=state.keeping,
        )
        if state.partitions
        else plain_ledger(state.headline)
    )
    state.judgement = judge(state.headline, state.ledger, state.latency, state.strangers, sides)
    state.trails = region_provenance(state.regions, state.partitions, state.ledger, state.chain)


def findings(state: AnalysisState) -> None:
    """Run the rules over the evidence, and set beside each finding what an experiment has shown."""
    directory, latency = state.directory, state.latency
    flow, recorded = directory.flow("torch"), state.values
    state.evidence = Evidence(
        ledger=state.ledger,
        latency=state.headline.latency,
        block_launches={
            role: tuple(state.headline.of_round[number] for number in its)
            for role, its in state.plain.items()
        },
        launches=state.ledger.sampling.launches,
        judgement=state.judgement,
        machine=machine_state(latency, directory.manifest.sides if directory.manifest else {}),
        manifest=directory.manifest,
        partitions=state.partitions,
        work={role: {work.id: work for work in its.work} for role, its in state.partitions.items()},
        regions={region.id: region for region in state.regions},
        graphs=state.graphs,
        outputs=directory.outputs(),
        plain_ns={
            role: tuple(tuple(block.tolist()) for block in its.values()) for role, its in state.plain.items()
        },
        warmup_ns={role: latency.before_plain(role) for role in state.plain} if latency else {},
        placement=directory.placement("onnxruntime"),
        input_free=flow.input_free if flow else None,
        numbers=recorded.graphs.get(OPTIMIZED, {}) if recorded else {},
    )
    state.experiments = by_saving(directory.experiments())
    found = with_verified(run(state.evidence), state.experiments)
    state.findings = with_whole_commands(found, directory.manifest)


def document(state: AnalysisState) -> None:
    """Put everything that a report shows into one document."""
    directory, evidence, partitions = state.directory, state.evidence, state.partitions
    manifest = directory.manifest or UNKNOWN_CAPTURE
    # Of two models there is nothing to divide: what each spends its time on is in its own breakdown.
    one_model = not state.strangers
    rows, causes = (state.ledger.rows, state.ledger.causes()) if one_model else ((), ())
    split, trails = (state.regions, state.trails) if one_model else ((), ())
    delta = {row.cause: row.delta_ns for row in causes}
    limits = machine_limits(manifest.sides)
    # Rounds in which both engines were measured.
    rounds = min((len(evidence.plain_ns.get(role, ())) for role in ROLES), default=0)
    state.document = Document(
        attrib_version=__version__,
        created=manifest.created,
        workload=manifest.workload,
        environment=manifest.environment,
        sides=manifest.sides,
        protocol=manifest.protocol,
        comparability=with_whole_commands(checks(evidence), directory.manifest),
        outputs=evidence.outputs,
        latency=evidence.latency,
        coverage=coverage(
            partitions.get("torch"),
            partitions.get("onnxruntime"),
            split,
            unattributed=delta.get("unattributed", 0),
            overhead=delta.get("profiler_overhead", 0),
        ),
        ledger=rows,
        causes=causes,
        findings=state.findings,
        experiments=tuple(map(without_steps, state.experiments)),
        profiled={role: step_times(its) for role, its in partitions.items()},
        plain_ns=dict(evidence.plain_ns),
        plain_blocks=plain_blocks(state.latency),
        judgement=state.judgement,
        state=evidence.machine,
        regions=tuple(map(shorten, trails)),
        timeline=timelines_of(partitions, rows) if one_model else {},
        rooflines=rooflines(rows, evidence.work, limits),
        warnings=(
            *notes_on(directory.manifest, rounds, evidence.latency.launches),
            *manifest.warnings,
            *directory.missing,
            *state.unusable,
            *(warning for its in partitions.values() for warning in its.warnings),
        ),
        damage=tuple(directory.damage.values()),
        gaps=find_missing_evidence(
            Recorded(
                plain=frozenset(role for role, blocks in evidence.plain_ns.items() if blocks),
                graphs=state.graphs,
                partitions=partitions,
                regions=split,
                peaks=bool(limits),
                unread=state.values.unread if state.values else {},
                one_model=one_model,
            )
        ),
        command=manifest.command,
    )


Stage = Callable[[AnalysisState], None]

STAGES: tuple[Stage, ...] = (read, partition, match, ledger, findings, document)


def analyze(directory: TraceDirectory) -> AnalysisState:
    """Run all stages over an opened trace directory.

    Raises:
        AttribError: The directory cannot be used; the message says why.
        InternalError: A stage broke its promise. The message names the stage, and the stages already run; any other
            exception carries the same as a note.
    """
    state, done = AnalysisState(directory), list[str]()
    for stage in STAGES:
        try:
            stage(state)
        except AttribError:
            raise
        except Exception as error:
            where = f"in stage `{stage.__name__}` of the analysis, after {', '.join(done) or 'none'}"
            if isinstance(error, InternalError):
                raise InternalError(f"{error} ({where})") from error
            error.add_note(where)
            raise
        done.append(stage.__name__)
    return state
