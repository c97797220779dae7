# ruff: noqa: T201 - a command
"""Coverage-guided fuzzing of the readers, one process each, side by side:

    python -m pip install atheris        # 3.0 or later; Linux, Python 3.11 to 3.13
    python tests/fuzz/run.py --minutes 10

prints for each reader the executions, the edges covered, the size of the corpus and the crashes, each of which is kept as a
file. A crash ends a fuzzer; it is started again with what is left of the time.
"""

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from fuzz_seeds import TOKENS, kineto_seeds, ort_seeds

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SECONDS_AN_INPUT = 10
MEMORY_MB = 2048

_RAN = re.compile(r"stat::number_of_executed_units:\s*(\d+)|^#(\d+)\s", re.MULTILINE)
_COVERED = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")
_CRASH = re.compile(r"Test unit written to (\S+)")


@dataclass(frozen=True)
class Target:
    """One fuzzer: its script, its seeds, and the largest input."""

    script: str
    seeds: Callable[[], Iterable[bytes]]
    longest: int = 4096


TARGETS = {
    "kineto": Target("fuzz_kineto.py", kineto_seeds),
    "ort-profile": Target("fuzz_ort_profile.py", ort_seeds),
}


@dataclass
class Result:
    """What one fuzzer did."""

    executions: int = 0
    edges: int = 0
    features: int = 0
    corpus: int = 0
    seconds: float = 0.0
    crashes: list[str] = field(default_factory=list)


def fuzz(name: str, seconds: float, folder: Path) -> Result:
    """Run one fuzzer for so long, and start it again after a crash."""
    target, result = TARGETS[name], Result()
    corpus, crashes = folder / name / "corpus", folder / name / "crashes"
    for place in (corpus, crashes):
        place.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number:03}").write_bytes(seed)
    words = folder / "words.dict"
    words.write_text("".join(f'"{word}"\n' for word in TOKENS))
    began = time.monotonic()
    while (left := seconds - (time.monotonic() - began)) > 1:
        log = folder / name / f"log-{len(result.crashes)}.txt"
        command = [
            sys.executable, str(HERE / target.script), str(corpus), f"-dict={words}", f"-max_total_time={int(left)}",
            f"-timeout={SECONDS_AN_INPUT}", f"-rss_limit_mb={MEMORY_MB}", f"-max_len={target.longest}",
            f"-artifact_prefix={crashes}/", "-print_final_stats=1", "-verbosity=1",
        ]  # fmt: skip
        env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))}
        with log.open("wb") as output:
            done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, env=env, check=False)
        _read(log.read_text(errors="replace"), result)
        if done.returncode == 0:
            break
        if not result.crashes:
            raise SystemExit(f"{name}: cannot start: {log.read_text(errors='replace')[-2000:]}")
    result.seconds = time.monotonic() - began
    result.corpus = sum(1 for _ in corpus.iterdir())
    return result


def _read(log: str, result: Result) -> None:
    ran = [int(a or b) for a, b in _RAN.findall(log)]
    result.executions += max(ran, default=0)
    for edges, features, _ in _COVERED.findall(log):
        result.edges, result.features = max(result.edges, int(edges)), max(result.features, int(features))
    result.crashes += _CRASH.findall(log)


def main() -> int:
    """Run the chosen fuzzers side by side and print a table; 1 where one found a crash."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--minutes", type=float, default=10)
    options.add_argument(
        "--folder", type=Path, help="where corpora, logs and crashes go [default: a new folder in /tmp]"
    )
    options.add_argument(
        "targets", nargs="*", metavar="READER", help=f"of {', '.join(TARGETS)} [default: both]"
    )
    chosen = options.parse_args()
    chosen.targets = chosen.targets or ["kineto", "ort-profile"]
    if unknown := set(chosen.targets) - set(TARGETS):
        options.error(f"unknown reader {min(unknown)}")
    if importlib.util.find_spec("atheris") is None:
        raise SystemExit("atheris is not installed: python -m pip install atheris")
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="attrib-fuzz-"))
    results: dict[str, Result] = {}

    def one(name: str) -> None:
        results[name] = fuzz(name, chosen.minutes * 60, folder)

    threads = [threading.Thread(target=one, args=(name,)) for name in chosen.targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("| reader | seconds | executions | edges | features | corpus | crashes |")
    print("|---|---|---|---|---|---|---|")
    for name in chosen.targets:
        r = results.get(name, Result())
        counts = f"{r.executions:,} | {r.edges:,} | {r.features:,} | {r.corpus:,} | {len(r.crashes)}"
        print(f"| {name} | {r.seconds:.0f} | {counts} |")
        for crash in r.crashes:
            print(f"  {crash}")
    print(f"corpora, logs and crashes: {folder}")
    return int(any(r.crashes for r in results.values()) or len(results) < len(chosen.targets))


if __name__ == "__main__":
    sys.exit(main())
