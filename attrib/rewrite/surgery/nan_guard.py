"""`drop-nan-guard`: without the guard that the exporter puts behind every Softmax of an attention, where it is idle.

PyTorch returns zeros for a row of attention that is masked throughout, so the exporter writes `Where(IsNaN(p), 0, p)`
behind `p = Softmax(...)`. Only a run shows whether any input needs it.
"""

from dataclasses import dataclass
from typing import Any

from attrib.rewrite.registry import Job, Outcome
from attrib.rewrite.surgery.graph import (
    constant,
    counted,
    operate,
    redirect,
    run_file,
    static_shape,
    sweep,
)


@dataclass(frozen=True, slots=True)
class _Guard:
    """`chosen = Where(test, otherwise, softmax)`."""

    where: Any
    test: Any
    softmax: Any


def drop_nan_guard(job: Job) -> Outcome:
    """Drop the guards that the workload's own inputs never trigger."""
    return operate(job, lambda model: _drop(model, job))


def _drop(model: Any, job: Job) -> Outcome:
    guards = [guard for node in model.graph if (guard := _guard(node))]
    fired = _fired(job, sorted({guard.test.name for guard in guards}))
    idle = [guard for guard in guards if not fired[guard.test.name]]
    dropped = [guard for guard in idle if redirect(model.graph, guard.where.outputs[0], guard.softmax)]
    sweep(guard.where for guard in dropped)
    kept = len(guards) - len(dropped)
    settings = {"guards": str(len(guards)), "dropped": str(len(dropped)), "kept": str(kept)}
    return Outcome(settings=settings, notes=_notes(len(dropped), kept))


def _notes(dropped: int, kept: int) -> tuple[str, ...]:
    notes = []
    if dropped:
        notes.append(
            f"--optimize drop-nan-guard dropped {counted(dropped, 'guard')} behind Softmax that the workload's inputs never"
            " trigger; that is proven for these inputs only: a row that is masked throughout would now give NaN"
        )
    if kept:
        notes.append(
            f"--optimize drop-nan-guard kept {counted(kept, 'guard')} behind Softmax: the workload's inputs trigger them"
        )
    return tuple(notes)


def _guard(node: Any) -> _Guard | None:
    if node.op_type != "Where" or node.domain:
        return None
    test, otherwise, softmax = node.inputs
    tester, maker = test.producer(), softmax.producer()
    guards = (
        tester is not None
        and (tester.op_type, tester.domain) == ("IsNaN", "")
        and tester.inputs[0] is softmax
        and maker is not None
        and (maker.op_type, maker.domain) == ("Softmax", "")
    )
    return _Guard(node, test, softmax) if guards and _keeps_shape(otherwise, softmax) else None


def _keeps_shape(otherwise: Any, softmax: Any) -> bool:
    """The value in NaN's place must not make the result larger than the Softmax."""
    held, shape = constant(otherwise), static_shape(softmax)
    rank = 0 if softmax.shape is None else len(softmax.shape)
    if held is not None and held.size == 1:
        return held.ndim <= rank
    return shape is not None and static_shape(otherwise) == shape


def _fired(job: Job, tests: list[str]) -> dict[str, bool]:
    """Which of the tests is true anywhere when the graph runs on the workload's inputs."""
    if not tests:
        return {}
    from onnx import TensorProto, helper

    from attrib.rewrite.files import load_graph

    model = load_graph(job.source)
    found = {test: f"attrib/fired/{i}" for i, test in enumerate(tests)}
    for test, name in found.items():
        # A maximum instead of the test itself, which is as large as the attention.
        model.graph.node.extend([
            helper.make_node("Cast", [test], [f"{name}/float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMax", [f"{name}/float"], [name], keepdims=0),
        ])  # fmt: skip
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, []))
    probe = job.source.with_name(f"{job.target.stem}-probe.onnx")
    try:
        probe.write_bytes(model.SerializeToString())
        outputs = run_file(probe, job.inputs)
    finally:
        probe.unlink(missing_ok=True)
    return {test: bool(outputs[name] > 0) for test, name in found.items()}
