"""io-binding: bind inputs and outputs to memory once, instead of handing them over in every step."""

from msgspec.structs import replace

from attrib.model.estimate import Delta
from attrib.units import format_ns
from attrib.verify.experiments.change import experiment, variant
from attrib.verify.predict.prediction import at_most
from attrib.verify.protocol import ExperimentContext, Inapplicable, Variant

API = "ort api"


def variants(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
    """IO binding, where the capture ran without it."""
    if context.options.io_binding:
        return Inapplicable(reason="the capture ran with IO binding already")
    options = replace(context.options, io_binding=True)
    why = "the profile does not hold the time of the calls around the steps"
    rows = [row for row in context.evidence.ledger.rows if row.region == f"(framework)/{API}"]
    predicted = None
    if rows:
        row = rows[0]
        wide = max(row.high_ns - row.delta_ns, 0)
        bound = Delta(median=row.onnxruntime_ns, low=0, high=row.onnxruntime_ns + wide)
        basis = (
            f"Handing over inputs and outputs, and the Python call itself, take {format_ns(row.onnxruntime_ns)}"
            " outside of ONNX Runtime's own run."
        )
        predicted = replace(at_most(context, "onnxruntime", bound, basis), rows=(row.id,))
    return (variant("io-binding", "IO binding", options, predicted, why),)


EXPERIMENT = experiment(
    "io-binding",
    "IO binding",
    "Binds inputs and outputs to memory once, with `run_with_iobinding`: no conversion and, on a GPU, no copy in each step.",
    "onnxruntime",
    variants,
    flags="--io-binding",
    basis="at most the time of the call around ONNX Runtime's own run",
)
