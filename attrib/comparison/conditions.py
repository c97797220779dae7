"""What is not the same about two captures, and whether that forbids to compare their times."""

from collections.abc import Collection, Iterator, Mapping
from statistics import median

from attrib.model.diff import ConditionChange, ConditionKind
from attrib.model.document import Document, LaunchState
from attrib.model.estimate import Estimate
from attrib.model.manifest import ENGINE_NAMES, PROFILE_ZERO, ROLES, Role, Side
from attrib.units import format_ns, format_percent
from attrib.wording import counted, listed

OTHER_WORK = frozenset({"model", "task", "layers", "batch size", "sequence length", "inputs"})
"""Conditions of the workload with which a step is another step."""

CHANGED = 1.25
"""Ratio of fixed work between two captures of one machine, above which the machine was not the same: the limit between the
launches of one capture, see `attrib.analysis.attribution.judgement`."""

_MACHINE = frozenset({"processor", "usable cores", "accelerators", "processor quota", "affinity"})
_SUBJECTS: tuple[ConditionKind, ...] = ("workload", "setting", "software", "machine")
_CACHES = {"shared": "its cores shared a cache", "apart": "its cores shared no cache"}

Facts = dict[tuple[ConditionKind, str], str]


def conditions_of(before: Document, after: Document) -> tuple[ConditionChange, ...]:
    """What is not the same, in the order of `_facts`; what one of them does not say is no difference of the machine."""
    one, other = _facts(before), _facts(after)
    found = []
    for kind, what in {**one, **other}:
        texts = one.get((kind, what), ""), other.get((kind, what), "")
        if texts[0] != texts[1] and (kind != "machine" or all(texts)):
            found.append(ConditionChange(kind=kind, what=what, before=texts[0], after=texts[1]))
    order = {kind: place for place, kind in enumerate((*_SUBJECTS, "measurement"))}
    return tuple(sorted(found, key=lambda condition: order[condition.kind]))


def obstacles_of(
    before: Document, after: Document, conditions: tuple[ConditionChange, ...]
) -> tuple[str, ...]:
    """Why no change of a time may be believed, as clauses; empty where none speaks against it."""
    found = [
        f"the steps did different work ({one.what}: {one.before or 'none'}, then {one.after or 'none'})"
        for one in conditions
        if one.kind == "workload" and one.what in OTHER_WORK
    ]
    for name, document in (("first", before), ("second", after)):
        if not (steps := steps_of(document)):
            found.append(f"the {name} capture has no plain steps")
        if not all(0 <= its.low <= its.median <= its.high and its.median for its in steps.values()):
            found.append(f"the steps of the {name} capture are no measurement")
        if document.judgement.busy or document.judgement.inconclusive:
            found.append(f"the machine was busy in the {name} capture")
        if document.damage:
            found.append(f"the traces of the {name} capture are damaged")
    found += _other_state(before, after) if not other_machine(conditions) else ()
    return tuple(dict.fromkeys(found))


def remarks_of(conditions: tuple[ConditionChange, ...]) -> tuple[str, ...]:
    """What a reader must keep in mind: nothing changed, several things did, or the machine is another one."""
    changed = [one for one in conditions if one.kind in _SUBJECTS]
    found = []
    if not changed:
        found.append("Nothing that a capture records is different.")
    if other_machine(conditions):
        found.append(
            "Two machines: the change of the ratio, measured in each of them, says more than that of the times."
        )
    if len(changed) > 1:
        found.append(
            f"{counted(len(changed), 'thing')} are different: which of them made a change cannot be told from two captures."
        )
    return tuple(found)


def other_machine(conditions: tuple[ConditionChange, ...]) -> bool:
    """Whether the captures were made on machines of two kinds."""
    return any(one.kind == "machine" and one.what in _MACHINE for one in conditions)


def steps_of(document: Document) -> dict[Role, Estimate]:
    """The plain step of each side that was timed."""
    found: dict[Role, Estimate | None] = {
        "torch": document.latency.torch_ns,
        "onnxruntime": document.latency.onnxruntime_ns,
    }
    return {role: its for role, its in found.items() if its is not None}


def states_of(document: Document) -> frozenset[str]:
    """The states of the machine that the launches of a capture met; none where it does not know them."""
    launches = document.state.launches if document.state else ()
    return frozenset(launch.caches for launch in launches if launch.caches)


def are_apart(one: Collection[str], other: Collection[str]) -> bool:
    """Whether two measurements know their states of the machine and met no common one."""
    return bool(one and other) and set(one).isdisjoint(other)


def _other_state(before: Document, after: Document) -> Iterator[str]:
    """In which way one machine was not in the state in which it was before."""
    launches = [document.state.launches if document.state else () for document in (before, after)]
    caches = [states_of(document) for document in (before, after)]
    if are_apart(*caches):
        texts = [" and ".join(_CACHES[one] for one in sorted(its) if one) for its in caches]
        yield f"the machine was in another state ({texts[0]} in the first capture, {texts[1]} in the second)"
    for what, field in (("product", "product_ns"), ("copy", "copy_ns")):
        times = [_median(its, field) for its in launches]
        if all(times) and max(times) > CHANGED * min(times):
            shown = " and ".join(format_ns(time) for time in times)
            yield f"the machine itself was not as fast (the same {what} took {shown})"


def _median(launches: tuple[LaunchState, ...], field: str) -> float:
    known = [its for launch in launches if (its := getattr(launch, field)) is not None]
    return median(known) if known else 0.0


def _facts(document: Document) -> Facts:
    """Everything by which two captures may differ, as text by kind and name; empty texts are left out."""
    found = {
        **_of_kind("workload", _workload(document)),
        **{
            pair: text
            for role in ROLES
            if (side := document.sides.get(role)) is not None
            for pair, text in _of_kind("setting", _side(ENGINE_NAMES[role], side)).items()
        },
        **_of_kind("software", _software(document)),
        **_of_kind("machine", _machine(document)),
        **_of_kind("measurement", _measurement(document)),
    }
    return {pair: text for pair, text in found.items() if text}


def _of_kind(kind: ConditionKind, texts: Mapping[str, str]) -> Facts:
    return {(kind, what): text for what, text in texts.items()}


def _workload(document: Document) -> dict[str, str]:
    work = document.workload
    return {
        "model": work.model,
        "task": work.task,
        "layers": str(work.layers or ""),
        "batch size": str(work.batch_size or ""),
        "sequence length": str(work.seq_len or ""),
        "cached tokens": str(work.cache_length or ""),
        "inputs": ", ".join(f"{one.name} {one.tensor}" for one in work.inputs),
        "weights": work.weights,
        "number of weights": f"{work.parameters:,}" if work.parameters else "",
        "precision": work.precision,
        "padding": format_percent(work.padding) if work.padding else "",
        "attention": work.attention,
        "compression": ", ".join(change.name for change in work.compressed),
        "contents of the inputs": work.inputs_sha256[:12],
    }


def _side(name: str, side: Side) -> dict[str, str]:
    return {
        f"{name}: engine": ENGINE_NAMES.get(side.engine, side.engine),
        f"{name}: interpreter": side.interpreter,
        f"{name}: mode": side.mode,
        f"{name}: requested providers": ", ".join(side.requested_providers),
        f"{name}: providers": ", ".join(side.providers),
        f"{name}: optimization level": side.opt_level,
        f"{name}: optimizers left out": ", ".join(side.disabled_optimizers),
        f"{name}: rewrites": ", ".join(rewrite.name for rewrite in side.rewrites),
        f"{name}: exporter": side.exporter,
        f"{name}: opset": str(side.opset or ""),
        f"{name}: threads": str(side.threads or ""),
        **{f"{name}: {key}": value for key, value in sorted(side.session_options.items())},
        **{
            f"{name}: {provider} {key}": value
            for provider, options in sorted(side.provider_options.items())
            for key, value in sorted(options.items())
        },
        **{f"{name}: {key}": value for key, value in sorted(side.settings.items()) if key != PROFILE_ZERO},
    }


def _software(document: Document) -> dict[str, str]:
    env = document.environment
    engines = {
        f"{ENGINE_NAMES[role]}: version": " ".join(filter(None, (side.package, side.version)))
        for role, side in document.sides.items()
    }
    return {
        **engines,
        **dict(sorted(env.packages.items())),
        "Python": env.python,
        "C library": env.libc,
        "system": env.system,
        "attrib": document.attrib_version,
    }


def _machine(document: Document) -> dict[str, str]:
    env = document.environment
    return {
        "processor": env.cpu,
        "usable cores": f"{env.usable_cores:g}" if env.usable_cores else "",
        "affinity": str(env.affinity or ""),
        "processor quota": f"{env.cpu_quota:g}" if env.cpu_quota else "",
        "instruction sets": ", ".join(env.cpu_flags),
        "memory": f"{env.memory_bytes / 2**30:.0f} GiB" if env.memory_bytes else "",
        "accelerators": listed(env.accelerators, len(env.accelerators)),
    }


def _measurement(document: Document) -> dict[str, str]:
    protocol = document.protocol
    if protocol is None:
        return {}
    return {
        "steps in a block": str(protocol.iterations),
        "profiled steps in a block": str(protocol.profiled_iterations),
        "timer": protocol.timer,
    }
