"""A model as tracing needs it: TorchScript traces nothing but positional tensors and a flat tuple of results."""

from typing import Any

import torch

from attrib.capture.workload.build import Built, named_outputs


class FlatModule(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """Takes the inputs by position and returns a flat tuple of tensors.

    The attribute's name becomes the first part of every node name, so it is removed again from the file.
    """

    ATTRIBUTE = "model"

    def __init__(self, built: Built) -> None:
        super().__init__()
        self.model = built.module
        self._fill = built.arguments.fill
        self.eval()  # the exporter puts the module back into the mode of its root

    def forward(self, *tensors: Any) -> Any:
        """One inference call on the inputs in order."""
        args, kwargs = self._fill(tensors)
        return tuple(named_outputs(self.model(*args, **kwargs)).values())
