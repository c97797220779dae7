"""`module:factory` and `file.py:factory`: the user's own function that makes a module and its example inputs."""

import ast
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from attrib.capture.workload.arguments import Arguments, split_call
from attrib.errors import AttribError, first_line

EXAMPLE = "a factory returns (module, example_inputs), with example_inputs a dict or a tuple of inputs"
_TRACEBACK = "ATTRIB_DEBUG=1 shows the whole traceback"


def is_factory(model: str) -> bool:
    """Whether `--model` names a factory rather than a model."""
    place, colon, function = model.rpartition(":")
    return bool(colon and place and function.isidentifier())


def split_factory(model: str) -> tuple[str, str]:
    """The module or file of a factory, and the name of its function."""
    place, _, function = model.rpartition(":")
    return place, function


def functions_in(file: Path) -> list[str]:
    """Names of the public functions that a Python file defines and that need no argument, in order; it is not run."""
    try:
        body = ast.parse(file.read_bytes()).body
    except (SyntaxError, ValueError, RecursionError):
        return []
    functions = (s for s in body if isinstance(s, ast.FunctionDef) and not s.name.startswith("_"))
    return [f.name for f in functions if len(f.args.posonlyargs + f.args.args) == len(f.args.defaults)]


def call_factory(model: str, directory: Path) -> tuple[Any, dict[str, Any], Arguments]:
    """Call a factory, the user's own function that makes a module and its inputs.

    Args:
        model: `module:factory` or `file.py:factory`.
        directory: Where the user stands: modules and relative files are looked up from here.

    Returns:
        The module, its tensors by name, and how they are nested in the call.

    Raises:
        AttribError: The factory cannot be found, raises, or returns something else.
    """
    place, name = split_factory(model)
    module = _import(place, directory)
    factory = getattr(module, name, None)
    if not callable(factory):
        functions = [
            defined
            for defined, value in vars(module).items()
            if callable(value)
            and not defined.startswith("_")
            and getattr(value, "__module__", "") == module.__name__
        ]
        hint = f"{place} defines: {', '.join(functions[:5])}" if functions else EXAMPLE
        raise AttribError(f"{place} has no function {name!r}", hint=hint)
    try:
        result = factory()
    except Exception as error:
        raise AttribError(
            f"factory {model} raised {first_line(error)}{_where(error, module)}", hint=_TRACEBACK
        ) from error
    return check_result(result, f"factory {model}")


def _import(place: str, directory: Path) -> ModuleType:
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    try:
        return _import_file(directory / place) if place.endswith(".py") else importlib.import_module(place)
    except AttribError:
        raise
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == place.partition(".")[0]
        hint = "check the spelling, or give the file: path/to/file.py:factory" if missing else ""
        raise AttribError(
            f"cannot import {place}: {first_line(error)}{_where(error, None)}", hint=hint
        ) from error


def _import_file(file: Path) -> ModuleType:
    if not file.is_file():
        raise AttribError(f"there is no file {file.name}")
    # Modules beside the file are importable, as they are for `python file.py`.
    sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise AttribError(f"{file.name} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs: torch.export looks up the module of a class by its name.
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def _where(error: Exception, module: ModuleType | None) -> str:
    """` (file.py, line 12)`: the innermost line of the user's own file, else of the last frame."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({Path(error.filename).name}, line {error.lineno})"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and "importlib" not in frame.filename
    ]
    own = [frame for frame in frames if module is not None and frame.filename == module.__file__]
    chosen = (own or frames)[-1:]
    return "".join(f" ({Path(frame.filename).name}, line {frame.lineno})" for frame in chosen)


def check_result(result: object, giver: str) -> tuple[Any, dict[str, Any], Arguments]:
    """Check what a factory gave; the module, its tensors by name, and how they are nested in the call.

    Args:
        result: `(module, example_inputs)`.
        giver: Who made it, for the error.

    Raises:
        AttribError: It is something else.
    """
    import torch

    args: Sequence[object] = ()
    kwargs: Mapping[str, object] = {}
    match result:
        case (torch.nn.Module() as module, Mapping() as named):
            kwargs = {str(name): value for name, value in named.items()}
        case (torch.nn.Module() as module, [*values]):
            args = values
        case (torch.nn.Module() as module, torch.Tensor() as value):
            args = [value]
        case _:
            raise AttribError(f"{giver} gave {_describe(result)}", hint=EXAMPLE)
    arguments, inputs = split_call(args, kwargs, _parameter_names(module, args), giver)
    return module, inputs, arguments


def _describe(value: object) -> str:
    if isinstance(value, tuple):
        return f"a tuple of ({', '.join(type(item).__name__ for item in value)})"
    return f"a {type(value).__name__}"


def _parameter_names(module: Any, values: Sequence[object]) -> list[str]:
    """Names of the forward's parameters, or `input_0`, ... where it takes `*args`."""
    import inspect

    import torch

    if isinstance(module, torch.jit.ScriptModule):
        names = [argument.name for argument in module.forward.schema.arguments[1:]]
    else:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = inspect.signature(module.forward).parameters.values()
        names = [parameter.name for parameter in parameters if parameter.kind in kinds]
    return [names[i] if i < len(names) else f"input_{i}" for i in range(len(values))]
