"""Where the model comes from: a built-in name, a directory, the hub or a factory. Needs no engine."""

import logging
import re
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attrib.capture.workers.messages import SourceKind
from attrib.capture.workload.factory import EXAMPLE, functions_in, is_factory, split_factory
from attrib.capture.workload.sentence_directory import (
    MODEL_FILE,
    onnx_file_of,
    onnx_files_in,
    read_sentence_model,
)
from attrib.errors import AttribError, UsageError
from attrib.model.capture_options import CaptureOptions
from attrib.zoo.architectures import PublishedModel, find_architecture
from attrib.zoo.examples import EXAMPLE_BATCH, EXAMPLES
from attrib.zoo.names import BUILT_IN, similar_names

_HUB_TIMEOUT_S = 2.0
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_FILES = ("*.json", "*.safetensors", "tokenizer*", "vocab*", "merges.txt", "*.model")
_ONNX = "onnx/*"
_VARIANTS = ("*.fp16.safetensors", _ONNX, "openvino/*", "coreml/*", "*.h5.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A model that can be built.

    Attributes:
        kind: How a worker builds it.
        location: What the worker needs for it.
        model: Its name for the reader: no path.
        source: `built-in`, `directory`, `hub` or `factory`.
        note: What the reader should know about how it was found; may be empty.
        task: The task it is built for where none is asked for.
        batch_size: Rows of its inputs where no number is asked for.
        onnx: The ONNX file that belongs to it, which runs in place of an exported one.
    """

    kind: SourceKind
    location: str
    model: str
    source: str
    note: str = ""
    task: str = ""
    batch_size: int = 1
    onnx: Path | None = None


_CANNOT_CHANGE: dict[SourceKind, tuple[str, ...]] = {
    "sentence-transformer": ("cache_length", "layers", "task", "padding"),
    "example": ("seq_len", "cache_length", "layers", "task", "padding", "text"),
    "factory": ("batch_size", "seq_len", "cache_length", "layers", "task", "padding", "text"),
}
"""Options that a kind of source leaves no room for, because it brings its inputs or its whole model."""

_BRINGS: dict[SourceKind, str] = {
    "sentence-transformer": "its transformer runs as its own `encode` runs it",
    "example": "a small example is what it is",
    "factory": "the factory makes the model and its inputs",
}


def resolve_source(options: CaptureOptions) -> Source:
    """Find the model that `--model` or `--sentence-transformer` names, without loading it.

    Raises:
        UsageError: An option does not apply to this kind of model.
        AttribError: It cannot be found, or has no weights that may be read.
    """
    named = options.sentence_transformer
    source = _find(options.model) if named is None else _find_sentence_model(named, options.onnx)
    for field in _CANNOT_CHANGE.get(source.kind, ()):
        if getattr(options, field):
            option = f"--{field.replace('_', '-')}"
            raise UsageError(f"{option} does not apply to {source.model}: {_BRINGS[source.kind]}")
    return source


def _find(name: str) -> Source:
    """The model of that name: a factory, a directory, a built-in model, or one of the hub."""
    if is_factory(name):
        place, function = split_factory(name)
        if place.endswith(".py") and not Path(place).is_file():
            raise AttribError(f"there is no file {place}", hint="--model path/to/file.py:factory")
        shown = f"{Path(place).name}:{function}" if place.endswith(".py") else name
        return Source(kind="factory", location=name, model=shown, source="factory")
    if name.endswith(".py") and Path(name).is_file():
        functions = functions_in(Path(name))[:3]
        hint = " or ".join(f"--model {name}:{function}" for function in functions)
        hint = hint or f"--model {name}:FUNCTION; {EXAMPLE}"
        raise AttribError(
            f"{name} is a file, which does not say the function that makes the model", hint=hint
        )
    is_path = name.startswith((".", "/", "~")) or name.endswith(("/", ".onnx", ".safetensors"))
    if is_path or Path(name).is_dir() or Path(name, "config.json").is_file():
        return _directory(Path(name))
    if name in EXAMPLES:
        return Source(kind="example", location=name, model=name, source="built-in", batch_size=EXAMPLE_BATCH)
    architecture = find_architecture(name)
    if architecture is not None:
        return _built_in(architecture)
    if not _HUB_ID.fullmatch(name):
        raise _unknown(name, "it is neither a built-in name nor a hub id, a directory or a factory")
    folder = _cached(name)
    if folder is None:
        if not hub_reachable():
            raise _unknown(name, "it is not built in, not a directory, and the hub cannot be reached")
        folder = _download(name)
    _check_weights(folder)
    return Source(kind="directory", location=str(folder), model=name, source="hub")


def _directory(folder: Path) -> Source:
    folder = folder.expanduser()
    if not folder.exists():
        raise AttribError(
            f"there is no directory {folder}", hint="--model with a built-in name, a directory or a factory"
        )
    if not folder.is_dir():
        raise AttribError(f"{folder} is a file", hint="--model DIRECTORY, or --onnx FILE for the ONNX side")
    if not (folder / "config.json").is_file():
        raise AttribError(
            f"{folder} has no config.json", hint="save the model there with model.save_pretrained"
        )
    _check_weights(folder)
    return Source(
        kind="directory", location=str(folder.resolve()), model=folder.resolve().name, source="directory"
    )


def _find_sentence_model(name: str, onnx: Path | None) -> Source:
    """A directory of sentence-transformers, or one of the hub, with the ONNX file that its onnx backend runs."""
    folder, source = Path(name).expanduser(), "directory"
    lacking = f"the model has no onnx/{MODEL_FILE}, so that the onnx backend would export one"
    if not folder.is_dir():
        if name.startswith((".", "/", "~")) or not _HUB_ID.fullmatch(name):
            raise AttribError(
                f"there is no directory {folder}", hint="--sentence-transformer DIR or a hub id"
            )
        # sentence-transformers finds its own models without their owner's name, too.
        repository = name if "/" in name else f"sentence-transformers/{name}"
        online, source = hub_reachable(), "hub"
        found = _download(repository, str(onnx or MODEL_FILE)) if online else _cached(repository)
        if found is None:
            raise AttribError(
                f"{name} is no directory, and the hub cannot be reached", hint="--sentence-transformer DIR"
            )
        folder = found
        if not online:
            lacking = f"the local cache has no onnx/{MODEL_FILE} of the model, and the hub cannot be reached"
    found_model = read_sentence_model(folder.resolve())
    _check_weights(found_model.folder)
    file = onnx_file_of(found_model.folder, onnx)
    note = ""
    if file is None:
        others = ", ".join(onnx_files_in(found_model.folder))
        note = f"{lacking}; what ran is attrib's own export"
        note += f" (--onnx runs one of {others})" if others else ""
    return Source(
        kind="sentence-transformer",
        location=str(folder.resolve()),
        model=name if source == "hub" else folder.resolve().name,
        source=source,
        note=note,
        task=found_model.task,
        onnx=file,
    )


def _check_weights(folder: Path) -> None:
    if any(folder.glob("*.safetensors")):
        return
    if any(folder.glob("*.bin")) or any(folder.glob("*.pt")):
        raise AttribError(
            f"{folder.name} holds pickled weights only, and a pickle can run any code when it is read",
            hint="convert them where you trust them: model.save_pretrained(folder, safe_serialization=True)",
        )
    raise AttribError(f"{folder.name} holds no weights (*.safetensors)", hint="model.save_pretrained(folder)")


def _built_in(architecture: PublishedModel) -> Source:
    for repository in (architecture.repository, architecture.name):
        if folder := _cached(repository):
            return _published(architecture, "directory", str(folder))
    note = ""
    if hub_reachable():
        try:
            return _published(architecture, "directory", str(_download(architecture.repository)))
        except AttribError as error:
            note = f"{error}; random weights were used instead"
    return _published(architecture, "configuration", architecture.name, note)


def _published(architecture: PublishedModel, kind: SourceKind, location: str, note: str = "") -> Source:
    name, task = architecture.name, architecture.task
    return Source(kind=kind, location=location, model=name, source="built-in", task=task, note=note)


def _unknown(name: str, why: str) -> AttribError:
    similar = similar_names(name)
    hint = f"did you mean {' or '.join(similar)}?" if similar else f"built in: {', '.join(BUILT_IN)}"
    return AttribError(f"unknown model {name!r}: {why}", hint=hint)


def _cached(repository: str) -> Path | None:
    """The snapshot of a repository in the local cache, where it holds a configuration and weights."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, "config.json")
    if not isinstance(found, str):
        return None
    folder = Path(found).parent
    return folder if any(folder.glob("*.safetensors")) else None


def hub_reachable() -> bool:
    """Whether the hub answers within two seconds; asked once, never where the user said to stay offline."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    answers: list[bool] = []
    # A thread, because no timeout covers the look-up of the host's name.
    asking = threading.Thread(target=lambda: answers.append(_answers(constants.ENDPOINT)), daemon=True)
    asking.start()
    asking.join(_HUB_TIMEOUT_S)
    return bool(answers and answers[0])


def _answers(endpoint: str) -> bool:
    if not endpoint.startswith(("http://", "https://")):
        return False
    request = urllib.request.Request(endpoint, method="HEAD")  # noqa: S310  (the scheme was checked)
    try:
        with urllib.request.urlopen(request, timeout=_HUB_TIMEOUT_S):  # noqa: S310
            return True
    except (OSError, ValueError):
        return False


def _download(repository: str, onnx: str = "") -> Path:
    """Fetch configuration, tokenizer, safetensors, and the ONNX file of that name, into the hub's own cache.

    Raises:
        AttribError: There is no such model, or it could not be fetched.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    patterns: Any = [*_FILES, *([f"*{onnx}*"] if onnx else [])]
    try:
        return Path(
            snapshot_download(
                repository,
                allow_patterns=patterns,
                ignore_patterns=[name for name in _VARIANTS if not onnx or name != _ONNX],
                etag_timeout=_HUB_TIMEOUT_S,
            )
        )
    except GatedRepoError as error:
        raise AttribError(
            f"{repository} is gated", hint="accept its terms and log in with `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise _unknown(repository, "the hub does not know it") from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise AttribError(f"{repository} could not be downloaded: {type(error).__name__}") from error
