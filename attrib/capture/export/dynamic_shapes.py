"""`--dynamic-shapes`: which dimensions of the inputs get a symbol, and inputs for tracing that do not pin them."""

from dataclasses import replace
from typing import Any

from attrib.capture.workload.build import Built
from attrib.errors import UsageError

Dims = dict[str, dict[int, str]]
"""Input name -> dimension -> its symbol. An input without a symbol has an empty entry."""

_HINT = "leave out --dynamic-shapes, or let every input begin with the batch"


def dynamic_dims(inputs: dict[str, Any], *, tokens: bool) -> Dims:
    """The batch of every input, and the sequence of every input that holds tokens.

    Args:
        inputs: Tensors by name.
        tokens: Integer inputs are tokens, `[batch, sequence]`; else only the batch is known.

    Raises:
        UsageError: The inputs do not begin with one batch.
    """
    sizes = {name: value.shape[0] for name, value in inputs.items() if value.ndim}
    if len(set(sizes.values())) != 1:
        shown = ", ".join(f"{name} {list(value.shape)}" for name, value in inputs.items())
        raise UsageError(f"--dynamic-shapes finds no common batch in the inputs: {shown}", hint=_HINT)
    dims: Dims = {}
    for name, value in inputs.items():
        is_tokens = tokens and value.ndim > 1 and not value.is_floating_point()
        dims[name] = ({0: "batch"} if value.ndim else {}) | ({1: "sequence"} if is_tokens else {})
    return dims


def with_traceable_inputs(built: Built, dims: Dims) -> Built:
    """The model with inputs for tracing: a symbolic dimension of size 1 is doubled, because tracing would pin it."""
    inputs = {}
    for name, value in built.inputs.items():
        counts = [2 if i in dims[name] and size == 1 else 1 for i, size in enumerate(value.shape)]
        inputs[name] = value.repeat(counts) if counts else value
    return replace(built, inputs=inputs)
