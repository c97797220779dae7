"""threads, torch-threads: run with another number of intra-op threads."""

from msgspec.structs import replace

from attrib.model.manifest import Role
from attrib.verify.experiments.change import Variants, experiment, session_value, variant, with_session
from attrib.verify.predict.threads import predict_threads
from attrib.verify.protocol import Experiment, ExperimentContext, Inapplicable, Variant
from attrib.wording import counted

_POOL = "intra_op_num_threads"


def counts(context: ExperimentContext, role: Role) -> tuple[int, ...]:
    """One, half and all of the usable cores, without the number that the side ran with."""
    usable = max(int(context.manifest.environment.usable_cores), 1)
    now = context.manifest.sides[role].threads
    return tuple(sorted({1, usable // 2 or 1, usable} - {now}))


def _variants(role: Role, name: str) -> Variants:
    def variants(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
        why = "no work is seen that is large enough to be split"
        now = context.manifest.sides[role].threads
        if not now:
            return Inapplicable(reason="the capture does not say how many threads there were")
        found = []
        for number in counts(context, role):
            options = replace(context.options, threads=number)
            if role == "onnxruntime" and session_value(options, _POOL) is not None:
                options = with_session(context.options, **{_POOL: str(number)})
            title = ("PyTorch with " if role == "torch" else "") + counted(number, "thread")
            predicted = predict_threads(context, role, now, number)
            found.append(variant(f"{name}-{number}", title, options, predicted, why))
        return tuple(found) or Inapplicable(reason="there is one usable core, and one thread")

    return variants


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
