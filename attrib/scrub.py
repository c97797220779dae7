"""Text that may be shared: without home directories, names of users and hosts, and absolute paths."""

import functools
import getpass
import os
import re
import socket
from pathlib import Path

_STOP = r"\s\"'`<>|:;,()\[\]{}"
_PATH = re.compile(
    rf"""(?:(?:file://)(?=/)|(?<![\w/.~\\-]))        # not inside a URL, a relative path or a word
    (?P<path>(?:~|[A-Za-z]:(?=[\\/]))?[\\/](?![\\/])[^{_STOP}]+|\\\\[^{_STOP}]+)""",
    re.VERBOSE,
)
_QUOTED = re.compile(r"""(?P<quote>["'])(?P<path>(?:~|[A-Za-z]:)?[\\/][^"'\n]*)(?P=quote)""")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_HOME = re.compile(r"(?:[A-Za-z]:)?[\\/](?:home|users|root)(?:[\\/][^\\/]+)?[\\/]*", re.IGNORECASE)
_SPACED_HOME = re.compile(r"(?:[A-Za-z]:)?[\\/](?:home|Users)[\\/][^\s\\/]+(?: [A-Z][\w.-]*){1,2}(?=[\\/])")
_PACKAGE = re.compile(r".*[\\/](?:site|dist)-packages[\\/]+(.+)", re.DOTALL)
_FILE = re.compile(
    r".+\.(?:bin|c|cc|cpp|cu|data|dll|dylib|gz|h|html|json|npy|npz|onnx|parquet|pt|pth|py|pyc|safetensors|so[.\d]*|toml|"
    r"txt|ya?ml)",
    re.IGNORECASE,
)
_ROOTS = frozenset({
    "app", "applications", "apps", "bin", "boot", "builds", "content", "data", "datasets", "dev", "efs",
    "etc", "fsx", "gpfs", "home", "io", "kaggle", "lib", "lib64", "library", "lustre", "media", "mnt", "net",
    "nfs", "nix", "opt", "private", "proc", "root", "run", "sbin", "scratch", "shared", "snap", "srv", "sys",
    "tmp", "users", "usr", "var", "volumes", "work", "workspace", "workspaces",
})  # fmt: skip
"""Top-level directories of common systems; the names of ONNX nodes (`/encoder/layer.0/MatMul`) differ."""

_IMPERSONAL = frozenset({
    "admin", "administrator", "build", "container", "debian", "docker", "host", "jenkins", "jovyan", "linux",
    "local", "localhost", "macbook", "nobody", "node", "root", "runner", "ubuntu", "user", "users", "vscode",
    "worker",
})  # fmt: skip
_SHORTEST_NAME = 3
"""A name of one or two letters would tear holes into ordinary words, and tells nobody who it is."""


def scrub(text: str) -> str:
    """Remove what names a person, a machine or a place from a text that may be shared.

    Home directories, user and host names and absolute paths go; a path keeps the part after `site-packages/`,
    else its base name. Names of graph nodes that only look like paths (`/encoder/layer.0/MatMul`) are kept.
    """
    text = _CREDENTIALS.sub("", text)
    for home in _homes():
        text = re.sub(rf"(?<![\w/.-]){re.escape(home)}(?![\w.-])", "~", text)
    text = _SPACED_HOME.sub("~", text)
    text = _QUOTED.sub(lambda m: f"{m['quote']}{_short(m['path'])}{m['quote']}", text)
    text = _PATH.sub(lambda m: _short(m["path"]), text)
    for name, mark in _names():
        text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", mark, text, flags=re.IGNORECASE)
    return text


def _short(path: str) -> str:
    """A path without what is personal in it; the name of a graph node, which only looks like a path, as it is."""
    inside = _PACKAGE.fullmatch(path)
    if inside:
        return inside[1].replace("\\", "/")
    if path in ("~", "~/") or _HOME.fullmatch(path):
        return "~"
    first = path.lstrip("/").split("/", 1)[0]
    on_disk = path[0] == "~" or path[1:2] == ":" or path.startswith("\\")
    if on_disk or first.lower() in _ROOTS or first in _local_roots() or _FILE.fullmatch(path):
        return re.split(r"[\\/]", path.rstrip("\\/"))[-1] or "/"
    return path


@functools.cache
def _local_roots() -> frozenset[str]:
    """Names of the top-level directories of this machine."""
    try:
        return frozenset(entry.name for entry in os.scandir("/"))
    except OSError:
        return frozenset()


@functools.cache
def _homes() -> tuple[str, ...]:
    """This user's home directory, as given and with its links followed; never the root directory."""
    try:
        home = Path.home()
        found = {str(home), str(home.resolve())}
    except (OSError, RuntimeError):
        return ()
    return tuple(sorted((path for path in found if len(Path(path).parts) > 1), key=len, reverse=True))


@functools.cache
def _names() -> tuple[tuple[str, str], ...]:
    """Names of this user and this host, longest first, with what replaces them."""
    host = socket.gethostname()
    try:
        user = getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container whose user id has no name
        user = ""
    found = {user: "<user>", host.split(".")[0]: "<host>", host: "<host>"}
    kept = [name for name in found if len(name) >= _SHORTEST_NAME and name.lower() not in _IMPERSONAL]
    return tuple((name, found[name]) for name in sorted(kept, key=lambda name: (-len(name), name)))
