"""Conditions of a fair comparison, checked before anything is attributed. Each is one row of `CHECKS`."""

from collections.abc import Callable
from typing import NamedTuple

from attrib.findings.comparability import device, machine, protocol, work
from attrib.findings.comparability import math as numbers
from attrib.findings.comparability.check import Answer, Facts
from attrib.findings.protocol import Evidence
from attrib.model.document import Check


class Condition(NamedTuple):
    """One condition of a fair comparison.

    Attributes:
        name: What holds where the check passes. It also names the check in report.json, and stays.
        failed: What is the case where the check fails.
        check: Looks for it in the evidence.
    """

    name: str
    failed: str
    check: Callable[[Facts], Answer]


CHECKS = (
    Condition("Outputs agree", "The outputs differ", work.outputs_agree),
    Condition("Same inputs", "The inputs differ", work.same_inputs),
    Condition(
        "Evaluation and inference mode",
        "PyTorch ran in training mode or recorded gradients",
        work.inference_mode,
    ),
    Condition("Same precision", "The precisions differ", numbers.same_precision),
    Condition("No autocast on one side", "Autocast on one side", numbers.autocast_alike),
    Condition(
        "Same rounding of float32 products", "float32 products are rounded differently", numbers.same_rounding
    ),
    Condition(
        "Attention implementation declared", "The attention implementations differ", numbers.same_attention
    ),
    Condition("Requested provider used", "A requested provider is missing", machine.provider_used),
    Condition("Inputs and outputs lie alike", "Inputs and outputs lie in different places", device.fed_alike),
    Condition("Kernels launched alike", "Kernels are launched differently", device.launched_alike),
    Condition("Engines not held back", "An engine was held back", machine.engines_optimize),
    Condition("Same threads", "The numbers of threads differ", machine.same_threads),
    Condition("Threads fit the usable cores", "More threads than usable cores", machine.threads_fit),
    Condition("Session creation not timed", "Session creation was timed", protocol.session_excluded),
    Condition("Engines interleaved", "The engines were not interleaved", protocol.interleaved),
    Condition("Warm-up reached", "The warm-up was too short", protocol.warm_up),
    Condition("No drift", "The step times drifted", protocol.no_drift),
    Condition("Quiet machine", "The machine was busy", machine.quiet_machine),
    Condition("No throttling", "The processor was throttled", machine.not_throttled),
    Condition("The waiting worker is idle", "The waiting worker was busy", machine.idle_worker),
    Condition("Machine not loaded", "The machine was loaded", machine.machine_load),
    Condition("Weights declared", "The weights are not declared", work.weights_declared),
    Condition("Shapes declared", "The shapes are not declared", work.shapes_declared),
    Condition("No denormal weights", "Many weights are denormal", work.no_denormals),
)
"""In the order in which a reader should doubt them."""


def checks(evidence: Evidence) -> tuple[Check, ...]:
    """Check every condition, in the order of `CHECKS`."""
    facts = Facts(evidence=evidence)
    answers = ((condition, condition.check(facts)) for condition in CHECKS)
    return tuple(
        Check(
            check=condition.name,
            title=condition.failed if answer.state == "failed" else condition.name,
            state=answer.state,
            detail=answer.detail,
            effect=answer.effect,
            fix=answer.fix if answer.state == "failed" or facts.manifest is None or answer.again else "",
        )
        for condition, answer in answers
    )
