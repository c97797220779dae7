"""What the user gives execution providers: options `[PROVIDER:]KEY=VALUE`, libraries `NAME=PATH`.

Importing this imports no engine. Which options a provider takes is only known to the provider: ONNX Runtime hands them
over as text, and the worker says what it answers.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from attrib.errors import UsageError
from attrib.model.execution_providers import CUDA_PROVIDER, provider_name, provider_row

GRAPH_PROVIDER, GRAPH_OPTION = CUDA_PROVIDER, "enable_cuda_graph"
"""Who captures a whole run as one CUDA graph and replays it, and its option for that."""

_EXAMPLE = "for example --provider-option OpenVINOExecutionProvider:device_type=CPU"

Options = dict[str, dict[str, str]]


def provider_options(pairs: Iterable[str], providers: Sequence[str]) -> Options:
    """Read `[PROVIDER:]KEY=VALUE` strings into options by provider and key; where a key is given twice the last one holds.

    Args:
        pairs: As given; without a provider an option is the first requested provider's.
        providers: Those requested, by their full names.

    Raises:
        UsageError: One of them is no such string, or belongs to a provider that is not requested.
    """
    found: Options = {}
    for pair in pairs:
        left, equals, value = pair.partition("=")
        named, colon, key = left.rpartition(":")
        if not equals or not key.strip() or (colon and not named.strip()):
            raise UsageError(f"--provider-option {pair!r} is no [PROVIDER:]KEY=VALUE", hint=_EXAMPLE)
        provider = provider_name(named) if colon else providers[0]
        if provider not in providers:
            near = get_close_matches(provider, providers, n=1)
            hint = f"did you mean {near[0]}?" if near else f"add --provider {provider}, or {_EXAMPLE}"
            raise UsageError(f"--provider-option {pair!r}: {provider} is not requested", hint=hint)
        found.setdefault(provider, {})[key.strip()] = value.strip()
    return found


def option_pairs(options: Options) -> tuple[str, ...]:
    """The strings from which `provider_options` makes these options."""
    return tuple(
        f"{provider}:{key}={value}" for provider, given in options.items() for key, value in given.items()
    )


def thread_options(providers: Iterable[str], threads: int) -> Options:
    """Options that give providers with a thread pool of their own as many threads as ONNX Runtime's has."""
    options = {name: provider_row(name).thread_option for name in providers}
    return {name: {option: str(threads)} for name, option in options.items() if option}


def provider_libraries(pairs: Iterable[str]) -> dict[str, str]:
    """Read `NAME=PATH` strings: absolute paths by the provider's name.

    Raises:
        UsageError: One of them is no such string, or names no file.
    """
    found = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not equals or not name.strip() or not path.strip():
            hint = "for example --provider-library OpenVINOExecutionProvider=/path/libplugin.so"
            raise UsageError(f"--provider-library {pair!r} is no NAME=PATH", hint=hint)
        file = Path(path.strip()).expanduser()
        if not file.is_file():
            raise UsageError(f"--provider-library {name.strip()}: there is no file {file}")
        found[provider_name(name)] = str(file.absolute())
    return found
