"""compress-*, torch-compress-*: change the PyTorch module before it is run and exported, each engine beside its original."""

from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from attrib.capture.session.request_from_manifest import CAPTURE_AGAIN
from attrib.compress.registry import COMPRESSIONS
from attrib.model.experiment import Prediction
from attrib.model.manifest import Role
from attrib.verify.experiments.change import NOT_EXPORTED, Variants, experiment, saw_graph, variant
from attrib.verify.predict.bounds import linear_calls
from attrib.verify.predict.heads import without_heads
from attrib.verify.protocol import Experiment, ExperimentContext, Inapplicable, Variant

_NO_FORM = (
    "neither exporter of torch 2.13 writes PyTorch's int8 products, so that there is most likely nothing to measure;"
    " --optimize int8-dynamic quantizes the exported graph"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """One compression as it is tried.

    Attributes:
        form: What the model then has, for a title.
        about: What it does.
        predict: The saving of either engine, where the profile tells it.
        unpredicted: Why there is none for either engine.
        basis: What the prediction of either engine rests on.
    """

    form: str
    about: str
    predict: dict[Role, Callable[[ExperimentContext], Prediction | None]]
    unpredicted: dict[Role, str]
    basis: dict[Role, str]


def _pruned(role: Role) -> Callable[[ExperimentContext], Prediction | None]:
    share = COMPRESSIONS["prune-heads"].share or 0.0
    return lambda context: without_heads(context, role, share) if saw_graph(context) else None


_NO_HEADS = "no attention with several heads is seen node by node in the graph that ran"
_OF_HEADS = "a quarter of the products and of Softmax of attention"
_INT8: dict[Role, str] = {"onnxruntime": _NO_FORM, "torch": "no product of a Linear layer is seen"}
_OF_INT8: dict[Role, str] = {
    "onnxruntime": "none: only the export shows whether there is a graph",
    "torch": "at most the products of Linear layers",
}

_TRIED: dict[str, _Tried] = {
    "prune-heads": _Tried(
        form="a quarter fewer heads",
        about="Leaves out of each attention layer of the PyTorch model the quarter of the heads whose value and output"
        " weights have the smallest product, to show what pruning could save; only the model's accuracy can say whether"
        " it is still good enough.",
        predict={"onnxruntime": _pruned("onnxruntime"), "torch": _pruned("torch")},
        unpredicted={"onnxruntime": _NO_HEADS, "torch": _NO_HEADS},
        basis={"onnxruntime": _OF_HEADS, "torch": _OF_HEADS},
    ),
    "int8-dynamic": _Tried(
        form="dynamic int8 layers",
        about="Quantizes the Linear layers of the PyTorch model with `torch.ao.quantization.quantize_dynamic`: weights"
        " in int8, activations in every step.",
        predict={"torch": linear_calls},
        unpredicted=_INT8,
        basis=_OF_INT8,
    ),
    "int8-weight-only": _Tried(
        form="weight-only int8 layers",
        about="Keeps the weights of the PyTorch model's Linear layers in int8 and multiplies with"
        " `aten::_weight_int8pack_mm`, in bfloat16: less memory to read, more to compute.",
        predict={"torch": linear_calls},
        unpredicted=_INT8,
        basis=_OF_INT8,
    ),
}


def _variants(name: str, role: Role) -> Variants:
    def variants(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
        options, possible = context.options, context.manifest.workload.compressible
        if role == "onnxruntime" and options.onnx is not None:
            return NOT_EXPORTED
        if possible is None:
            return Inapplicable(
                reason=f"the capture does not say which layers the model has: {CAPTURE_AGAIN}"
            )
        if name not in possible:
            layers = COMPRESSIONS[name].layers
            return Inapplicable(reason=f"the model has no {layers} of a form that {name} can compress")
        tried = _TRIED[name]
        predict = tried.predict.get(role)
        return (
            variant(
                _id(name, role),
                _title(tried, role),
                # The user's own graph stays out of what PyTorch alone runs.
                replace(options, compress=(*options.compress, name), onnx=None),
                predict(context) if predict else None,
                tried.unpredicted[role],
            ),
        )

    return variants


def _id(name: str, role: Role) -> str:
    return f"{'torch-' if role == 'torch' else ''}compress-{name}"


def _title(tried: _Tried, role: Role) -> str:
    return f"{'PyTorch' if role == 'torch' else 'Exported'} with {tried.form}"


_SIDES: tuple[Role, Role] = ("onnxruntime", "torch")

EXPERIMENTS: tuple[Experiment, ...] = tuple(
    experiment(
        _id(name, role),
        _title(tried, role),
        tried.about
        + (
            " Here PyTorch runs it." if role == "torch" else " Here it is exported, and ONNX Runtime runs it."
        ),
        role,
        _variants(name, role),
        changes_numbers=True,
        flags=f"--compress {name}",
        basis=tried.basis[role],
    )
    for name, tried in _TRIED.items()
    for role in _SIDES
)
