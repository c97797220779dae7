"""The protobuf class of an ONNX model, without all that `import onnx` brings: helpers, checker, compiled extension.

Reading a graph needs the generated class alone, which takes a quarter of the time to import.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any

_NAME = "onnx.onnx_ml_pb2"


def model_class() -> Any:
    """`onnx.ModelProto`: the very class that onnx has, whether it was imported before or will be later."""
    if "onnx" not in sys.modules and _NAME not in sys.modules:
        _load_generated()
    if _NAME in sys.modules:
        return sys.modules[_NAME].ModelProto
    import onnx

    return onnx.ModelProto


def _load_generated() -> None:
    """Import the generated module under its own name, so that onnx finds it there, but not the package around it."""
    found = importlib.util.find_spec("onnx")
    for folder in (found.submodule_search_locations or ()) if found else ():
        file = Path(folder) / "onnx_ml_pb2.py"
        spec = importlib.util.spec_from_file_location(_NAME, file) if file.is_file() else None
        if spec is not None and spec.loader is not None:
            module = importlib.util.module_from_spec(spec)
            sys.modules[_NAME] = module
            spec.loader.exec_module(module)
            return
