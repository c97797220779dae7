"""Whether a compiled provider found its engine in a cache: session creation with and without are not the same thing."""

from collections.abc import Callable, Mapping
from pathlib import Path

Cache = Callable[[Mapping[str, str]], str]
"""Options of a provider -> the directory of its cache, empty where it uses none."""


def _named(key: str) -> Cache:
    return lambda options: options.get(key, "")


def _tensorrt(options: Mapping[str, str]) -> str:
    on = options.get("trt_engine_cache_enable", "0").lower() in ("1", "true")
    return (options.get("trt_engine_cache_path") or ".") if on else ""


CACHES: dict[str, Cache] = {
    "OpenVINOExecutionProvider": _named("cache_dir"),
    "TensorrtExecutionProvider": _tensorrt,
    "NvTensorRTRTXExecutionProvider": _named("nv_runtime_cache_path"),
    "MIGraphXExecutionProvider": _named("migraphx_model_cache_dir"),
    "CoreMLExecutionProvider": _named("ModelCacheDirectory"),
}
"""Provider -> where its options say that compiled engines are kept."""


class CacheWatch:
    """Looks at the caches before a session is created; `state` says what it found."""

    def __init__(self, options: Mapping[str, Mapping[str, str]], providers: tuple[str, ...]) -> None:
        named = [CACHES[name](options.get(name, {})) for name in providers if name in CACHES]
        self._known = bool(named)
        self._folders = [Path(folder) for folder in named if folder]
        self._before = self._files()

    def _files(self) -> set[Path]:
        return {file for folder in self._folders if folder.is_dir() for file in folder.rglob("*")}

    def state(self) -> str:
        """After the session exists: `off`, `cold` (it was empty), `warm` (nothing was added) or `partly warm`.

        Empty where nobody knows whether the providers keep one.
        """
        if not self._folders:
            return "off" if self._known else ""
        added = self._files() - self._before
        if not added:
            return "warm" if self._before else "cold"
        return "partly warm" if self._before else "cold"
