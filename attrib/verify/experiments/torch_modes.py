"""torch-attention, torch-compile: run PyTorch in another way that is open to the user."""

from msgspec.structs import replace

from attrib.model.manifest import COMPILED_BY_MODEL
from attrib.verify.experiments.attention import NO_CHOICE, OTHER, has_choice
from attrib.verify.experiments.change import experiment, variant
from attrib.verify.predict.pytorch import eager_attention, predict_compilation
from attrib.verify.protocol import Experiment, ExperimentContext, Inapplicable, Variant


def attention(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
    """The other attention implementation."""
    if not has_choice(context):
        return NO_CHOICE
    other = OTHER[context.options.attention]
    options = replace(context.options, attention=other)
    predicted = eager_attention(context) if other == "eager" else None
    why = "neither engine ran the other form of attention, so the profile does not have its time"
    return (variant(f"torch-attention-{other}", f"PyTorch with {other} attention", options, predicted, why),)


def compilation(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
    """`torch.compile`, where PyTorch ran something else."""
    mode = context.options.torch_mode
    if mode == "compile":
        return Inapplicable(reason="the capture ran PyTorch compiled already")
    if by := context.manifest.sides["torch"].settings.get(COMPILED_BY_MODEL):
        return Inapplicable(reason=f"the model is compiled already, by {by}")
    options = replace(context.options, torch_mode="compile")
    predicted = predict_compilation(context) if mode == "eager" else None
    why = (
        "the profile does not hold PyTorch's calls"
        if mode == "eager"
        else "a TorchScript trace is fused already, in another way than torch.compile would"
    )
    return (variant("torch-compile", "PyTorch with torch.compile", options, predicted, why),)


EXPERIMENTS: tuple[Experiment, ...] = (
    experiment(
        "torch-attention",
        "PyTorch: another attention",
        "Runs PyTorch with the model's other attention implementation, so that ONNX Runtime is compared with what"
        " the user could have.",
        "torch",
        attention,
        flags="--attention NAME",
        basis="the same attention as ONNX Runtime's single nodes, and the dispatch of the calls",
    ),
    experiment(
        "torch-compile",
        "PyTorch: torch.compile",
        "Runs PyTorch compiled by Inductor, so that ONNX Runtime is compared with what the user could have.",
        "torch",
        compilation,
        flags="--torch-mode compile",
        basis="at most dispatch and the calls that are no products",
    ),
)
