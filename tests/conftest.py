"""What every test may use: the command line as a process, samples, captures that are made once, and how tests share the
machine."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from attrib.api import Analysis

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("ATTRIB_SHARED", ROOT.parent / "shared"))

settings.register_profile("attrib", deadline=None, derandomize=True)
settings.load_profile("attrib")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and so would everything that the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)

Cli = Callable[..., subprocess.CompletedProcess[str]]
MadeOnce = Callable[[str, Callable[[Path], Any]], Path]

QUICKLY = ("--launches", "1", "--max-time", "0")
"""Options of a capture whose figures no test believes: other tests run beside it, and disturb every block."""

MOST_WORKERS = 4
"""Each may run two engines at a time, which take all cores and about 2 GB."""
RUNNING, TURN = Path(__file__), ROOT / "pyproject.toml"
"""Files that stand for two locks between the processes that run tests: nothing is written to them."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One file is tested in this process, where a debugger works; more files by as many processes as there are cores."""
    one_file = len(config.args) == 1 and ".py" in config.args[0]
    if one_file or config.option.markexpr == "gpu":  # there is one GPU, and its captures are shared and timed
        return 0
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return min(len(usable), MOST_WORKERS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of tests that run alone: at the end there is then work for every process."""
    first = {item.path for item in items if item.get_closest_marker("alone")}
    items.sort(key=lambda item: item.path not in first)


@contextmanager
def locked(path: Path, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold a file's advisory lock, which the system releases if this process dies."""
    with path.open("rb") as file:
        fcntl.flock(file, kind)
        try:
            yield
        finally:
            # Closing is not enough: a process that was forked meanwhile has the same lock open.
            fcntl.flock(file, fcntl.LOCK_UN)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test that is marked `alone` while no other process runs one."""
    with ExitStack() as stack:
        with locked(TURN):  # or others would go on sharing the lock for as long as they have tests
            alone = item.get_closest_marker("alone")
            stack.enter_context(locked(RUNNING, fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
        return (yield)


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

    def run(
        *args: str | Path, timeout: float = 300, quickly: bool = True, **kwargs
    ) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100", "HF_HUB_OFFLINE": "1"} | kwargs.pop("env", {})
        given = [*map(str, args)]
        captures = quickly and given[:1] == ["profile"] and not {"--launches", "--resume"} & {*given}
        quick = QUICKLY if captures else ()
        return subprocess.run(
            [sys.executable, "-m", "attrib", *given[:1], *quick, *given[1:]],
            capture_output=True, text=True, errors="replace", timeout=timeout, check=False, env=env, **kwargs,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def sample() -> Path:
    """The committed capture of BERT-base, for reading only."""
    return ROOT / "sample_traces" / "bert-base-uncased"


@pytest.fixture
def sample_copy(sample: Path, tmp_path: Path) -> Path:
    """A copy of the sample that may be changed."""
    return shutil.copytree(sample, tmp_path / "traces")


@pytest.fixture(scope="session")
def sample_analysis(sample: Path) -> "Analysis":
    """The analysis of the sample."""
    from attrib.api import load

    return load(sample)


@pytest.fixture
def factories(tmp_path: Path) -> Path:
    """A file of small models as a user would write it, alone in its directory."""
    from tests.capture.factories import write_factories

    return write_factories(tmp_path)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Fill a folder once for all processes of this test run: the first that asks does, the others wait for it."""
    base = tmp_path_factory.getbasetemp()
    place = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder_of(name: str, make: Callable[[Path], Any]) -> Path:
        folder, lock, done = (place / f"{name}{end}" for end in ("", ".lock", ".done"))
        lock.touch()
        with locked(lock):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return folder_of


def profile(cli: Cli, folder: Path, *options: str) -> None:
    """Capture into `trace` in a folder, and the graphs with their weights into `models`."""
    done = cli("profile", *options, "--save-models", "models", "-o", "trace", cwd=folder)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def two_linears(made_once: MadeOnce, cli: Cli) -> Path:
    """A folder with a capture of the smallest built-in model (`trace`) and its graphs (`models`), for reading only."""
    options = ("--model", "two-linears", "--threads", "1", "--iterations", "5", "--no-report")
    return made_once("two-linears", lambda folder: profile(cli, folder, *options))


@pytest.fixture(scope="session")
def two_layers(made_once: MadeOnce, cli: Cli) -> Path:
    """A folder with a capture of two layers of BERT-base at full width (`trace`) and its graphs, for reading only."""
    options = ("--model", "bert-base-uncased", "--layers", "2", "--seq-len", "32", "--padding", "0.25")
    return made_once("two-layers", lambda folder: profile(cli, folder, *options))


@pytest.fixture(scope="session")
def tiny_bert(made_once: MadeOnce) -> Path:
    """The exported graph of a BERT of two layers, 32 wide; others may be written beside it, where its weights are."""
    import planting

    return made_once("tiny-bert", planting.export_tiny_bert) / "exported.onnx"
