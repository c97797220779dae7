"""What every test may use: the command line as a subprocess, the shared traces, and hypothesis without a stopwatch."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("ATTRIB_SHARED", ROOT.parent / "shared"))

settings.register_profile("attrib", deadline=None, derandomize=True)
settings.load_profile("attrib")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and so would everything that the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_traces() -> Path:
    """Real traces recorded by other people, which are not part of the project."""
    folder = SHARED / "traces"
    if not folder.is_dir():
        pytest.skip(
            "the folder of shared traces is not beside the checkout (ATTRIB_SHARED names another place)"
        )
    return folder


@pytest.fixture(scope="session")
def cli() -> Cli:
    """Run `attrib` as a user would, in a process of its own."""

    def run(*args: str | Path, timeout: float = 300, **kwargs) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100", "HF_HUB_OFFLINE": "1"} | kwargs.pop("env", {})
        return subprocess.run(
            [sys.executable, "-m", "attrib", *map(str, args)],
            capture_output=True, text=True, errors="replace", timeout=timeout, check=False, env=env, **kwargs,
        )  # fmt: skip

    return run
