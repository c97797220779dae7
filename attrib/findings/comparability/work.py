"""Whether both engines did the same work on the same values."""

from attrib.findings.comparability.check import (
    NOT_RECORDED,
    Answer,
    Facts,
    failed,
    is_off,
    is_on,
    passed,
    unknown,
)
from attrib.findings.evidence.advice import phrase, with_entry
from attrib.findings.evidence.numerics import (
    DENORMAL_LIMIT,
    denormal_share,
    describe_difference,
    why_outputs_differ,
)
from attrib.findings.evidence.placement import runs_on_gpu
from attrib.model.manifest import SURPLUS
from attrib.units import format_percent
from attrib.wording import counted, listed


def outputs_agree(facts: Facts) -> Answer:
    """Check that the outputs agree within the tolerance of the precision."""
    outputs = [output for output in facts.evidence.outputs if output.reason != SURPLUS]
    if not outputs:
        return unknown("the outputs were not compared", "`attrib profile` compares them")
    wrong = [output for output in outputs if output.differs]
    if wrong:
        return failed(
            f"{len(wrong)} of {counted(len(outputs), 'output')}: {describe_difference(wrong[0])}",
            "One engine may do less work than the other: neither the direction nor the size of the difference "
            "can be trusted.",
            why_outputs_differ(facts.evidence).fix,
        )
    worst = max(outputs, key=lambda output: output.max_rel)
    return passed(f"{counted(len(outputs), 'output')}; {describe_difference(worst)}")


def same_inputs(facts: Facts) -> Answer:
    """Check that both engines read one file of inputs."""
    workload = facts.manifest.workload if facts.manifest else None
    if workload is None or not workload.inputs_sha256:
        return unknown(fix="`attrib profile` gives both engines one file of inputs and notes its hash")
    return passed(f"both engines read one file of inputs (sha256 {workload.inputs_sha256[:12]})")


def inference_mode(facts: Facts) -> Answer:
    """Check that PyTorch ran in eval mode and recorded no gradients."""
    training, mode = facts.setting("torch", "training"), facts.setting("torch", "inference_mode")
    if is_on(training):
        return failed(
            "PyTorch ran in training mode",
            "PyTorch looks slower by its dropout, which the graph lacks; batch norms compute statistics that are constants "
            "of the graph.",
            "return the module in eval mode from the factory: `model.eval()`",
        )
    if is_off(mode):
        return failed(
            "PyTorch recorded gradients",
            "PyTorch looks slower: each call also records its backward, some microseconds an operator.",
            "`with torch.inference_mode(): model(**inputs)`",
        )
    if is_off(training) and is_on(mode):
        return passed("PyTorch ran in eval mode under inference_mode")
    return unknown()


def weights_declared(facts: Facts) -> Answer:
    """State whether the weights are trained or random."""
    weights = facts.manifest.workload.weights if facts.manifest else ""
    if not weights:
        return unknown()
    if "random" in weights:
        return passed(f"declared: {weights}; speed does not depend on their values, outputs mean nothing")
    return passed(weights)


def no_denormals(facts: Facts) -> Answer:
    """Check that few weights are so small that a processor computes with them in microcode."""
    share = denormal_share(facts.evidence)
    if share is None:
        return unknown("denormal weights were not counted")
    text = f"{format_percent(share)} of the weights are denormal"
    if share > DENORMAL_LIMIT and not runs_on_gpu(facts.evidence):
        return failed(
            text,
            "Both engines are slower where they meet such a weight, up to ten times in a matrix product, and one of "
            "them more than the other.",
            phrase(
                "{} for ONNX Runtime and ", with_entry(facts.evidence, "session.set_denormal_as_zero", "1")
            )
            + "`torch.set_flush_denormal(True)` for PyTorch",
        )
    return passed(text)


def shapes_declared(facts: Facts) -> Answer:
    """State whether ONNX Runtime knows every size beforehand, which PyTorch's eager mode never does."""
    graph = facts.evidence.loaded
    if graph is None:
        return unknown(
            "there is no graph that would say it",
            "keep onnx/exported.onnx in the trace directory",
            again="onnxruntime" in facts.sides,
        )
    free = [name for name in graph.inputs if name in graph.values and -1 in graph.values[name].shape]
    if free:
        return passed(f"declared: sizes of {listed(free)} are free, as they are in PyTorch")
    if not any(name in graph.values for name in graph.inputs):
        return unknown(NOT_RECORDED, "export with types and shapes of the inputs")
    return passed(
        "declared: the graph has fixed sizes, which ONNX Runtime may use and eager PyTorch does not"
    )
