"""A live module from Python, on its way to the workers: a file in this capture's temporary folder."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attrib.capture.workload.arguments import Arguments
from attrib.capture.workload.factory import check_result
from attrib.errors import AttribError, first_line

_HINT = "define the class in a module that can be imported, or pass 'file.py:factory' instead of the module"


@dataclass(frozen=True, slots=True, eq=False)
class Handover:
    """A module and its example inputs: a mapping by name, or a sequence by position."""

    module: Any
    inputs: Any


def save_handover(handover: Handover, file: Path) -> None:
    """Write a module and its inputs into a file for the workers.

    Raises:
        AttribError: The module cannot be saved, or an input is nothing that a model can be given.
    """
    import torch

    given = tuple(handover.inputs) if isinstance(handover.inputs, list) else handover.inputs
    check_result((handover.module, given), "the module")
    try:
        torch.save({"module": handover.module, "inputs": given}, file)
    except (pickle.PicklingError, AttributeError, TypeError, RuntimeError) as error:
        raise AttribError(
            f"the module cannot be handed to a worker: {first_line(error)}", hint=_HINT
        ) from error


def load_handover(file: str) -> tuple[Any, dict[str, Any], Arguments]:
    """Read what `save_handover` wrote a moment ago: the one pickle that attrib ever reads.

    Raises:
        AttribError: The module's class cannot be imported in a worker.
    """
    import torch

    try:
        handed = torch.load(file, weights_only=False)
    except (AttributeError, ImportError) as error:
        raise AttribError(f"a worker cannot load the module: {first_line(error)}", hint=_HINT) from error
    return check_result((handed["module"], handed["inputs"]), "the module")
