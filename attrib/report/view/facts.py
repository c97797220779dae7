"""What a reader is told about the workload, the machine and the measurement, as pairs of label and text."""

from collections.abc import Iterable, Mapping

from attrib.model.document import Document, MachineState, PageFaults
from attrib.model.manifest import PROFILE_ZERO, Protocol, Role, Side
from attrib.report.view.verdict import side_names
from attrib.units import format_ns, format_percent
from attrib.wording import counted

Facts = tuple[tuple[str, str], ...]


def subtitle_of(document: Document) -> tuple[str, ...]:
    """The workload in a line: every word that changes what the figures mean."""
    work = document.workload
    devices = document.environment.accelerators or (
        (document.environment.cpu,) if document.environment.cpu else ()
    )
    parts = (
        work.task,
        counted(work.layers, "layer") if work.layers else "",
        *_sizes(document),
        work.precision,
        f"compressed by {', '.join(change.name for change in work.compressed)}" if work.compressed else "",
        f"{work.attention} attention" if work.attention else "",
        f"{work.padding:.0%} padding" if work.padding else "",
        f"weights: {work.weights}" if work.weights else "",
        *devices,
    )
    return tuple(part for part in parts if part)


def shape_of(document: Document) -> str:
    """How large the inputs of a step were, in a few words; the first input where that has no batch size."""
    inputs = document.workload.inputs
    return ", ".join(_sizes(document)) or (str(inputs[0].tensor) if inputs else "")


def _sizes(document: Document) -> tuple[str, ...]:
    work = document.workload
    sizes = (("batch", work.batch_size), ("sequence", work.seq_len), ("cache", work.cache_length))
    return tuple(f"{name} {size}" for name, size in sizes if size)


def side_facts(side: Side) -> Facts:
    """How one side ran: its versions, options, threads and warm-up, and what its profiler costs."""
    exporter = f"{side.exporter}, opset {side.opset}" if side.exporter and side.opset else side.exporter
    steady = "steady" if side.warmed_up else "not steady at the end"
    cost = side.overhead
    facts = (
        ("State", side.state if not side.error else f"{side.state}: {side.error}"),
        ("Version", side.version),
        ("Mode", side.mode),
        ("Execution providers", ", ".join(side.providers)),
        ("Requested providers", ", ".join(side.requested_providers)),
        ("Optimization level", side.opt_level),
        ("Exporter", exporter),
        ("Intra-op threads", str(side.threads) if side.threads else ""),
        *((name, value) for name, value in sorted(side.settings.items()) if name != PROFILE_ZERO),
        ("Warm-up", f"{counted(side.warmup, 'step')}, {steady}" if side.warmup else ""),
        ("Processor share while idle", format_percent(side.idle_cpu_share) if side.idle_cpu_share else ""),
        (
            "Profiler cost per event",
            f"{format_ns(cost.inside_ns)} inside, {format_ns(cost.outside_ns)} outside" if cost else "",
        ),
    )
    return _drop_empty(facts)


def machine_facts(document: Document) -> Facts:
    """The machine, with nothing that names it."""
    env = document.environment
    load = f"{env.load_before:.1f} and {env.load_after:.1f}" if env.load_after else ""
    facts = (
        ("Processor", env.cpu),
        ("Cores", f"{env.usable_cores:g} usable of {env.logical_cores}" if env.logical_cores else ""),
        ("Memory", f"{env.memory_bytes / 2**30:.1f} GiB" if env.memory_bytes else ""),
        ("Accelerators", ", ".join(env.accelerators)),
        ("System", env.system),
        ("C library", env.libc),
        ("Python", env.python),
        ("Load before and after", load),
    )
    return _drop_empty(facts)


def method_facts(document: Document) -> Facts:
    """How it was measured, and how far the outputs that agree are apart."""
    protocol = document.protocol
    facts = [("Measured", document.created), ("attrib", document.attrib_version)]
    if protocol is not None:
        plain = f"{counted(protocol.rounds, 'interleaved round')} of {counted(protocol.iterations, 'step')}"
        profiled = (
            f"{counted(protocol.profiled_rounds, 'round')} of {counted(protocol.profiled_iterations, 'step')}"
        )
        facts += [
            ("Plain steps", f"{plain}, random order, seed {protocol.seed}"),
            ("Profiled steps", f"{profiled}, spread among the plain ones"),
            ("Launches", _launches(document, protocol)),
            ("Timer", protocol.timer),
        ]
    facts += _machine_state(document.state, side_names(document))
    if document.workload.parameters:
        facts.append(("Parameters", f"{document.workload.parameters:,}"))
    for output in document.outputs:
        if output.equal:
            apart = f"max abs {output.max_abs:.2g}, max rel {output.max_rel:.2g}, cosine {output.cosine:.6g}"
            facts.append((f"Output {output.name}", f"{apart}; tolerance {output.tolerance:.2g}"))
    facts.append(("Inputs sha256", document.workload.inputs_sha256))
    return _drop_empty(facts)


_FIXED_WORK = (
    ("Fixed product", "product_ns"),
    ("Fixed copy of 32 MiB", "copy_ns"),
    ("Two threads reading memory of their own", "own_ns"),
    ("Two threads reading the same memory", "shared_ns"),
)
"""What was timed in each round without an engine."""

_MOST_LAUNCHES = 12
"""So many are told one by one."""

_ENDED = {
    "narrow": "the interval of the difference was narrow enough",
    "rounds": "the most rounds were measured",
    "time": "there was no time for another launch",
}


def _launches(document: Document, protocol: Protocol) -> str:
    """How often the engines were started, how long it took to the verdict, and why it was enough."""
    if not protocol.ended:
        return ""
    text = f"{protocol.launches} in {protocol.seconds:.0f} s, until {_ENDED[protocol.ended]}"
    slower = max(
        (e.median for e in (document.latency.torch_ns, document.latency.onnxruntime_ns) if e), default=0
    )
    if protocol.half_width is None or not slower:
        return text
    reached, wanted = (format_percent(share) for share in (round(protocol.half_width, 4), protocol.tolerance))
    return f"{text}: half the interval that they show is {reached} of the slower step, {wanted} was asked for"


def _machine_state(state: MachineState | None, names: Mapping[Role, str]) -> Iterable[tuple[str, str]]:
    """How fast the machine was by itself, launch by launch, and what it does not show."""
    if state is None:
        return
    for label, what in _FIXED_WORK:
        known = [format_ns(its) for launch in state.launches if (its := getattr(launch, what)) is not None]
        more = f", {len(known) - _MOST_LAUNCHES:,} more" if len(known) > _MOST_LAUNCHES else ""
        yield label, f"{', '.join(known[:_MOST_LAUNCHES])}{more} (launch by launch)" if known else ""
    for role, its in state.faults.items():
        yield f"Page faults of a step of {names[role]}", _faults(its)
    yield "Not shown by this machine", ", ".join(state.unseen)


def _faults(faults: PageFaults) -> str:
    """How many a plain and a profiled step take, how many of them waited for a disk, and what they cost."""
    kinds = (("plain", faults.plain, faults.major), ("profiled", faults.profiled, faults.profiled_major))
    parts = [
        f"{count:,.0f} {kind}" + (f" ({major:,.1f} from a disk)" if major else "")
        for kind, count, major in kinds
        if count is not None
    ]
    if faults.price_ns:
        parts.append(f"{format_ns(round(faults.price_ns))} each")
    return ", ".join(parts)


def _drop_empty(facts: Iterable[tuple[str, str]]) -> Facts:
    return tuple((label, value) for label, value in facts if value)
