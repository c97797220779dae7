"""`drop-nan-guard`: drop the guard that the exporter puts behind every Softmax of an attention, where it does nothing.

PyTorch returns zeros for a row of attention that is masked throughout, so the exporter writes `Where(IsNaN(p), 0, p)`
behind `p = Softmax(...)`. Only a run shows whether any input needs it.
"""

from dataclasses import dataclass
from typing import Any

from attrib.rewrite.files import load_graph
from attrib.rewrite.registry import Job, Outcome
from attrib.rewrite.surgery.graph import (
    constant,
    redirect,
    run_probe,
    static_shape,
    surgery,
    sweep,
)
from attrib.wording import counted


@dataclass(frozen=True, slots=True)
class _Guard:
    """`chosen = Where(test, otherwise, softmax)`."""

    where: Any
    test: Any
    softmax: Any


@surgery
def drop_nan_guard(model: Any, job: Job) -> Outcome:
    """Drop the guards that the workload's own inputs never trigger."""
    guards = [guard for node in model.graph if (guard := _guard_at(node))]
    fired = _fired_tests(job, sorted({guard.test.name for guard in guards}))
    idle = [guard for guard in guards if guard.test.name not in fired]
    dropped = [guard for guard in idle if redirect(model.graph, guard.where.outputs[0], guard.softmax)]
    sweep(guard.where for guard in dropped)
    kept = len(guards) - len(dropped)
    notes = []
    if dropped:
        notes.append(
            f"--optimize drop-nan-guard dropped {counted(len(dropped), 'guard')} behind Softmax that the workload's inputs"
            " never trigger; that is proven for these inputs only: a row that is masked throughout would now give NaN"
        )
    if kept:
        notes.append(
            f"--optimize drop-nan-guard kept {counted(kept, 'guard')} behind Softmax: the workload's inputs trigger them"
        )
    settings = {"guards": str(len(guards)), "dropped": str(len(dropped)), "kept": str(kept)}
    return Outcome(settings=settings, notes=tuple(notes))


def _guard_at(node: Any) -> _Guard | None:
    """The guard that a Where is; None for any other node."""
    if node.op_type != "Where" or node.domain:
        return None
    test, otherwise, softmax = node.inputs
    tester, maker = test.producer(), softmax.producer()
    if tester is None or (tester.op_type, tester.domain) != ("IsNaN", "") or tester.inputs[0] is not softmax:
        return None
    if maker is None or (maker.op_type, maker.domain) != ("Softmax", ""):
        return None
    # The value in NaN's place must not make the result larger than the Softmax.
    held, shape = constant(otherwise), static_shape(softmax)
    if held is not None and held.size == 1:
        fits = held.ndim <= (0 if softmax.shape is None else len(softmax.shape))
    else:
        fits = shape is not None and static_shape(otherwise) == shape
    return _Guard(node, test, softmax) if fits else None


def _fired_tests(job: Job, tests: list[str]) -> set[str]:
    """Find which of the tests are true anywhere when the graph runs on the workload's inputs."""
    if not tests:
        return set()
    from onnx import TensorProto, helper

    model = load_graph(job.source)
    found = {test: f"attrib/fired/{i}" for i, test in enumerate(tests)}
    for test, name in found.items():
        # A maximum instead of the test itself, which is as large as the attention.
        model.graph.node.extend([
            helper.make_node("Cast", [test], [f"{name}/float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMax", [f"{name}/float"], [name], keepdims=0),
        ])  # fmt: skip
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, []))
    outputs = run_probe(job, lambda file: file.write_bytes(model.SerializeToString()))
    return {test for test, name in found.items() if outputs[name] > 0}
