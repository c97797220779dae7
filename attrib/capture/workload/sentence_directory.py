"""A directory of sentence-transformers: which transformer its `encode` runs, on what, and which ONNX file.

Its own JSON files say all of that, so that sentence-transformers need not be installed. What they say beyond text through
one transformer is refused: attrib measures what `encode` does, or nothing.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import msgspec

from attrib.errors import AttribError, first_line

MODEL_FILE = "model.onnx"
"""What the onnx backend runs where no `file_name` is given, in the directory or its folder `onnx`."""

_T = TypeVar("_T")

_OWN = "sentence_transformers."
"""Where the classes of a directory's modules must come from: others would be code of the directory."""

_CONFIGS = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""Names that the settings of a transformer have had, in the order in which they are looked for."""

_TEXT = {"method": "forward", "method_output_name": "last_hidden_state"}
"""How a transformer is called with a text, and what is read of its result."""

_HINT = "--model file.py:factory with a function that returns its transformer and inputs, and --onnx FILE"


class _Module(msgspec.Struct):
    """An entry of modules.json."""

    type: str = ""
    path: str = ""


class _Settings(msgspec.Struct):
    """How `encode` uses the transformer."""

    max_seq_length: int | None = None
    do_lower_case: bool = False


class _Model(msgspec.Struct):
    """What holds for all modules."""

    model_type: str = "SentenceTransformer"
    prompts: dict[str, str | None] | None = None
    default_prompt_name: str | None = None


class _Config(msgspec.Struct):
    """What transformers knows of the model."""

    is_encoder_decoder: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceModel:
    """What `encode` does before it pools.

    Attributes:
        folder: Holds the transformer's weights, tokenizer and ONNX files.
        task: What attrib calls the class that the torch backend builds.
        limit: Tokens that it keeps of a text (`max_seq_length`); None for as many as the tokenizer and model have.
        lower_case: It lowers the case of the text first, whatever the tokenizer does.
        prompt: What it puts before each text.
    """

    folder: Path
    task: str
    limit: int | None
    lower_case: bool
    prompt: str


def read_sentence_model(root: Path) -> SentenceModel:
    """Read the directory.

    Raises:
        AttribError: It is none of sentence-transformers, or its `encode` does what attrib does not follow.
    """
    folder = root / _place_of_transformer(root)
    if not (folder / "config.json").is_file():
        raise AttribError(f"{root.name} has no config.json where modules.json says that its transformer is")
    if (folder / "adapter_config.json").is_file():
        raise AttribError(
            f"{root.name} is an adapter (PEFT), which the onnx backend cannot load",
            hint="merge it into its model, and save that with save_pretrained",
        )
    file = next((folder / name for name in _CONFIGS if (folder / name).is_file()), folder / _CONFIGS[0])
    settings, model = _read(file, _Settings), _read(root / "config_sentence_transformers.json", _Model)
    strange = [name for name, value in _read(file, dict[str, Any]).items() if not _is_followed(name, value)]
    if model.model_type != _Model().model_type:
        strange.append(f"model_type {model.model_type}")
    if strange:
        raise AttribError(
            f"{root.name} sets {strange[0]}, which attrib does not follow: it would measure something else than `encode`",
            hint=_HINT,
        )
    return SentenceModel(
        folder=folder,
        # As sentence-transformers does, which builds the encoder alone of a model that also has a decoder.
        task="text-encoding" if _read(folder / "config.json", _Config).is_encoder_decoder else "",
        limit=settings.max_seq_length,
        lower_case=settings.do_lower_case,
        prompt=(model.prompts or {}).get(model.default_prompt_name or "") or "",
    )


def _place_of_transformer(root: Path) -> PurePosixPath:
    """The folder of the first module, which is a transformer, in the directory.

    Raises:
        AttribError: It is none, or some module needs code of the directory's own.
    """
    modules = _read(root / "modules.json", list[_Module])
    if not modules:
        raise AttribError(
            f"{root.name} is no directory of sentence-transformers: it has no modules.json that lists modules",
            hint="--model DIR for a directory of transformers",
        )
    if foreign := [module.type for module in modules if not module.type.startswith(_OWN)]:
        raise AttribError(
            f"{root.name} needs code of its own ({foreign[0] or 'a module without a type'} in modules.json), and attrib"
            " runs no code because a model's directory holds it",
            hint=_HINT,
        )
    first = modules[0].type.rpartition(".")[2]
    if first != "Transformer":
        raise AttribError(f"{root.name} begins with a {first}: there is no transformer in it to compare")
    place = PurePosixPath(modules[0].path)
    if place.is_absolute() or ".." in place.parts:
        raise AttribError(f"modules.json of {root.name} points outside the directory, to {str(place)!r}")
    return place


def _read(file: Path, kind: type[_T]) -> _T:
    """What a JSON file holds of a type; an empty one where there is no file.

    Raises:
        AttribError: It holds something else.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except FileNotFoundError:
        return kind()
    except (OSError, msgspec.DecodeError) as error:
        raise AttribError(f"{file.name} cannot be read: {first_line(error)}") from error


def _is_followed(name: str, value: Any) -> bool:
    """Whether a setting of the transformer leaves it what `SentenceModel` says."""
    match name:
        case "max_seq_length" | "do_lower_case":
            return True
        case "module_output_name" | "unpad_inputs":  # how a result is called; what flash attention gets
            return True
        case "transformer_task":
            return bool(value == "feature-extraction")
        case "modality_config":  # through a chat template (`message`), a text is not what the tokenizer gets
            return isinstance(value, dict) and value.get("text") == _TEXT and "message" not in value
        case _:
            return not value


def onnx_file_of(folder: Path, name: Path | None) -> Path | None:
    """The file that the onnx backend runs; None where it would export one.

    Args:
        folder: The transformer's.
        name: What `file_name` would be for the backend, relative to the folder; None for the default.

    Raises:
        AttribError: There is no file of that name.
    """
    wanted = name or MODEL_FILE
    for file in (folder / wanted, folder / "onnx" / wanted):
        if file.is_file():
            return file
    if name is None:
        return None
    there = onnx_files_in(folder)
    hint = f"--onnx {' or '.join(there[:3])}, or the whole path of a file elsewhere" if there else ""
    raise AttribError(f"there is no file {name} in the model's directory", hint=hint)


def onnx_files_in(folder: Path) -> list[str]:
    """The ONNX files of a folder, as `file_name` calls them."""
    return sorted(file.relative_to(folder).as_posix() for file in folder.glob("**/*.onnx"))
