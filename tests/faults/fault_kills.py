"""Moments at which something is killed, seeded; what each leaves must be usable, true and resumable."""

import random
import time
from dataclasses import dataclass
from pathlib import Path

from fault_harness import Launcher, Place, check_what_is_left, finish, kill


@dataclass(frozen=True)
class Moment:
    """What is killed, and when: after so many seconds, or before that many changes of the disk."""

    number: int
    victim: str
    at: float

    def __str__(self) -> str:
        when = f"change {self.at:.0f}" if self.victim == "writer" else f"{self.at:.2f} s"
        return f"{self.number:02d} {self.victim} at {when}"


def moments(count: int, seconds: float, changes: int, seed: int) -> list[Moment]:
    """Random moments, spread over the whole capture: a third each for the parent, one worker, and a write."""
    chance = random.Random(seed)
    victims = [("parent", "worker", "writer")[i % 3] for i in range(count)]
    share = [(i + chance.random()) / count for i in range(count)]
    chance.shuffle(share)
    return [
        Moment(i, victim, 1 + int(at * changes) if victim == "writer" else at * seconds * 1.05)
        for i, (victim, at) in enumerate(zip(victims, share, strict=True))
    ]


def measure(launcher: Launcher, folder: Path) -> tuple[float, int]:
    """Undisturbed captures: how long the shortest takes, which nothing else slowed, and how often it changes the disk."""
    took = []
    for name in ("first", "second"):
        place, count = Place(folder / name), folder / f"count-{name}"
        begin = time.monotonic()
        assert launcher.run("capture", place, die_at=1 << 40, count=str(count)) == 0, place.said
        took.append((time.monotonic() - begin, int(count.read_text())))
    return min(took)


def survive(launcher: Launcher, folder: Path, moment: Moment, rounds: int) -> str:
    """Kill at a moment, check what is left, and finish it; what happened."""
    place = Place(folder / f"{moment.number:02d}")
    more = (
        {"die_at": int(moment.at), "count": str(place.folder / "count")} if moment.victim == "writer" else {}
    )
    pid = launcher.start("capture", place, **more)
    if moment.victim != "writer":
        time.sleep(moment.at)
        victims = [pid] if moment.victim == "parent" else sorted(place.workers())
        if victims:
            kill(random.Random(moment.number).choice(victims))
    code = launcher.wait()
    assert code in (0, 3, 4, -9), place.said
    if moment.victim == "worker":
        assert "Traceback" not in place.said, place.said
    left = check_what_is_left(place)
    return f"exit {code}: {left}; {finish(launcher, place, rounds)}"
