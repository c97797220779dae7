"""Whether the machine served both engines alike."""

from attrib.findings.comparability.check import AGAIN, Answer, Facts, failed, is_off, passed, unknown
from attrib.findings.evidence.advice import phrase, spinning_off
from attrib.findings.evidence.stability import (
    IDLE_LIMIT,
    LOAD_LIMIT,
    STOLEN_LIMIT,
    is_watched,
    load_per_core,
    threads_by_role,
)
from attrib.model.manifest import COMPILED_BY_MODEL, ENGINE_NAMES, ROLES, Environment
from attrib.units import format_percent
from attrib.wording import counted, listed


def provider_used(facts: Facts) -> Answer:
    """Check that every provider that was asked for is in the session."""
    side = facts.sides.get("onnxruntime")
    if side is None or not side.providers:
        return unknown(fix="`session.get_providers()` says it; `attrib profile` notes it")
    missing = [name for name in side.requested_providers if name not in side.providers]
    if missing:
        return failed(
            f"{', '.join(missing)} could not be loaded",
            "ONNX Runtime looks slower: all its work ran on another device.",
            "`attrib doctor` names the library that is missing; "
            "`session_options.add_session_config_entry('session.disable_cpu_ep_fallback', '1')` makes it an error",
        )
    return passed(f"the session has {', '.join(side.providers)}")


def engines_optimize(facts: Facts) -> Answer:
    """Check that no setting holds one engine back."""
    torch, ort = facts.sides.get("torch"), facts.sides.get("onnxruntime")
    if ort is not None and ort.opt_level in ("disabled", "basic"):
        return failed(
            f"ONNX Runtime's graph optimizations are {ort.opt_level}, not all",
            "ONNX Runtime looks slower by every fusion that was left out.",
            "`attrib profile --opt-level all`",
        )
    if torch is not None and is_off(facts.setting("torch", "mkldnn")):
        return failed(
            "PyTorch ran without oneDNN",
            "PyTorch looks slower in matrix products and convolutions.",
            "`torch.backends.mkldnn.enabled = True`",
        )
    if torch is None or ort is None:
        return unknown()
    without = f" without {', '.join(ort.disabled_optimizers)}" if ort.disabled_optimizers else ""
    level = ort.opt_level or "all"
    by = facts.setting("torch", COMPILED_BY_MODEL)
    runs = f"what {by} made of the model" if by else torch.mode or "eager"
    return passed(f"ONNX Runtime optimizes at level {level}{without}, PyTorch runs {runs}")


def same_threads(facts: Facts) -> Answer:
    """Check that both engines compute with the same number of threads."""
    threads = threads_by_role(facts.manifest) if facts.manifest else {}
    if len(threads) < len(ROLES):
        return unknown()
    if len(set(threads.values())) > 1:
        fewer = min(threads, key=lambda role: threads[role])
        counts = ", ".join(f"{ENGINE_NAMES[role]} {count}" for role, count in threads.items())
        return failed(
            counts,
            f"{ENGINE_NAMES[fewer]} looks slower, by up to {max(threads.values()) / min(threads.values()):g} times in "
            "large operators; the finding thread-mismatch has the figure.",
            f"`attrib profile --threads {max(threads.values())}`, without a setting of the model's or the session's own",
        )
    return passed(f"{counted(threads['torch'], 'intra-op thread')} on either side")


def threads_fit(facts: Facts) -> Answer:
    """Check that no engine has more threads than cores that it may use."""
    most = max(threads_by_role(facts.manifest).values(), default=0) if facts.manifest else 0
    environment = facts.manifest.environment if facts.manifest else Environment()
    cores = environment.usable_cores
    if not most or not cores:
        return unknown()
    named = [f"affinity {environment.affinity}"] if environment.affinity else []
    named += [f"cgroup quota {environment.cpu_quota:g}"] if environment.cpu_quota else []
    named += [f"{environment.logical_cores} in the machine"] if named and environment.logical_cores else []
    limits = f" ({', '.join(named)})" if named else ""
    if most > max(cores, 1):
        fitting = max(int(cores), 1)
        return failed(
            f"{counted(most, 'thread')} on {cores:g} usable cores{limits}",
            "Both engines wait for their own threads; the one that spins (ONNX Runtime) or synchronizes more often loses "
            "more, often more than half of its speed.",
            f"`attrib profile --threads {fitting}`",
        )
    return passed(
        f"{counted(most, 'thread')} on {cores:g} usable cores{limits or ' (affinity and cgroup quota)'}"
    )


def idle_worker(facts: Facts) -> Answer:
    """Check that the engine that is not measured uses no processor time."""
    if not facts.sides:
        return unknown()
    busy = {role: side.idle_cpu_share for role, side in facts.sides.items()}
    text = ", ".join(f"{ENGINE_NAMES[role]} {format_percent(share)}" for role, share in busy.items())
    if max(busy.values()) > IDLE_LIMIT:
        worst = max(busy, key=lambda role: busy[role])
        other = next(role for role in ROLES if role != worst)
        return failed(
            f"processor time of the waiting worker: {text}",
            f"{ENGINE_NAMES[other]} looks slower: {ENGINE_NAMES[worst]} takes {format_percent(busy[worst])} of a core from "
            "it.",
            phrase(
                "{}, or ", spinning_off(facts.evidence, [role for role in busy if busy[role] > IDLE_LIMIT])
            )
            + "threads of both engines that add up to no more than the cores",
        )
    return passed(f"processor time of the waiting worker: {text}")


def quiet_machine(facts: Facts) -> Answer:
    """Check that blocks could be measured undisturbed, by what was counted beside each of them."""
    machine = facts.evidence.machine
    if machine is None or not machine.watched:
        return unknown("what disturbs a block was not recorded", AGAIN, again=facts.is_of_another_version)
    said = "; ".join(machine.disturbances) or "no block was disturbed"
    if facts.evidence.judgement.busy:
        return failed(
            said,
            "Both engines look slower, and not alike: the one whose threads wait for each other more often loses more. The"
            " interval holds what was seen of it.",
            "stop other programs (`attrib doctor` shows the load), or record on a machine of your own",
        )
    unseen = f"; this machine does not show {listed(machine.unseen)}" if machine.unseen else ""
    return passed(f"{said}{unseen}")


def machine_load(facts: Facts) -> Answer:
    """Check that no other program loaded the machine, where nobody counted what it did to the blocks."""
    environment = facts.manifest.environment if facts.manifest else None
    if environment is None or not environment.usable_cores:
        return unknown()
    text = f"load {environment.load_before:g} on {environment.usable_cores:g} usable cores before the capture"
    if environment.load_after:
        text += f", {environment.load_after:g} after it"
    if facts.manifest is not None and load_per_core(facts.manifest) > LOAD_LIMIT:
        if is_watched(facts.evidence, "others_ns"):
            return passed(f"{text}; what it did to the blocks was counted beside each")
        return failed(
            text,
            "Both engines look slower and their blocks scatter; the engine with more synchronization between threads "
            "loses more.",
            "stop other programs (`attrib doctor` shows the load), then record again",
        )
    return passed(text)


def not_throttled(facts: Facts) -> Answer:
    """Check that neither a quota, nor another machine on the host, nor heat took processor time away."""
    environment = facts.manifest.environment if facts.manifest else Environment()
    stolen, waited, hot = (
        environment.stolen_share,
        environment.throttled_seconds,
        environment.thermal_throttles,
    )
    if stolen is None and waited is None and hot is None:
        return unknown(
            "quota, heat and stolen time were not recorded", AGAIN, again=facts.is_of_another_version
        )
    signs = [
        (bool(waited), f"the cgroup's quota stopped the processes for {waited or 0:.2g} s"),
        (bool(hot), f"the processor slowed itself down {hot} times (heat or power)"),
        (
            (stolen or 0) > STOLEN_LIMIT and not is_watched(facts.evidence, "stolen_ns"),
            f"other machines on the host took {format_percent(stolen or 0)} of the cores",
        ),
    ]
    wrong = [text for sign, text in signs if sign]
    if wrong:
        return failed(
            "; ".join(wrong),
            "Both engines look slower and the interval is wider, because interleaved rounds spread it over both. The engine "
            "with more threads loses more.",
            "fewer threads than the quota has cores, or a cooler or quieter machine",
        )
    return passed("no throttling by quota, heat or host as far as the system counts it")
