"""What makes the comparison fair, checked before anything is attributed. Each check is one row of `CHECKS`."""

from collections.abc import Callable

from attrib.findings.comparability import device, machine, protocol, work
from attrib.findings.comparability import math as numbers
from attrib.findings.comparability.check import Answer, Facts
from attrib.findings.protocol import Evidence
from attrib.model.document import Check

CHECKS: tuple[tuple[str, Callable[[Facts], Answer]], ...] = (
    ("Outputs agree", work.outputs_agree),
    ("Same inputs", work.same_inputs),
    ("Evaluation and inference mode", work.inference_mode),
    ("Same precision", numbers.same_precision),
    ("No autocast on one side", numbers.autocast_alike),
    ("Same rounding of float32 products", numbers.same_rounding),
    ("Attention implementation declared", numbers.same_attention),
    ("Requested provider used", machine.provider_used),
    ("Inputs and outputs lie alike", device.fed_alike),
    ("Kernels launched alike", device.launched_alike),
    ("Engines not held back", machine.engines_optimize),
    ("Same threads", machine.same_threads),
    ("Threads fit the usable cores", machine.threads_fit),
    ("Session creation not timed", protocol.session_excluded),
    ("Engines interleaved", protocol.interleaved),
    ("Warm-up reached", protocol.warm_up),
    ("No drift", protocol.no_drift),
    ("No throttling", machine.not_throttled),
    ("The waiting worker is idle", machine.idle_worker),
    ("Machine not loaded", machine.machine_load),
    ("Weights declared", work.weights_declared),
    ("Shapes declared", work.shapes_declared),
    ("No denormal weights", work.no_denormals),
)


def checks(evidence: Evidence) -> tuple[Check, ...]:
    """Every condition for a fair comparison, in the order in which a reader should doubt them."""
    facts = Facts(evidence=evidence)
    answers = ((name, check(facts)) for name, check in CHECKS)
    return tuple(
        Check(check=name, state=answer.state, detail=answer.detail, effect=answer.effect, fix=answer.fix)
        for name, answer in answers
    )
