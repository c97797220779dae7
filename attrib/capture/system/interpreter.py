"""Another Python that runs ONNX Runtime: `--ort-python PATH`.

The packages that hold ONNX Runtime's builds overwrite each other's files, so that one environment can have only one of
them. PyTorch and the exporter stay in attrib's own interpreter; the other one needs `onnxruntime`, `numpy` and `msgspec`.
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from attrib.errors import AttribError, UsageError
from attrib.model.execution_providers import ONNX_RUNTIME, package_of

ORT_PYTHON, AGAINST_ORT = "--ort-python", "--against-ort"
"""The options that name such an interpreter."""

OLDEST = (3, 11)
"""The oldest Python that attrib runs on (pyproject.toml)."""

NEEDED = (ONNX_RUNTIME, "numpy", "msgspec")
"""What the worker imports there (tested)."""

_TIMEOUT_S = 30.0
_MARK = "attrib-interpreter "
_LONGEST_REASON = 160

_QUESTION = """
import sys, json
found = {"version": list(sys.version_info[:3]), "missing": []}
if sys.version_info[0] > 2:
    from importlib.util import find_spec
    found["missing"] = [name for name in sys.argv[1:] if find_spec(name) is None]
sys.stdout.write("attrib-interpreter " + json.dumps(found) + "\\n")
"""
"""In words that a Python of any age understands."""

_OWN_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__")
"""They lead an interpreter to the packages of this one."""


class _Answer(msgspec.Struct, frozen=True):
    version: tuple[int, int, int]
    missing: tuple[str, ...] = ()


def find_interpreter(named: str | Path, option: str = ORT_PYTHON) -> Path:
    """Find an interpreter; its absolute path, whose links are kept, because a virtual environment's is one.

    Raises:
        UsageError: There is nothing that can be run.
    """
    text = os.fspath(named)
    on_path = shutil.which(text) if Path(text).name == text and not Path(text).exists() else None
    path = Path(on_path or text).expanduser().absolute()
    if path.is_dir():
        inside = next((p for p in (path / "bin/python", path / "Scripts/python.exe") if p.is_file()), None)
        hint = f"{option} {inside}" if inside else "name the interpreter itself: ENVIRONMENT/bin/python"
        raise UsageError(f"{option}: {path} is a directory", hint=hint)
    if not path.is_file():
        hint = "python3 -m venv ENVIRONMENT makes one, whose interpreter is ENVIRONMENT/bin/python"
        raise UsageError(f"{option}: there is no {path}", hint=hint)
    if not os.access(path, os.X_OK):
        raise UsageError(f"{option}: {path} is not executable", hint="name a Python interpreter")
    return path


def check_interpreter(named: str | Path, providers: Sequence[str] = (), *, option: str = ORT_PYTHON) -> Path:
    """Check that an interpreter can run the worker of ONNX Runtime.

    Args:
        named: As the user named it.
        providers: Those requested; they tell which package of ONNX Runtime to install.
        option: The option that names it.

    Returns:
        Its absolute path.

    Raises:
        UsageError: There is no such interpreter.
        AttribError: It is no Python, too old, or lacks a package.
    """
    path = find_interpreter(named, option)
    answer = _ask(path, option)
    version = ".".join(map(str, answer.version))
    if answer.version[:2] < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise AttribError(
            f"{option}: {path} is Python {version}, and attrib needs {oldest} or later",
            hint=f"make the environment with python{oldest} or later",
        )
    if answer.missing:
        packages = [package_of(providers) if name == ONNX_RUNTIME else name for name in answer.missing]
        raise AttribError(
            f"{option}: {path} has no {', '.join(answer.missing)}",
            hint=shlex.join([str(path), "-m", "pip", "install", *packages]),
        )
    return path


def _ask(path: Path, option: str) -> _Answer:
    """Ask an interpreter for its version and for the packages that it lacks."""
    try:
        done = subprocess.run(  # noqa: S603  (the program that the user named, for this purpose)
            [str(path), "-c", _QUESTION, *NEEDED],
            capture_output=True, stdin=subprocess.DEVNULL, timeout=_TIMEOUT_S, check=False,
            env=foreign_environment(os.environ), cwd=path.parent,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise _no_python(path, f"no answer within {_TIMEOUT_S:g} s", option) from error
    except OSError as error:
        raise _no_python(path, error.strerror or str(error), option) from error
    for line in done.stdout.decode(errors="replace").splitlines():
        if line.startswith(_MARK):
            try:
                return msgspec.json.decode(line[len(_MARK) :], type=_Answer)
            except msgspec.MsgspecError as error:
                raise _no_python(path, "it answered in a form that attrib does not know", option) from error
    said = [line.strip() for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
    raise _no_python(path, printable(said[-1]) if said else "", option)


def _no_python(path: Path, why: str, option: str) -> AttribError:
    reason = f" ({why[:_LONGEST_REASON]})" if why else ""
    return AttribError(
        f"{option}: {path} is no Python interpreter that works{reason}",
        hint="name the interpreter of an environment with ONNX Runtime: ENVIRONMENT/bin/python",
    )


def printable(text: str) -> str:
    """The text on one line: what cannot be printed becomes a space."""
    return "".join(c if c.isprintable() else " " for c in text)


_PATHS = {ORT_PYTHON: "PYTHON", "--provider-library": "NAME=LIBRARY"}
"""Options whose values are places on this machine -> what a command shows instead."""


def without_paths(command: str) -> str:
    """A command line that may be shared: it says that another interpreter ran, and not which.

    `attrib.scrub` shortens absolute paths only; where an environment lies is nobody's business even then.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    shown = []
    for before, word in zip(["", *words], words, strict=False):
        flag = word.partition("=")[0]
        if before in _PATHS:
            shown.append(_PATHS[before])
        else:
            shown.append(f"{flag}={_PATHS[flag]}" if flag in _PATHS and flag != word else word)
    return shlex.join(shown) if shown != words else command


def foreign_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables for another interpreter: none that lead it to this one's packages."""
    return {name: value for name, value in variables.items() if name not in _OWN_VARIABLES}
