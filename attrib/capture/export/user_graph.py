"""An ONNX file that the user brings: what is checked before ONNX Runtime opens it."""

from pathlib import Path, PurePosixPath

from attrib.errors import AttribError
from attrib.rewrite.files import tensors_of


def check_user_graph(file: Path) -> int:
    """Check that the file is an ONNX model whose weights lie inside its own directory; returns its opset.

    Raises:
        AttribError: It cannot be read, or it points to files elsewhere.
    """
    import onnx
    from google.protobuf.message import DecodeError

    if not file.is_file():
        raise AttribError(f"there is no file {file}", hint="--onnx FILE")
    try:
        model = onnx.load(str(file), load_external_data=False)
    except (DecodeError, OSError) as error:
        raise AttribError(f"{file.name} is not an ONNX model") from error
    if not model.graph.node:
        raise AttribError(f"{file.name} holds no graph")
    root = file.parent.resolve()
    for tensor in tensors_of(model):
        for location in (entry.value for entry in tensor.external_data if entry.key == "location"):
            path = PurePosixPath(location.replace("\\", "/"))
            inside = not path.is_absolute() and ".." not in path.parts
            target = (file.parent / path).resolve()
            if not inside or not target.is_relative_to(root):
                where = f"outside the file's directory, to {location!r}"
                raise AttribError(f"{file.name}: weight {tensor.name!r} points {where}")
            if not target.is_file():
                where = f"there is no file {location!r} beside it"
                raise AttribError(f"{file.name}: the weights of {tensor.name!r} are missing: {where}")
    return next((int(row.version) for row in model.opset_import if row.domain in ("", "ai.onnx")), 0)
