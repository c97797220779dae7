"""threads, torch-threads: another number of intra-op threads."""

from msgspec.structs import replace

from attrib.model.manifest import Role
from attrib.verify.experiments.change import Variants, experiment, session_value, variant, with_session
from attrib.verify.predict.threads import rescaled
from attrib.verify.protocol import Experiment, Inapplicable, Situation, Variant
from attrib.wording import counted

_POOL = "intra_op_num_threads"


def counts(situation: Situation, role: Role) -> tuple[int, ...]:
    """One, half and all of the usable cores, without the number that the side ran with."""
    usable = max(int(situation.manifest.environment.usable_cores), 1)
    now = situation.manifest.sides[role].threads
    return tuple(sorted({1, usable // 2 or 1, usable} - {now}))


def _variants(role: Role, name: str) -> Variants:
    def variants(situation: Situation) -> tuple[Variant, ...] | Inapplicable:
        now = situation.manifest.sides[role].threads
        if not now:
            return Inapplicable(reason="the capture does not say how many threads there were")
        found = tuple(_with(situation, role, name, number, now) for number in counts(situation, role))
        return found or Inapplicable(reason="there is one usable core, and one thread")

    return variants


def _with(situation: Situation, role: Role, name: str, number: int, now: int) -> Variant:
    options = replace(situation.options, threads=number)
    if role == "onnxruntime" and session_value(options, _POOL) is not None:
        options = with_session(situation.options, **{_POOL: str(number)})
    title = ("PyTorch with " if role == "torch" else "") + counted(number, "thread")
    why = "no work is seen that is large enough to be split"
    return variant(f"{name}-{number}", title, options, rescaled(situation, role, now, number), why)


EXPERIMENTS: tuple[Experiment, ...] = (
    experiment(
        "threads",
        "Another number of threads",
        "Runs ONNX Runtime with one thread, with half and with all of the usable cores: a pool of the wrong size"
        " waits for cores that it does not have, or leaves some idle.",
        "onnxruntime",
        _variants("onnxruntime", "threads"),
        flags="--threads N",
        basis="Amdahl's law over the nodes that are large enough to be split",
    ),
    experiment(
        "torch-threads",
        "PyTorch: another number of threads",
        "Runs PyTorch with one thread, with half and with all of the usable cores, so that ONNX Runtime is"
        " compared with what the user could have.",
        "torch",
        _variants("torch", "torch-threads"),
        flags="--threads N",
        basis="Amdahl's law over the calls that are large enough to be split",
    ),
)
