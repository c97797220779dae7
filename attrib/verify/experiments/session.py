"""spinning-off, parallel-execution, memory-pattern-off, arena-off, arena-on, denormals-as-zero: options of the session.

What they change is part of every node's own time, which a profile taken without them does not split any further. So none of
them predicts anything, and each says why.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from attrib.findings.evidence.page_faults import ARENA, is_arena_off
from attrib.verify.experiments.change import (
    Variants,
    experiment,
    on_cpu,
    session_value,
    variant,
    with_entries,
)
from attrib.verify.protocol import Experiment, ExperimentContext, Inapplicable, Variant

SPINNING = "session.intra_op.allow_spinning"
DENORMALS = "session.set_denormal_as_zero"
_OFF_CPU = "the model did not run on ONNX Runtime's CPU provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of ONNX Runtime's session.

    Attributes:
        name: Id of the experiment.
        title: Its title.
        about: What it does and what it can show.
        flags: Flags of `attrib profile` that make the setting.
        entries: Gives the configuration entries to set.
        unpredicted: Why nothing is predicted.
        useless: Gives the reason why it would change nothing; empty where it would.
    """

    name: str
    title: str
    about: str
    flags: str
    entries: Callable[[ExperimentContext], Mapping[str, str]]
    unpredicted: str
    useless: Callable[[ExperimentContext], str] = lambda _: ""


def why_nothing_spins(context: ExperimentContext) -> str:
    """Say why spinning makes no difference; empty where it can."""
    one = context.manifest.sides["onnxruntime"].threads == 1
    return "with one thread there is no pool that could spin" if one else ""


def usable_cores(context: ExperimentContext) -> int:
    """Whole cores that the capture could use, one at least."""
    return max(int(context.manifest.environment.usable_cores), 1)


SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="spinning-off",
        flags="--session-option session.intra_op.allow_spinning=0",
        title="No spinning",
        about="Lets idle threads of ONNX Runtime's pool sleep instead of spinning. It costs a wake-up a node, and"
        " helps where another pool, or another process, needs the cores.",
        entries=lambda _: {SPINNING: "0"},
        unpredicted="a thread that sleeps must be woken for each node, and one that spins takes a core from"
        " others: both are part of the nodes' own time, and the profile cannot separate them",
        useless=why_nothing_spins,
    ),
    Setting(
        name="parallel-execution",
        flags="--session-option execution_mode=parallel --session-option inter_op_num_threads=N",
        title="Parallel execution",
        about="Runs nodes that do not depend on each other at the same time, in a second pool.",
        entries=lambda context: {
            "execution_mode": "parallel",
            "inter_op_num_threads": str(usable_cores(context)),
        },
        unpredicted="nodes that run side by side share the cores that each of them had alone, and a second pool"
        " competes with the first: a profile of nodes that ran one after the other does not show how much that costs",
        useless=lambda context: "there is only one usable core" if usable_cores(context) == 1 else "",
    ),
    Setting(
        name="memory-pattern-off",
        flags="--session-option enable_mem_pattern=0",
        title="No memory pattern",
        about="Allocates each result by itself instead of all of them in one planned block.",
        entries=lambda _: {"enable_mem_pattern": "0"},
        unpredicted="allocation is part of the nodes' own time, and the profile cannot separate it",
    ),
    Setting(
        name="arena-off",
        flags=f"--session-option {ARENA}=0",
        title="No arena",
        about="Takes memory from the system for each result, and gives it back, instead of keeping it in an arena.",
        entries=lambda _: {ARENA: "0"},
        unpredicted="allocation is part of the nodes' own time, and the profile cannot separate it",
    ),
    Setting(
        name="arena-on",
        flags=f"--session-option {ARENA}=1",
        title="An arena",
        about="Keeps freed memory in ONNX Runtime's arena, which is its default, instead of giving it back.",
        entries=lambda _: {ARENA: "1"},
        unpredicted="allocation is part of the nodes' own time, and the profile cannot separate it",
        useless=lambda context: "" if is_arena_off(context.manifest) else "the capture ran with it already",
    ),
    Setting(
        name="denormals-as-zero",
        flags="--session-option session.set_denormal_as_zero=1",
        title="Denormals as zero",
        about="Lets the processor treat numbers below 1.2e-38 as zero; computing with them can be ten times as slow.",
        entries=lambda _: {DENORMALS: "1"},
        unpredicted="a profile does not show how many values are that small, or what they cost",
    ),
)


def setting_variants(setting: Setting) -> Variants:
    """Make the one variant of a setting; it applies on ONNX Runtime's CPU provider."""

    def variants(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
        if not on_cpu(context):
            return Inapplicable(reason=_OFF_CPU)
        if why := setting.useless(context):
            return Inapplicable(reason=why)
        entries = dict(setting.entries(context))
        if all(session_value(context.options, key) == value for key, value in entries.items()):
            return Inapplicable(reason="the capture ran with it already")
        options = with_entries(context.options, entries)
        return (variant(setting.name, setting.title, options, None, setting.unpredicted),)

    return variants


EXPERIMENTS: tuple[Experiment, ...] = tuple(
    experiment(
        setting.name,
        setting.title,
        setting.about,
        "onnxruntime",
        setting_variants(setting),
        flags=setting.flags,
        basis=f"none: {setting.unpredicted}",
    )
    for setting in SETTINGS
)
