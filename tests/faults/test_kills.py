"""SIGKILL of a capture, of one of its workers, and before single changes of the disk, at 50 moments."""

import threading
from pathlib import Path

import pytest
from fault_harness import FAKE_OPTIONS, Launcher
from fault_kills import Moment, measure, moments, survive

COUNT = 50
LAUNCHERS = 2


def _survive_all(folder: Path, given: list[Moment], lines: list[str]) -> None:
    folder.mkdir()
    with Launcher(folder, fake=True, **FAKE_OPTIONS) as launcher:
        for moment in given:
            try:
                lines.append(f"{moment}: {survive(launcher, folder, moment, FAKE_OPTIONS['rounds'])}")
            except AssertionError as error:
                lines.append(f"FAILED {moment}: {error}")


@pytest.mark.slow
def test_whatever_is_killed_what_is_complete_stays_and_the_rest_is_measured(tmp_path):
    """True processes, pipes, files and signals; only the engines compute nothing, so that 50 captures take a minute."""
    with Launcher(tmp_path, fake=True, **FAKE_OPTIONS) as launcher:
        seconds, changes = measure(launcher, tmp_path)
    given, lines = moments(COUNT, seconds, changes, seed=6), []
    threads = [
        threading.Thread(target=_survive_all, args=(tmp_path / f"l{i}", given[i::LAUNCHERS], lines))
        for i in range(LAUNCHERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = "\n".join(sorted(lines))
    assert len(lines) == COUNT, report
    assert "FAILED" not in report, report
    assert report.count("resumed with") >= COUNT // 2, report
    assert any(f"resumed with {n} rounds" in report for n in (1, 2, 3)), report
